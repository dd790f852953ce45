"""The review page in a browser, driven as a person would, as a file and served."""

import contextlib
import csv
import functools
import http.server
import io
import json
import threading

import pytest

from data_prep.screening.decisions import KEEP
from data_prep.screening.screening import open_screening
from data_prep.tables import read_table
from tests.browser import browser, find_chromium
from tests.data_prep.screened_crops import (
    INSTALLED,
    make_screened,
    quick_map,
    run_screen,
    write_some_features,
)
from tfvqgen.errors import DataError

CHROMIUM = find_chromium()
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
    pytest.mark.skipif(not INSTALLED, reason="the extra screen is missing"),
    # One browser for all.
    pytest.mark.xdist_group("review_page"),
]


@pytest.fixture(autouse=True, scope="module")
def no_umap():
    with quick_map():
        yield


@pytest.fixture(scope="module")
def crops(tmp_path_factory, no_umap):
    made = make_screened(tmp_path_factory.mktemp("crops") / "crops")
    run_screen("--crops", made, "--clusters", 4)
    return made


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(CHROMIUM, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@contextlib.contextmanager
def served(folder):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(params=["file", "served"])
def page(request, chromium, crops):
    review = (crops / "review").resolve()
    with contextlib.ExitStack() as stack:
        base = review.as_uri()
        if request.param == "served":
            base = stack.enter_context(served(review))
        chromium.problems.clear()
        chromium.addresses.clear()
        open_page(chromium, f"{base}/index.html")
        chromium.run("localStorage.clear()")
        open_page(chromium, f"{base}/index.html")
        yield chromium
        assert chromium.problems == []
        outside = [x for x in chromium.addresses if not x.startswith(base)]
        assert [x for x in outside if not x.startswith(("data:", "blob:"))] == []
        chromium.open("about:blank")


def open_page(chromium, url):
    chromium.open("about:blank")
    chromium.wait("location.href === 'about:blank'")
    chromium.open(url, 1440, 900)
    chromium.wait("typeof names !== 'undefined' && names && firstDrawn")


def middle(chromium, selector):
    return chromium.run(
        f"(() => {{ const b = document.querySelector('{selector}')"
        ".getBoundingClientRect();"
        " return [b.left + b.width / 2, b.top + b.height / 2] })()"
    )


def downloaded(chromium, folder):
    chromium.save_downloads_in(folder)
    path = folder / "decisions.csv"
    chromium.click(*middle(chromium, "#download"))
    for _ in range(200):
        if path.exists():
            return path
        chromium.run("new Promise((done) => setTimeout(done, 50))")
    raise AssertionError("nothing was downloaded")


def test_clusters_and_crops_are_decided_by_keyboard_and_applied(page, crops, tmp_path):
    page.run("$('sort').value = 'number'; listClusters(); chooseCluster(0)")
    page.press("d")
    page.press("n")
    assert page.run("chosen") == 1
    page.press("k")
    page.press("3")
    page.press("ArrowRight")
    page.press("ArrowRight")
    page.press("d")
    page.press("Escape")
    page.press("p")
    page.press("ArrowRight")
    page.press("k")
    path = downloaded(page, tmp_path)
    second = page.run("names.ids[STARTS[2] - 2]")
    first = page.run("names.ids[STARTS[1] - 1]")
    run_screen("--crops", crops, "--apply", path)
    rows = list(read_table(crops / "review" / "decisions.csv"))
    made = {row.get("crop_id"): row.get("decision") for row in rows}
    for crop in open_screening(crops).screened:
        expected = {0: "drop", 1: KEEP}.get(crop.cluster, "undecided")
        own = {second: "drop", first: KEEP}
        assert made[crop.crop_id] == own.get(crop.crop_id, expected)
    write_some_features(crops, seed=1)
    with pytest.raises(DataError, match="stale"):
        run_screen("--crops", crops, "--apply", path)
    write_some_features(crops)
    run_screen("--crops", crops, "--clusters", 4)


def test_clusters_and_crops_are_decided_by_mouse_and_undone(page):
    page.click(*middle(page, "#clusters div:nth-child(3)"))
    number = page.run("chosen")
    page.click(*middle(page, "[data-cluster=drop]"))
    assert page.run(f"DECISIONS[ofCluster[{number}]]") == "drop"
    page.click(*middle(page, "#sheet div:nth-child(2)"))
    index = page.run("chosenCrop")
    assert index == page.run("STARTS[chosen] + 1")
    page.click(*middle(page, "[data-cell=keep]"))
    assert page.run(f"decisionOf({index})") == "keep"
    before = page.run("document.querySelector('#progress').textContent")
    assert "1 of" in before
    page.click(*middle(page, "#undo"))
    assert page.run(f"decisionOf({index})") == "drop"
    page.press("z")
    assert page.run("ofCluster.every((x) => !x) && ofCrop.every((x) => !x)")
    page.press("y")
    page.press("y")
    assert page.run("document.querySelector('#progress').textContent") == before


def test_the_progress_is_there_after_a_reload(page):
    page.run("chooseCluster(1)")
    page.press("d")
    page.press("ArrowRight")
    page.press("u")
    kept = page.run("decisionsCsv()")
    assert len(kept.splitlines()) == 3
    open_page(page, page.run("location.href"))
    assert page.run("decisionsCsv()") == kept


def test_all_that_is_suggested_is_dropped_at_once_but_for_what_was_decided(page):
    suggested = page.run("[...KIND].flatMap((k, i) => k & DROPPING ? [i] : [])")
    assert len(suggested) >= 2
    first = suggested[0]
    page.run(f"chooseCrop({first})")
    page.press("k")
    page.click(*middle(page, "#drop-suggested"))
    dropped = page.run(
        "Array.from(KIND, (_, i) => i).filter((i) => decisionOf(i) === 'drop')"
    )
    assert set(suggested[1:]) <= set(dropped) and first not in dropped
    page.press("z")
    assert page.run("decisionsCsv().split('\\n').length") == 3


def test_a_dot_of_the_map_shows_its_thumbnail_and_is_chosen_by_a_click(page):
    box = page.run("(({left, top}) => [left, top])(canvas.getBoundingClientRect())")
    index = 7
    x, y = page.run(
        f"[X[{index}] * view.scale + view.x, Y[{index}] * view.scale + view.y]"
    )
    page.hover(box[0] + x, box[1] + y)
    page.wait("!$('tip').hidden && $('tip').firstChild.dataset.painted")
    shown = page.run("Number($('tip').firstChild.dataset.painted)")
    assert page.run(f"names.ids[{shown}]") in page.run("$('tip').textContent")
    assert (
        page.run(f"Math.hypot(X[{shown}] - X[{index}], Y[{shown}] - Y[{index}])") < 900
    )
    pixels = "$('tip').firstChild.getContext('2d').getImageData(0, 0, 128, 128).data"
    # What a file has drawn may not be read again.
    if page.run("location.protocol") != "file:":
        assert page.run(f"{pixels}.some((v, i) => i % 4 < 3 && v > 30)")
    page.click(box[0] + x, box[1] + y)
    assert page.run("chosenCrop") == shown
    assert page.run("chosen === CLUSTER[chosenCrop] && !$('cell').hidden")


def test_the_map_is_moved_and_enlarged(page):
    before = page.run("[view.x, view.y, view.scale]")
    x, y = middle(page, "#scatter")
    page.drag((x, y), (x + 40, y - 30))
    moved = page.run("[view.x, view.y, view.scale]")
    assert moved == pytest.approx([before[0] + 40, before[1] - 30, before[2]], abs=0.1)
    page.run("$('scatter').focus()")
    page.press("+")
    assert page.run("view.scale") == pytest.approx(1.4 * before[2])
    page.press("0")
    assert page.run("[view.x, view.y, view.scale]") == pytest.approx(before)


def test_colours_show_labels_suggestions_decisions_and_clusters(page):
    for way, colours in (
        ("label", 3),
        ("cluster", 4),
        ("suggestion", 2),
        ("decision", 1),
    ):
        page.run(f"$('colour').value = '{way}'; $('colour').onchange()")
        assert page.run("new Set(ink).size") >= colours
    assert page.run("$('legend').children.length") == 3
    page.run("$('colour').value = 'label'; $('colour').onchange()")
    page.click(*middle(page, "#legend button:nth-child(2)"))
    dimmed = page.run("[...ink].filter((c) => c === FAINT).length")
    assert dimmed == 40


def test_decisions_are_opened_again_elsewhere_and_stale_ones_refused(page, tmp_path):
    page.run("chooseCluster(2)")
    page.press("d")
    page.press("ArrowRight")
    page.press("k")
    path = downloaded(page, tmp_path)
    text = path.read_text()
    page.press("z")
    page.press("z")
    page.choose_files("#open", path)
    page.wait("ofCluster[2] === 2")
    assert page.run("decisionsCsv()") == text
    stale = tmp_path / "stale.csv"
    stale.write_text(text.replace(page.run("DATA.stamp.features"), "0" * 16))
    page.choose_files("#open", stale)
    page.wait("!$('error').hidden")
    assert "Stale decisions" in page.run("$('error').textContent")
    page.run("complain('')")


def test_cells_of_a_table_read_back_whatever_is_in_them(page):
    cells = ["plain", "a,b", 'say "x"', '"', "", "two\nlines", "=1+1"]
    text = page.run(f"{json.dumps(cells)}.map(cell).join(',') + '\\n'")
    assert next(iter(csv.reader(io.StringIO(text)))) == cells
    assert page.run(f"parseCsv({json.dumps(text)})") == [cells]


def test_decisions_that_were_applied_are_those_of_clusters_again(page, crops, tmp_path):
    page.run("chooseCluster(2)")
    page.press("d")
    page.run("chooseCluster(1)")
    page.press("ArrowRight")
    page.press("k")
    path = downloaded(page, tmp_path)
    text = path.read_text()
    run_screen("--crops", crops, "--apply", path)
    page.press("z")
    page.press("z")
    page.choose_files("#open", crops / "review" / "decisions.csv")
    page.wait("ofCluster[2] === 2")
    assert page.run("decisionsCsv()") == text
    page.choose_files("#open", crops / "review" / "clusters.csv")
    page.wait("$('error').hidden")


@pytest.mark.parametrize("row", [",,,drop", "7,,,drop", "1.5,,,drop", "1,crop99,,drop"])
def test_a_row_about_nothing_here_decides_nothing(page, tmp_path, row):
    tail = page.run("Object.values(DATA.stamp).join(',')")
    header = "cluster,crop_id,sha256,decision,features,model,config"
    (tmp_path / "decisions.csv").write_text(f"{header}\n{row},{tail}\n")
    page.choose_files("#open", tmp_path / "decisions.csv")
    page.wait("!$('error').hidden")
    assert "Not a decision of this page" in page.run("$('error').textContent")
    assert page.run("done.length") == 0
    page.run("complain('')")


def test_the_whole_map_stays_whole_when_the_window_changes(page):
    outside = (
        "Array.from(X, (x, i) => [x * view.scale + view.x, Y[i] * view.scale + view.y])"
        ".filter(([x, y]) => x < 0 || y < 0 || x > canvas.width || y > canvas.height)"
    )
    page.resize(900, 600)
    page.wait("canvas.width < 600")
    assert page.run(f"{outside}.length") == 0


@pytest.fixture(scope="module")
def half_accepted(tmp_path_factory, no_umap):
    """Crops of which every other one is not accepted."""
    made = make_screened(tmp_path_factory.mktemp("half") / "crops")
    table = made / "crops.csv"
    header, *lines = table.read_text().splitlines()
    lines[::2] = [line.replace(",true,", ",false,") for line in lines[::2]]
    table.write_text("\n".join([header, *lines, ""]))
    run_screen("--crops", made, "--clusters", 4)
    return made


def test_crops_that_are_not_accepted_are_shown_on_demand_and_not_suggested(
    chromium, half_accepted
):
    open_page(chromium, (half_accepted / "review" / "index.html").as_uri())
    assert "of 30 crops" in chromium.run("$('progress').textContent")
    assert chromium.run("$('refused-count').textContent") == "30 not accepted"
    chromium.run("chooseCluster(0)")
    few = chromium.run("sheetCrops.length")
    assert few == chromium.run("ACCEPTED[0]") < chromium.run("sizeOf(0)")
    chromium.press("a")
    assert chromium.run("sheetCrops.length") == chromium.run("sizeOf(0)")
    chromium.click(*middle(chromium, "#drop-suggested"))
    dropped = chromium.run("[...ofCrop].flatMap((code, i) => code === 2 ? [i] : [])")
    assert all(chromium.run(f"!(KIND[{i}] & REFUSED)") for i in dropped)
    refused = chromium.run("KIND.findIndex((k, i) => k & REFUSED)")
    chromium.run(f"chooseCrop({refused})")
    chromium.press("k")
    assert "1 taken in" in chromium.run("$('progress').textContent")
    chromium.press("a")
    assert chromium.run("chosenCrop") == -1
    assert chromium.problems == []


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 700)])
def test_nothing_hangs_out_of_the_window(page, width, height):
    page.resize(width, height)
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    for selector in ("#download", "[data-cluster=drop]", "#sheet", "#scatter", "#keys"):
        box = f"document.querySelector('{selector}').getBoundingClientRect()"
        assert page.run(
            f"{box}.right <= innerWidth + 1 && {box}.bottom <= innerHeight + 1"
        )
