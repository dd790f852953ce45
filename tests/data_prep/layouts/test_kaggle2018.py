import json
import os
from pathlib import Path

import numpy as np
import pytest

from data_prep.images.field_images import read_field
from data_prep.labels import load_vocabulary
from data_prep.layouts import read_fields
from tests.data_prep.layouts import pictures
from tests.data_prep.png_writer import write_png
from tfvqgen.errors import DataError, UserError

FIELDS = os.environ.get("TFVQGEN_HPA_FIELDS")


def _make(folder, *rows, images="train"):
    rows = rows or ("b2,25 0", "a1,2")
    pictures.write_table(folder / "train.csv", "Id,Target", *rows)
    return {
        name: pictures.write_colours(folder / images / name)
        for name in (row.split(",")[0] for row in rows)
    }


@pytest.mark.parametrize("images", ["train", "images"])
def test_fields_have_their_channels_and_labels(tmp_path, images):
    expected = _make(tmp_path, images=images)
    folder = read_fields(tmp_path)
    assert folder.layout == "kaggle2018"
    assert folder.channels == pictures.COLOURS
    assert not folder.labels_ordered
    assert "not verified" in folder.credit
    first, second = folder.fields
    assert (first.field_id, first.labels, first.group) == ("a1", ("Nucleoli",), "a1")
    assert second.labels == ("Cytosol", "Nucleoplasm")
    assert first.metadata == {"codec": "png"}
    for field in folder.fields:
        np.testing.assert_array_equal(read_field(field), expected[field.field_id])


def test_no_target_is_unknown_and_a_label_said_twice_is_said_once(tmp_path):
    _make(tmp_path, "a1,", "b2,3 3")
    first, second = read_fields(tmp_path).fields
    assert first.labels == ()
    assert second.labels == ("Nucleoli fibrillar center",)


@pytest.mark.parametrize("target", ["28", "-1", "1 x", "1.0", "1|2", "\u0663"])
def test_a_label_that_is_none_names_the_line(tmp_path, target):
    _make(tmp_path, "a1,1", f"b2,{target}")
    with pytest.raises(DataError, match=r"0 to 27.*Received.*train\.csv line 3"):
        read_fields(tmp_path)


def test_a_missing_channel_names_the_field(tmp_path):
    _make(tmp_path)
    (tmp_path / "train" / "b2_yellow.png").unlink()
    message = r"no yellow of field 'b2' in .*train\.csv line 2"
    with pytest.raises(DataError, match=message) as error:
        read_fields(tmp_path)
    assert "--channels red,green,blue" in str(error.value)
    folder = read_fields(tmp_path, channels=["blue", "green"])
    assert folder.channels == ("blue", "green")
    assert list(folder.fields[0].planes) == ["blue", "green"]


@pytest.mark.parametrize("channels", [["mauve"], [], ["red", "red"]])
def test_channels_must_be_those_of_the_layout(tmp_path, channels):
    _make(tmp_path)
    with pytest.raises(UserError, match="expected some of red, green, blue, yellow"):
        read_fields(tmp_path, channels=channels)


@pytest.mark.parametrize(
    ("side", "pixel_size"), [(512, 0.32), (2048, 0.08), (3072, 0.08), (600, None)]
)
def test_the_size_of_a_pixel_follows_from_that_of_the_field(tmp_path, side, pixel_size):
    pictures.write_table(tmp_path / "train.csv", "Id,Target", "a1,0")
    (tmp_path / "train").mkdir()
    for colour in pictures.COLOURS:
        # Only the header is looked at.
        data = write_png(np.zeros((2, 2, 1), np.uint8), width=side, height=side)
        (tmp_path / "train" / f"a1_{colour}.png").write_bytes(data)
    assert read_fields(tmp_path).fields[0].pixel_size == pixel_size


def test_fields_json_says_what_the_table_can_t(tmp_path):
    _make(tmp_path)
    about = {"pixel_size": 0.16, "credit": "drawn", "synthetic": True, "more": 1}
    (tmp_path / "fields.json").write_text(json.dumps(about))
    folder = read_fields(tmp_path)
    assert folder.credit == "drawn"
    assert {field.pixel_size for field in folder.fields} == {0.16}
    assert {field.metadata["synthetic"] for field in folder.fields} == {"true"}


@pytest.mark.parametrize(
    "about", ["[]", '{"pixel_size": 0}', '{"pixel_size": "x"}', '{"credit": 1}', "{"]
)
def test_a_wrong_fields_json_is_named(tmp_path, about):
    _make(tmp_path)
    (tmp_path / "fields.json").write_text(about)
    with pytest.raises(DataError, match=r"fields\.json"):
        read_fields(tmp_path)


@pytest.mark.skipif(not FIELDS, reason="TFVQGEN_HPA_FIELDS names no folder of fields")
def test_real_fields_are_read():
    folder = read_fields(Path(FIELDS) / "kaggle2018")
    assert len(folder.fields) == 70
    known = load_vocabulary("kaggle2018").labels
    lines = (Path(FIELDS) / "kaggle2018" / "train.csv").read_text().splitlines()
    text = {line.split(",")[0] for line in lines} - {"Id"}
    assert {field.field_id for field in folder.fields} == text
    zeros = sum("0" in line.replace(",", " ").split()[1:] for line in lines)
    assert sum("Nucleoplasm" in field.labels for field in folder.fields) == zeros > 30
    for field in folder.fields:
        image = read_field(field)
        assert image.shape == (512, 512, 4) and image.dtype == np.uint8
        assert set(field.labels) <= set(known) and field.pixel_size == 0.32
    large = read_fields(Path(FIELDS) / "full_size").fields
    assert sorted(read_field(f).shape[0] for f in large) == [2048, 2048, 3072]
    assert {field.pixel_size for field in large} == {0.08}
