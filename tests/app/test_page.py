"""The page in a browser, driven as a person would."""

import threading

import numpy as np
import pytest

from tests.app.fake_model import FakeModel, running, send
from tests.browser import browser, find_chromium
from tests.support import random_image
from tfvqgen.app.limits import RateLimit
from tfvqgen.data.images import decode_png, encode_png

CHROMIUM = find_chromium()
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
READY = "model && !busy"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(CHROMIUM, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def page(chromium):
    with running(FakeModel(4), RateLimit(burst=10_000)) as server:
        chromium.problems.clear()
        chromium.addresses.clear()
        chromium.open(server.url)
        chromium.wait("typeof model !== 'undefined' && " + READY)
        yield chromium, server
        assert chromium.problems == []
        outside = [x for x in chromium.addresses if not x.startswith(server.url)]
        assert [x for x in outside if not x.startswith("data:")] == []
        # What it still loads would fail when the server ends.
        chromium.open("about:blank")


def text(chromium, selector):
    return chromium.run(f"document.querySelector('{selector}').textContent")


def loaded(selector):
    return (
        f"[...document.querySelectorAll('{selector}')].every(x => x.complete && "
        "x.naturalWidth)"
    )


def write_png(path, image):
    path.write_bytes(encode_png(image))
    return path


def test_nothing_is_asked_of_a_model_that_could_not_be_opened(page):
    chromium, _ = page
    # As the page is after a first question without an answer.
    chromium.run("model = null; update()")
    for name in ("draw", "file"):
        assert chromium.run(f"document.getElementById('{name}').disabled")


def test_cells_are_drawn_with_the_keyboard_alone(page):
    chromium, server = page
    chromium.run("document.querySelector('#labels input').focus()")
    chromium.press(" ")
    chromium.press("Tab")
    chromium.press("Tab")
    chromium.press(" ")
    assert text(chromium, "#asked").endswith(": Nucleoli + Rods & rings")
    chromium.press("Tab")
    chromium.run("document.activeElement.value = 20")
    chromium.press("Enter")
    chromium.wait(f"cells.length === 20 && {READY}")
    chromium.wait(loaded("img[src]"))
    for signature, inputs in server.studio._model.asked:
        assert signature == "generate_multilabel"
        assert set(map(tuple, inputs["labels"])) == {(1, 0, 1)}
    seeds = [int(x) for _, inputs in server.studio._model.asked for x in inputs["seed"]]
    assert seeds == list(range(20))
    chromium.run("$('gallery').focus()")
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        chromium.press(key)
    assert "seed 1 (generated)" in text(chromium, "#cell-title")
    path = chromium.run("$('download').getAttribute('href')")
    data = send(server, "GET", path)[2]
    np.testing.assert_array_equal(decode_png(data), server.studio._model.noise(1))
    assert send(server, "GET", chromium.run("$('zip').getAttribute('href')"))[0] == 200


def test_every_channel_is_seen_enlarged(page):
    chromium, _ = page
    chromium.run("$('draw').click()")
    chromium.wait(f"cells.length === 8 && {READY}")
    names = "[...document.querySelectorAll('#tiles span')].map(x => x.textContent)"
    assert chromium.run(names) == ["Composite", "red", "green", "blue", "yellow"]
    chromium.run("document.querySelectorAll('#tiles input')[4].click()")
    chromium.wait(loaded("#big img"))
    assert "/3.png" in chromium.run("document.querySelector('#big img').src")
    before = chromium.run("document.querySelector('#big img').width")
    chromium.run("$('in').click()")
    assert chromium.run("document.querySelector('#big img').width") == before + 32
    chromium.run("$('brighten').click()")
    assert "gain" not in chromium.run("document.querySelector('#big img').src")


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (800, 900), (500, 700)])
def test_what_it_is_stays_in_sight_at_every_width(page, width, height):
    chromium, server = page
    chromium.run("$('draw').click()")
    chromium.wait(f"cells.length === 8 && {READY}")
    chromium.resize(width, height)
    chromium.run("window.scrollTo(0, 9999); $('results').scrollTo(0, 9999)")
    for selector, words in (
        (".stamp", "Generated, not real"),
        ("#model-id", server.studio.model_info.id),
        ("#credit", "random <i>noise</i>"),
    ):
        assert text(chromium, selector) == words
        box = f"document.querySelector('{selector}').getBoundingClientRect()"
        assert chromium.run(f"{box}.top >= 0 && {box}.bottom <= innerHeight"), selector
    assert chromium.run("document.documentElement.scrollWidth <= innerWidth")


def test_a_crop_is_uploaded_reconstructed_and_completed(page, tmp_path):
    chromium, server = page
    image = random_image((32, 32, 4))
    chromium.run("document.querySelector('input[value=crop]').click()")
    chromium.choose_files("#file", write_png(tmp_path / "mine.png", image))
    chromium.wait(f"crop && {READY}")
    chromium.run("$('reconstruct').click()")
    chromium.wait(f"cells.length === 2 && {READY}")
    assert "Reconstructed (generated)" in text(chromium, "#cell-title")
    chromium.run("document.querySelector('[data-part=\".5 .5 .5 .5\"]').click()")
    chromium.run("$('redraw').focus()")
    chromium.press("ArrowUp")
    chromium.press("ArrowRight", modifiers=8)
    chromium.press("ArrowDown", modifiers=8)
    chromium.run("$('count').value = 3; $('draw').click()")
    chromium.wait(f"cells.length === 4 && {READY}")
    signature, inputs = server.studio._model.asked[-1]
    assert signature == "complete" and set(inputs["class_id"]) == {-1}
    mask = np.ones((32, 32))
    mask[8:32, 16:32] = 0
    np.testing.assert_array_equal(inputs["mask"][0], mask)
    np.testing.assert_array_equal(inputs["image"][0], image)
    assert chromium.run("cells.map(x => x.kind)") == ["your crop"] + 3 * ["completed"]


def test_a_rectangle_is_drawn_with_the_mouse_on_whole_patches(page, tmp_path):
    chromium, _ = page
    chromium.run("document.querySelector('input[value=crop]').click()")
    crop = write_png(tmp_path / "mine.png", random_image((32, 32, 4)))
    chromium.choose_files("#file", crop)
    chromium.wait(f"crop && {READY} && {loaded('#crop-picture')}")
    box = chromium.run(
        "(() => { const b = document.querySelector('.stage-inner')"
        ".getBoundingClientRect(); return [b.left, b.top, b.width] })()"
    )

    def at(x, y):
        return box[0] + x / 32 * box[2], box[1] + y / 32 * box[2]

    chromium.drag(at(3, 10), at(13, 14))
    assert chromium.run("rect") == {"x": 0, "y": 8, "width": 16, "height": 8}
    chromium.drag(at(4, 12), at(13, 21))
    assert chromium.run("rect") == {"x": 8, "y": 16, "width": 16, "height": 8}


def test_a_wrong_crop_is_refused_in_words_and_a_large_one_reduced(page, tmp_path):
    chromium, _ = page
    chromium.run("document.querySelector('input[value=crop]').click()")
    wrong = tmp_path / "notes.png"
    wrong.write_text("<script>alert(1)</script>")
    chromium.choose_files("#file", wrong)
    chromium.wait("!$('error').hidden")
    assert "Wrong format: expected a PNG of 8 bits" in text(chromium, "#error")
    # The browser itself writes refused requests to its console.
    chromium.problems.clear()
    large = write_png(tmp_path / "large.png", random_image((64, 64, 4)))
    chromium.choose_files("#file", large)
    chromium.wait("!$('question').hidden")
    assert text(chromium, "#reduce") == "Reduce it 2 times"
    chromium.run("$('reduce').click()")
    chromium.wait(f"crop && {READY}")
    assert chromium.run("$('error').hidden && $('question').hidden")
    chromium.problems.clear()


def test_drawing_shows_its_progress_and_can_be_stopped(page):
    chromium, server = page
    answer, chromium_may_look = server.studio._model.ask, threading.Event()

    def slow(*args, **inputs):
        chromium_may_look.wait(10)
        return answer(*args, **inputs)

    server.studio._model.ask = slow
    chromium.run("$('count').value = 64; $('draw').click()")
    chromium.wait("busy && !$('progress').hidden && !$('stop').hidden")
    assert "0 of 64 cells" in text(chromium, "#status")
    assert chromium.run("$('draw').disabled")
    chromium.run("$('stop').click()")
    chromium_may_look.set()
    chromium.wait(READY)
    assert chromium.run("cells.length") == 2
    assert "2 cells (stopped)" in text(chromium, "#status")


def test_a_page_whose_server_has_ended_says_so(page):
    chromium, _ = page
    network = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    chromium.call("Network.emulateNetworkConditions", offline=True, **network)
    chromium.run("$('draw').click()")
    chromium.wait("!$('error').hidden")
    assert "still running" in text(chromium, "#error")
    chromium.call("Network.emulateNetworkConditions", offline=False, **network)
    chromium.problems.clear()
