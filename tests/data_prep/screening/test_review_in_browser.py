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
from tests.data_prep.screened_crops import (
    INSTALLED,
    make_screened,
    quick_map,
    run_screen,
    write_some_features,
)
from tfvqgen.errors import DataError

pytestmark = [
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


@contextlib.contextmanager
def opened(chromium, base):
    """Opens the review page in a window of its own, without earlier decisions."""
    problems, requests = [], []
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    with contextlib.closing(context):
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: problems.append(error))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"{base}/index.html")
        wait_until_drawn(page)
        yield page
        assert problems == []
        outside = [x for x in requests if not x.startswith((base, "data:", "blob:"))]
        assert outside == []


def wait_until_drawn(page):
    page.wait_for_function("typeof names !== 'undefined' && names && firstDrawn")


@pytest.fixture
def page(chromium, crops):
    with opened(chromium, (crops / "review").resolve().as_uri()) as page:
        yield page


@pytest.fixture
def served_page(chromium, crops):
    with served(crops / "review") as base, opened(chromium, base) as page:
        yield page


def middle(page, selector):
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def downloaded(page, folder):
    with page.expect_download() as download:
        page.click("#download")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_clusters_and_crops_are_decided_by_keyboard_and_applied(page, crops, tmp_path):
    page.evaluate("$('sort').value = 'number'; listClusters(); chooseCluster(0)")
    page.keyboard.press("d")
    page.keyboard.press("n")
    assert page.evaluate("chosen") == 1
    page.keyboard.press("k")
    page.keyboard.press("3")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("d")
    page.keyboard.press("Escape")
    page.keyboard.press("p")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("k")
    path = downloaded(page, tmp_path)
    second = page.evaluate("names.ids[STARTS[2] - 2]")
    first = page.evaluate("names.ids[STARTS[1] - 1]")
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
    page.click("#clusters div:nth-child(3)")
    number = page.evaluate("chosen")
    page.click("[data-cluster=drop]")
    assert page.evaluate(f"DECISIONS[ofCluster[{number}]]") == "drop"
    page.click("#sheet div:nth-child(2)")
    index = page.evaluate("chosenCrop")
    assert index == page.evaluate("STARTS[chosen] + 1")
    page.click("[data-cell=keep]")
    assert page.evaluate(f"decisionOf({index})") == "keep"
    before = page.evaluate("document.querySelector('#progress').textContent")
    assert "1 of" in before
    page.click("#undo")
    assert page.evaluate(f"decisionOf({index})") == "drop"
    page.keyboard.press("z")
    assert page.evaluate("ofCluster.every((x) => !x) && ofCrop.every((x) => !x)")
    page.keyboard.press("y")
    page.keyboard.press("y")
    assert page.evaluate("document.querySelector('#progress').textContent") == before


def test_the_progress_is_there_after_a_reload(served_page):
    page = served_page
    page.evaluate("chooseCluster(1)")
    page.keyboard.press("d")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("u")
    kept = page.evaluate("decisionsCsv()")
    assert len(kept.splitlines()) == 3
    page.reload()
    wait_until_drawn(page)
    assert page.evaluate("decisionsCsv()") == kept


def test_all_that_is_suggested_is_dropped_at_once_but_for_what_was_decided(page):
    suggested = page.evaluate("[...KIND].flatMap((k, i) => k & DROPPING ? [i] : [])")
    assert len(suggested) >= 2
    first = suggested[0]
    page.evaluate(f"chooseCrop({first})")
    page.keyboard.press("k")
    page.click("#drop-suggested")
    dropped = page.evaluate(
        "Array.from(KIND, (_, i) => i).filter((i) => decisionOf(i) === 'drop')"
    )
    assert set(suggested[1:]) <= set(dropped) and first not in dropped
    page.keyboard.press("z")
    assert page.evaluate("decisionsCsv().split('\\n').length") == 3


def test_a_dot_of_the_map_shows_its_thumbnail_and_is_chosen_by_a_click(served_page):
    page = served_page
    box = page.evaluate(
        "(({left, top}) => [left, top])(canvas.getBoundingClientRect())"
    )
    index = 7
    x, y = page.evaluate(
        f"[X[{index}] * view.scale + view.x, Y[{index}] * view.scale + view.y]"
    )
    page.mouse.move(box[0] + x, box[1] + y)
    page.wait_for_function("!$('tip').hidden && $('tip').firstChild.dataset.painted")
    shown = page.evaluate("Number($('tip').firstChild.dataset.painted)")
    assert page.evaluate(f"names.ids[{shown}]") in page.evaluate("$('tip').textContent")
    assert (
        page.evaluate(f"Math.hypot(X[{shown}] - X[{index}], Y[{shown}] - Y[{index}])")
        < 900
    )
    pixels = "$('tip').firstChild.getContext('2d').getImageData(0, 0, 128, 128).data"
    # A page that is opened as a file may not read these pixels.
    assert page.evaluate(f"{pixels}.some((v, i) => i % 4 < 3 && v > 30)")
    page.mouse.click(box[0] + x, box[1] + y)
    assert page.evaluate("chosenCrop") == shown
    assert page.evaluate("chosen === CLUSTER[chosenCrop] && !$('cell').hidden")


def test_the_map_is_moved_and_enlarged(page):
    before = page.evaluate("[view.x, view.y, view.scale]")
    x, y = middle(page, "#scatter")
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y - 30)
    page.mouse.up()
    moved = page.evaluate("[view.x, view.y, view.scale]")
    assert moved == pytest.approx([before[0] + 40, before[1] - 30, before[2]], abs=0.1)
    page.evaluate("$('scatter').focus()")
    page.keyboard.press("+")
    assert page.evaluate("view.scale") == pytest.approx(1.4 * before[2])
    page.keyboard.press("0")
    assert page.evaluate("[view.x, view.y, view.scale]") == pytest.approx(before)


def test_colours_show_labels_suggestions_decisions_and_clusters(page):
    for way, colours in (
        ("label", 3),
        ("cluster", 4),
        ("suggestion", 2),
        ("decision", 1),
    ):
        page.evaluate(f"$('colour').value = '{way}'; $('colour').onchange()")
        assert page.evaluate("new Set(ink).size") >= colours
    assert page.evaluate("$('legend').children.length") == 3
    page.evaluate("$('colour').value = 'label'; $('colour').onchange()")
    page.click("#legend button:nth-child(2)")
    dimmed = page.evaluate("[...ink].filter((c) => c === FAINT).length")
    assert dimmed == 40


def test_decisions_are_opened_again_elsewhere_and_stale_ones_refused(page, tmp_path):
    page.evaluate("chooseCluster(2)")
    page.keyboard.press("d")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("k")
    path = downloaded(page, tmp_path)
    text = path.read_text()
    page.keyboard.press("z")
    page.keyboard.press("z")
    page.set_input_files("#open", path)
    page.wait_for_function("ofCluster[2] === 2")
    assert page.evaluate("decisionsCsv()") == text
    stale = tmp_path / "stale.csv"
    stale.write_text(text.replace(page.evaluate("DATA.stamp.features"), "0" * 16))
    page.set_input_files("#open", stale)
    page.wait_for_function("!$('error').hidden")
    assert "Stale decisions" in page.evaluate("$('error').textContent")
    page.evaluate("complain('')")


def test_cells_of_a_table_read_back_whatever_is_in_them(page):
    cells = ["plain", "a,b", 'say "x"', '"', "", "two\nlines", "=1+1"]
    text = page.evaluate(f"{json.dumps(cells)}.map(cell).join(',') + '\\n'")
    assert next(iter(csv.reader(io.StringIO(text)))) == cells
    assert page.evaluate(f"parseCsv({json.dumps(text)})") == [cells]


def test_decisions_that_were_applied_are_those_of_clusters_again(page, crops, tmp_path):
    page.evaluate("chooseCluster(2)")
    page.keyboard.press("d")
    page.evaluate("chooseCluster(1)")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("k")
    path = downloaded(page, tmp_path)
    text = path.read_text()
    run_screen("--crops", crops, "--apply", path)
    page.keyboard.press("z")
    page.keyboard.press("z")
    page.set_input_files("#open", crops / "review" / "decisions.csv")
    page.wait_for_function("ofCluster[2] === 2")
    assert page.evaluate("decisionsCsv()") == text
    page.set_input_files("#open", crops / "review" / "clusters.csv")
    page.wait_for_function("$('error').hidden")


@pytest.mark.parametrize("row", [",,,drop", "7,,,drop", "1.5,,,drop", "1,crop99,,drop"])
def test_a_row_about_nothing_here_decides_nothing(page, tmp_path, row):
    tail = page.evaluate("Object.values(DATA.stamp).join(',')")
    header = "cluster,crop_id,sha256,decision,features,model,config"
    (tmp_path / "decisions.csv").write_text(f"{header}\n{row},{tail}\n")
    page.set_input_files("#open", tmp_path / "decisions.csv")
    page.wait_for_function("!$('error').hidden")
    assert "Not a decision of this page" in page.evaluate("$('error').textContent")
    assert page.evaluate("done.length") == 0
    page.evaluate("complain('')")


def test_the_whole_map_stays_whole_when_the_window_changes(page):
    outside = (
        "Array.from(X, (x, i) => [x * view.scale + view.x, Y[i] * view.scale + view.y])"
        ".filter(([x, y]) => x < 0 || y < 0 || x > canvas.width || y > canvas.height)"
    )
    page.set_viewport_size({"width": 900, "height": 600})
    page.wait_for_function("canvas.width < 600")
    assert page.evaluate(f"{outside}.length") == 0


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
    with opened(chromium, (half_accepted / "review").as_uri()) as page:
        check_crops_that_are_not_accepted(page)


def check_crops_that_are_not_accepted(page):
    assert "of 30 crops" in page.evaluate("$('progress').textContent")
    assert page.evaluate("$('refused-count').textContent") == "30 not accepted"
    page.evaluate("chooseCluster(0)")
    few = page.evaluate("sheetCrops.length")
    assert few == page.evaluate("ACCEPTED[0]") < page.evaluate("sizeOf(0)")
    page.keyboard.press("a")
    assert page.evaluate("sheetCrops.length") == page.evaluate("sizeOf(0)")
    page.click("#drop-suggested")
    dropped = page.evaluate("[...ofCrop].flatMap((code, i) => code === 2 ? [i] : [])")
    assert all(page.evaluate(f"!(KIND[{i}] & REFUSED)") for i in dropped)
    refused = page.evaluate("KIND.findIndex((k, i) => k & REFUSED)")
    page.evaluate(f"chooseCrop({refused})")
    page.keyboard.press("k")
    assert "1 taken in" in page.evaluate("$('progress').textContent")
    page.keyboard.press("a")
    assert page.evaluate("chosenCrop") == -1


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (1024, 700)])
def test_nothing_hangs_out_of_the_window(page, width, height):
    page.set_viewport_size({"width": width, "height": height})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for selector in ("#download", "[data-cluster=drop]", "#sheet", "#scatter", "#keys"):
        box = f"document.querySelector('{selector}').getBoundingClientRect()"
        assert page.evaluate(
            f"{box}.right <= innerWidth + 1 && {box}.bottom <= innerHeight + 1"
        )
