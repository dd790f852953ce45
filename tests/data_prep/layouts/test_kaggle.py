import json

import numpy as np
import pytest

from data_prep.images.field_images import read_field
from data_prep.layouts import read_fields
from tests.data_prep import layout_files
from tests.data_prep.png_writer import write_png
from tfvqgen.errors import DataError, UserError


def _make(folder, *rows):
    rows = rows or ("b2,25 0", "a1,2")
    layout_files.write_table(folder / "train.csv", "Id,Target", *rows)
    for row in rows:
        layout_files.write_colours(folder / "train" / row.split(",")[0])


@pytest.mark.parametrize(
    ("suffix", "folder"),
    [(".png", "train"), (".tif", "images"), (".TIF", "train_tiffs"), (".jpg", "train")],
)
@pytest.mark.parametrize(
    ("layout", "header", "cell", "labels"),
    [
        ("kaggle2018", "Id,Target", "25 0 0", ("Cytosol", "Nucleoplasm")),
        ("kaggle2021", "ID,Label", "16|0", ("Cytosol", "Nucleoplasm")),
        ("kaggle2021", "ID,Label", "18", ("Negative",)),
        ("kaggle2018", "Id,Target", "", ()),
    ],
)
def test_fields_have_their_channels_and_labels(
    tmp_path, layout, header, cell, labels, suffix, folder
):
    layout_files.write_table(tmp_path / "train.csv", header, f"a1,{cell}")
    expected = layout_files.write_colours(tmp_path / folder / "a1", suffix)
    found = read_fields(tmp_path)
    assert (found.layout, found.channels) == (layout, layout_files.COLOURS)
    assert "not verified" in found.credit and not found.labels_ordered
    (field,) = found.fields
    assert (field.field_id, field.group, field.labels) == ("a1", "a1", labels)
    codec = {"png": "png", "jpg": "jpeg", "tif": "tiff"}[suffix[1:].lower()]
    assert field.metadata == {"codec": codec}
    np.testing.assert_array_equal(read_field(field), expected)


@pytest.mark.parametrize(
    ("header", "cells", "message"),
    [
        ("Id,Target", ("28", "-1", "1 x", "1.0", "1|2", "\u0663"), "0 to 27"),
        ("ID,Label", ("19", "0 1", "0|-1"), "0 to 18"),
    ],
)
def test_an_unknown_label_is_refused_with_its_line(tmp_path, header, cells, message):
    _make(tmp_path, "a1,1", "b2,1")
    for cell in cells:
        layout_files.write_table(tmp_path / "train.csv", header, "a1,1", f"b2,{cell}")
        with pytest.raises(DataError, match=rf"{message}.*train\.csv line 3"):
            read_fields(tmp_path)


def test_a_missing_channel_is_refused_with_its_field(tmp_path):
    _make(tmp_path)
    (tmp_path / "train" / "b2_yellow.png").unlink()
    message = r"--channels red,green,blue.*no yellow of field 'b2' in .*csv line 2"
    with pytest.raises(DataError, match=message):
        read_fields(tmp_path)
    folder = read_fields(tmp_path, channels=["blue", "green"])
    assert folder.channels == ("blue", "green")
    assert list(folder.fields[0].planes) == ["blue", "green"]
    for channels in (["mauve"], [], ["red", "red"]):
        with pytest.raises(UserError, match="expected some of red, green, blue"):
            read_fields(tmp_path, channels=channels)


def test_the_pixel_size_follows_from_the_width_of_the_field(tmp_path):
    layout_files.write_table(tmp_path / "train.csv", "Id,Target", "a1,0")
    (tmp_path / "train").mkdir()
    for side, pixel_size in ((512, 0.32), (2048, 0.08), (3072, 0.08), (600, None)):
        # Only the header is read.
        data = write_png(np.zeros((2, 2, 1), np.uint8), width=side, height=side)
        for colour in layout_files.COLOURS:
            (tmp_path / "train" / f"a1_{colour}.png").write_bytes(data)
        assert read_fields(tmp_path).fields[0].pixel_size == pixel_size


def test_fields_json_gives_pixel_size_and_credit(tmp_path):
    _make(tmp_path)
    info = {"pixel_size": 0.16, "credit": "drawn", "synthetic": True, "more": 1}
    (tmp_path / "fields.json").write_text(json.dumps(info))
    folder = read_fields(tmp_path)
    assert folder.credit == "drawn"
    assert {field.pixel_size for field in folder.fields} == {0.16}
    assert {field.metadata["synthetic"] for field in folder.fields} == {"true"}
    for wrong in ("[]", '{"pixel_size": 0}', '{"pixel_size": "x"}', '{"credit": 1}'):
        (tmp_path / "fields.json").write_text(wrong)
        with pytest.raises(DataError, match=r"fields\.json"):
            read_fields(tmp_path)
