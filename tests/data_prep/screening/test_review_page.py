"""The page's files: numbers that JavaScript reads back, thumbnails in their places."""

import base64
import json

import numpy as np
import pytest
from PIL import Image

from data_prep.screening import review_page
from data_prep.screening.decisions import Stamp
from data_prep.screening.suggestions import Suggestions
from tests.support import make_crops
from tfvqgen.data.crops import Crop, read_crops


def shown(num=6):
    crops = [
        Crop(
            f"crop{i}",
            f"images/{i}.png",
            (("a",), ("b", "a"), ())[i % 3],
            f"group{i // 2}",
            accepted=i != 3,
            metadata={"focus": str(i)} if i else {},
        )
        for i in range(num)
    ]
    kinds = np.zeros((num, 4), bool)
    kinds[1, [0, 3]] = True
    return review_page.Shown(
        crops=crops,
        hashes=[f"{i:064x}" for i in range(num)],
        positions=np.stack([np.arange(num), np.zeros(num)], axis=1),
        clusters=np.repeat([0, 1], [2, num - 2]),
        suggested=Suggestions(kinds, ("", "</script> x", *[""] * (num - 2)), {1}),
        stamp=Stamp("f", "m", "c"),
        credit="noise",
    )


def numbers(text, dtype):
    return np.frombuffer(base64.b64decode(text), dtype).tolist()


def test_what_the_page_reads_is_what_was_written(tmp_path):
    page = review_page.write_page(tmp_path, shown(), ["one.jpg"])
    assert page == tmp_path / "index.html"
    text = (tmp_path / "data.js").read_text()
    start, end = '"use strict";\nconst DATA = ', ";\n"
    data = json.loads(text.removeprefix(start).removesuffix(end))
    assert data["starts"] == [0, 2, 6] and data["suggested_clusters"] == [1]
    combinations = [
        data["combinations"][i] for i in numbers(data["combination"], "<u2")
    ]
    labels = [[data["labels"][i] for i in each] for each in combinations]
    assert labels == [["a"], ["b", "a"], []] * 2
    assert numbers(data["kinds"], "u1") == [0, 9, 0, 128, 0, 0]
    (focus,) = data["columns"]
    values = numbers(focus["values"], "u1")
    assert values[0] == 255 and values == [255, *sorted(values[1:])]
    read = [focus["low"] + (focus["high"] - focus["low"]) * v / 254 for v in values[1:]]
    np.testing.assert_allclose(read, [1, 2, 3, 4, 5], atol=0.05)
    names = review_page.page_names(shown())
    assert names["crop_ids"].split("\n")[5] == "crop5"
    assert base64.b64decode(names["hashes"])[-1] == 5
    assert names["reasons"][numbers(names["reason"], "<u4")[1]] == "</script> x"


def test_the_map_fits_its_pixels_and_keeps_its_shape():
    positions = np.random.default_rng(0).uniform([-3, 10], [5, 12], (5000, 2))
    positions[0] = 1e6
    pixels = review_page.map_pixels(positions).astype(float)
    assert pixels[1:].min() >= 0 and np.ptp(pixels[1:, 0]) > 0.9 * 65535
    ratio = np.ptp(pixels[1:, 0]) / np.ptp(pixels[1:, 1])
    assert ratio == pytest.approx(4, rel=0.02)
    # Upwards on the map is upwards on the screen.
    assert np.corrcoef(positions[1:, 1], pixels[1:, 1])[0, 1] < -0.99


@pytest.mark.parametrize("shape", [(200, 200, 4), (8, 8, 1), (8, 8, 6)])
def test_thumbnails_are_where_the_page_looks_for_them(tmp_path, monkeypatch, shape):
    monkeypatch.setattr(review_page, "PER_SHEET", 4)
    monkeypatch.setattr(review_page, "TILES_A_SIDE", 2)
    folder = read_crops(make_crops(tmp_path / "crops", [["a"]] * 6, shape=shape))
    hashes = [crop.sha256 for crop in folder.rows]
    output = tmp_path / "sprites"
    names = review_page.write_sheets(output, folder, folder.rows, hashes)
    assert len(names) == 2
    thumbnails = review_page.Thumbnails(folder)
    for index, crop in enumerate(folder.rows):
        sheet = np.asarray(Image.open(output / names[index // 4])).astype(float)
        top, left = index % 4 // 2 * 64, index % 4 % 2 * 64
        difference = sheet[top : top + 64, left : left + 64] - thumbnails(crop)
        assert np.abs(difference).mean() < 20


def test_sheets_that_are_there_are_kept_and_old_ones_removed(tmp_path, monkeypatch):
    monkeypatch.setattr(review_page, "PER_SHEET", 4)
    folder = read_crops(make_crops(tmp_path / "crops", [["a"]] * 6))
    hashes = [crop.sha256 for crop in folder.rows]
    output = tmp_path / "sprites"
    first = review_page.write_sheets(output, folder, folder.rows, hashes)
    (output / first[0]).write_bytes(b"kept")
    assert review_page.write_sheets(output, folder, folder.rows, hashes) == first
    assert (output / first[0]).read_bytes() == b"kept"
    rows, swapped = folder.rows[::-1], hashes[::-1]
    second = review_page.write_sheets(output, folder, rows, swapped)
    assert {path.name for path in output.iterdir()} == set(second)
    assert not set(first) & set(second)
