import json

import numpy as np
import pytest

from data_prep.images.field_images import read_field
from data_prep.layouts import read_fields
from tests.data_prep.layouts import pictures
from tfvqgen.errors import DataError, UserError


def test_two_channels_of_yeast_are_as_good_as_four_of_ours(tmp_path):
    marker = pictures.write(tmp_path / "m" / "1.tif", dtype="uint16")
    protein = pictures.write(tmp_path / "p" / "1.png", dtype="uint16", seed=1)
    pictures.write_table(
        tmp_path / "manifest.csv",
        "id,channel:Marker,channel:GFP,labels,group,pixel_size,strain",
        "y1,m/1.tif,p/1.png,vacuole|bud neck,plate 3,0.1,BY4741",
        "y2,m/1.tif,p/1.png,,,,",
    )
    about = {"credit": "our own", "labels_ordered": True, "pixel_size": 0.2}
    (tmp_path / "manifest.json").write_text(json.dumps(about))
    folder = read_fields(tmp_path)
    assert folder.layout == "manifest"
    assert folder.channels == ("Marker", "GFP")
    assert (folder.credit, folder.labels_ordered) == ("our own", True)
    first, second = folder.fields
    assert first.labels == ("vacuole", "bud neck")
    assert (first.group, first.pixel_size) == ("plate 3", 0.1)
    assert first.metadata == {"codec": "png+tiff", "strain": "BY4741"}
    assert (second.labels, second.group, second.pixel_size) == ((), "y2", 0.2)
    expected = np.concatenate([marker, protein], axis=-1)
    np.testing.assert_array_equal(read_field(first), expected)
    (first, _) = read_fields(tmp_path, channels=["GFP"]).fields
    np.testing.assert_array_equal(read_field(first), protein)


def test_the_index_of_pandas_is_no_metadata(tmp_path):
    pictures.write(tmp_path / "a.png")
    pictures.write_table(
        tmp_path / "manifest.csv", ",id,channel:a,strain", "0,1,a.png,BY4741"
    )
    (field,) = read_fields(tmp_path).fields
    assert field.metadata == {"codec": "png", "strain": "BY4741"}


def test_eight_channels_may_share_files(tmp_path):
    low = pictures.write(tmp_path / "low.png", 4)
    high = pictures.write(tmp_path / "high.png", 4, seed=1)
    names = [f"channel:c{i}" for i in range(8)]
    cells = [f"{file}.png#{i}" for file in ("low", "high") for i in range(4)]
    pictures.write_table(
        tmp_path / "manifest.csv", ",".join(["id", *names]), ",".join(["a", *cells])
    )
    folder = read_fields(tmp_path)
    assert (folder.credit, folder.labels_ordered) == ("", False)
    expected = np.concatenate([low, high], axis=-1)
    np.testing.assert_array_equal(read_field(folder.fields[0]), expected)


@pytest.mark.parametrize(
    ("header", "word"),
    [
        ("id,labels", "channel:<name>"),
        ("channel:a", "expected id"),
        ("id,channel:", "channel:<name>"),
        ("id,channel:a/b", "channel:<name>"),
        ("id,channel:a,channel:A", "a name of its own"),
        ("id,channel:a,crop_id", "other names for metadata.*crop_id"),
        ("id,channel:a,sha256", "other names for metadata.*sha256"),
        ("id," + ",".join(f"channel:{i}" for i in range(9)), "1 to 8"),
    ],
)
def test_wrong_columns_are_named(tmp_path, header, word):
    table = pictures.write_table(tmp_path / "manifest.csv", header)
    with pytest.raises(DataError, match=rf"columns.*{table.name}.*{word}"):
        read_fields(tmp_path, "manifest")


@pytest.mark.parametrize(
    "cell",
    [
        "../a.png",
        "/etc/a.png",
        "C:\\a.png",
        "x/../../a.png",
        "~/a.png",
        "\\\\host\\a.png",
        "..\\a.png",
        "..",
        "a\x07.png",
        "none.png",
        "notes.txt",
        "x",
    ],
)
def test_paths_that_leave_the_folder_or_are_no_images_name_the_line(tmp_path, cell):
    (tmp_path / "data" / "x").mkdir(parents=True)
    pictures.write(tmp_path / "a.png")
    (tmp_path / "data" / "notes.txt").write_text("")
    pictures.write_table(
        tmp_path / "data" / "manifest.csv", "id,channel:a", f"1,{cell}"
    )
    with pytest.raises(DataError, match=r"expected.*Received.*manifest\.csv line 2"):
        read_fields(tmp_path / "data")


@pytest.mark.parametrize("name", ["../x", "a/b", ".a", "a b", "", "x" * 121, "a\x00"])
def test_ids_that_can_t_be_file_names_name_the_line(tmp_path, name):
    pictures.write(tmp_path / "a.png")
    pictures.write_table(tmp_path / "manifest.csv", "id,channel:a", f"{name},a.png")
    with pytest.raises(DataError, match=r"manifest\.csv"):
        read_fields(tmp_path)


@pytest.mark.parametrize("size", ["0", "-1", "x", "nan", "inf", "1e9"])
def test_a_wrong_pixel_size_names_the_line(tmp_path, size):
    pictures.write(tmp_path / "a.png")
    pictures.write_table(
        tmp_path / "manifest.csv", "id,channel:a,pixel_size", f"1,a.png,{size}"
    )
    with pytest.raises(DataError, match=r"micrometres.*manifest\.csv line 2"):
        read_fields(tmp_path)


def test_a_missing_channel_names_the_field(tmp_path):
    pictures.write(tmp_path / "a.png")
    pictures.write_table(
        tmp_path / "manifest.csv", "id,channel:a,channel:b", "7,a.png,"
    )
    with pytest.raises(DataError, match=r"no b of field '7' in .*line 2"):
        read_fields(tmp_path)
    assert len(read_fields(tmp_path, channels=["a"]).fields) == 1


def test_an_empty_manifest_is_refused(tmp_path):
    pictures.write_table(tmp_path / "manifest.csv", "id,channel:a")
    with pytest.raises(UserError, match="no fields there"):
        read_fields(tmp_path)
