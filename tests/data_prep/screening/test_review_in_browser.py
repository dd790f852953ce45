"""The review page in a browser, opened as a file and used as a person would."""

import contextlib
import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

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


def middle(page, selector):
    box = page.locator(selector).bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def press(page, keys):
    for key in keys.split():
        page.keyboard.press(key)


def downloaded(page, folder):
    with page.expect_download() as download:
        page.click("#download")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_clusters_and_crops_are_decided_by_keyboard_and_applied(page, crops, tmp_path):
    page.evaluate("$('sort').value = 'number'; listClusters(); chooseCluster(0)")
    press(page, "d n")
    assert page.evaluate("chosen") == 1
    press(page, "k 3 ArrowRight ArrowRight d Escape p ArrowRight k")
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
    press(page, "z")
    assert page.evaluate("ofCluster.every((x) => !x) && ofCrop.every((x) => !x)")
    press(page, "y y")
    assert page.evaluate("document.querySelector('#progress').textContent") == before


def test_the_progress_is_there_after_a_reload(page):
    page.evaluate("chooseCluster(1)")
    press(page, "d ArrowRight u")
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
    press(page, "k")
    page.click("#drop-suggested")
    decided = page.evaluate("Array.from(KIND, (_, i) => decisionOf(i))")
    dropped = [i for i, decision in enumerate(decided) if decision == "drop"]
    assert set(suggested[1:]) <= set(dropped) and first not in dropped
    press(page, "z")
    assert page.evaluate("decisionsCsv().split('\\n').length") == 3


def test_a_dot_of_the_map_shows_its_thumbnail_and_is_chosen_by_a_click(page):
    box = page.locator("#scatter").bounding_box()
    x, y = page.evaluate("[X[7] * view.scale + view.x, Y[7] * view.scale + view.y]")
    place = box["x"] + x, box["y"] + y
    page.mouse.move(*place)
    page.wait_for_function("!$('tip').hidden && $('tip').firstChild.dataset.painted")
    shown = page.evaluate("Number($('tip').firstChild.dataset.painted)")
    assert page.evaluate(f"names.ids[{shown}]") in page.evaluate("$('tip').textContent")
    assert page.evaluate(f"Math.hypot(X[{shown}] - X[7], Y[{shown}] - Y[7])") < 900
    # A page that is opened as a file may not read the pixels of its canvas.
    tip = Image.open(io.BytesIO(page.locator("#tip canvas").screenshot()))
    assert (np.asarray(tip)[..., :3] > 30).any()
    page.mouse.click(*place)
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
    press(page, "+")
    assert page.evaluate("view.scale") == pytest.approx(1.4 * before[2])
    press(page, "0")
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


def test_decisions_are_opened_again_elsewhere_and_stale_ones_refused(
    page, crops, tmp_path
):
    page.evaluate("chooseCluster(2)")
    press(page, "d ArrowRight k")
    path = downloaded(page, tmp_path)
    text = path.read_text()
    run_screen("--crops", crops, "--apply", path)
    # Decisions that were applied are those of clusters again.
    for file in (path, crops / "review" / "decisions.csv"):
        press(page, "z z")
        page.set_input_files("#open", file)
        page.wait_for_function("ofCluster[2] === 2")
        assert page.evaluate("decisionsCsv()") == text
    stale = tmp_path / "stale.csv"
    stale.write_text(text.replace(page.evaluate("DATA.stamp.features"), "0" * 16))
    page.set_input_files("#open", stale)
    page.wait_for_function("!$('error').hidden")
    assert "Stale decisions" in page.evaluate("$('error').textContent")
    page.set_input_files("#open", crops / "review" / "clusters.csv")
    page.wait_for_function("$('error').hidden")


def test_cells_of_a_table_read_back_whatever_is_in_them(page):
    cells = ["plain", "a,b", 'say "x"', '"', "", "two\nlines", "=1+1"]
    text = page.evaluate(f"{json.dumps(cells)}.map(cell).join(',') + '\\n'")
    assert next(iter(csv.reader(io.StringIO(text)))) == cells
    assert page.evaluate(f"parseCsv({json.dumps(text)})") == [cells]


def test_a_row_about_nothing_here_decides_nothing(page, tmp_path):
    tail = page.evaluate("Object.values(DATA.stamp).join(',')")
    header = "cluster,crop_id,sha256,decision,features,model,config"
    for row in (",,,drop", "7,,,drop", "1,crop99,,drop"):
        page.evaluate("complain('')")
        (tmp_path / "decisions.csv").write_text(f"{header}\n{row},{tail}\n")
        page.set_input_files("#open", tmp_path / "decisions.csv")
        page.wait_for_function("!$('error').hidden")
        assert "Not a decision of this page" in page.evaluate("$('error').textContent")
        assert page.evaluate("done.length") == 0


@pytest.fixture
def half_accepted_page(chromium, tmp_path):
    """Returns the page of crops of which every other one is not accepted."""
    made = make_screened(tmp_path / "crops")
    table = made / "crops.csv"
    header, *lines = table.read_text().splitlines()
    lines[::2] = [line.replace(",true,", ",false,") for line in lines[::2]]
    table.write_text("\n".join([header, *lines, ""]))
    run_screen("--crops", made, "--clusters", 4)
    with opened(chromium, (made / "review").as_uri()) as page:
        yield page


def test_crops_that_are_not_accepted_are_shown_on_demand_and_not_suggested(
    half_accepted_page,
):
    page = half_accepted_page
    assert "of 30 crops" in page.evaluate("$('progress').textContent")
    assert page.evaluate("$('refused-count').textContent") == "30 not accepted"
    page.evaluate("chooseCluster(0)")
    few = page.evaluate("sheetCrops.length")
    assert few == page.evaluate("ACCEPTED[0]") < page.evaluate("sizeOf(0)")
    press(page, "a")
    assert page.evaluate("sheetCrops.length") == page.evaluate("sizeOf(0)")
    page.click("#drop-suggested")
    dropped = page.evaluate("[...ofCrop].flatMap((code, i) => code === 2 ? [i] : [])")
    assert all(page.evaluate(f"!(KIND[{i}] & REFUSED)") for i in dropped)
    refused = page.evaluate("KIND.findIndex((k, i) => k & REFUSED)")
    page.evaluate(f"chooseCrop({refused})")
    press(page, "k")
    assert "1 taken in" in page.evaluate("$('progress').textContent")
    press(page, "a")
    assert page.evaluate("chosenCrop") == -1
