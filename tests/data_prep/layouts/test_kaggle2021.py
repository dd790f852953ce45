import numpy as np
import pytest

from data_prep.images.field_images import read_field
from data_prep.layouts import read_fields
from tests.data_prep.layouts import pictures
from tfvqgen.errors import DataError


@pytest.mark.parametrize(
    ("suffix", "dtype", "codec", "images"),
    [
        (".png", "uint8", "png", "train"),
        (".png", "uint16", "png", "train"),
        (".tif", "uint16", "tiff", "train"),
        (".tiff", "uint8", "tiff", "train_tiffs"),
    ],
)
def test_fields_have_their_channels_and_labels(tmp_path, suffix, dtype, codec, images):
    pictures.write_table(tmp_path / "train.csv", "ID,Label", "a1,16|0", "b2,18", "c3,")
    expected = {
        name: pictures.write_colours(tmp_path / images / name, suffix, dtype=dtype)
        for name in ("a1", "b2", "c3")
    }
    folder = read_fields(tmp_path)
    assert folder.layout == "kaggle2021"
    assert [field.labels for field in folder.fields] == [
        ("Cytosol", "Nucleoplasm"),
        ("Negative",),
        (),
    ]
    for field in folder.fields:
        found = read_field(field)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, expected[field.field_id])
        assert field.metadata == {"codec": codec}
        assert field.pixel_size == 0.08
        assert field.group == field.field_id


@pytest.mark.parametrize("label", ["19", "0 1", "x", "0|-1"])
def test_a_label_that_is_none_names_the_line(tmp_path, label):
    pictures.write_table(tmp_path / "train.csv", "ID,Label", f"a1,{label}")
    pictures.write_colours(tmp_path / "train" / "a1")
    with pytest.raises(DataError, match=r"0 to 18.*Received.*train\.csv line 2"):
        read_fields(tmp_path)


def test_channels_of_different_depth_name_the_field(tmp_path):
    pictures.write_table(tmp_path / "train.csv", "ID,Label", "a1,0")
    pictures.write_colours(tmp_path / "train" / "a1", colours=("red", "green", "blue"))
    pictures.write(tmp_path / "train" / "a1_yellow.tif", dtype="uint16")
    (field,) = read_fields(tmp_path).fields
    with pytest.raises(DataError, match=r"uint16.*a1_yellow\.tif of field 'a1'"):
        read_field(field)
