import json

import numpy as np
import pytest

from data_prep.images.field_images import read_field
from data_prep.layouts import read_fields
from tests.data_prep import layout_files
from tfvqgen.errors import DataError, UserError


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_name_of_a_folder_is_the_label(tmp_path, channels):
    first = layout_files.write(tmp_path / "Golgi apparatus" / "a.png", channels)
    second = layout_files.write(tmp_path / "cytosol" / "a.PNG", channels, seed=1)
    folder = read_fields(tmp_path)
    names = ("grey",) if channels == 1 else layout_files.COLOURS[:channels]
    assert (folder.layout, folder.channels, folder.credit) == ("folder", names, "")
    found = {field.field_id: field for field in folder.fields}
    golgi, cytosol = found["Golgi-apparatus_a"], found["cytosol_a"]
    assert (golgi.labels, cytosol.labels) == (("Golgi apparatus",), ("cytosol",))
    # One name in two folders may be one cell.
    assert golgi.group == cytosol.group == "a"
    assert golgi.pixel_size is None
    np.testing.assert_array_equal(read_field(golgi), first)
    np.testing.assert_array_equal(read_field(cytosol), second)


def test_files_of_one_colour_are_put_together(tmp_path):
    expected = layout_files.write_colours(tmp_path / "Cytosol" / "a_1")
    (field,) = read_fields(tmp_path).fields
    assert field.field_id == "Cytosol_a_1"
    np.testing.assert_array_equal(read_field(field), expected)
    layout_files.write_colours(tmp_path / "Cytosol" / "b", colours=("red", "blue"))
    with pytest.raises(DataError, match="no green, yellow of field 'Cytosol_b'"):
        read_fields(tmp_path)
    folder = read_fields(tmp_path, channels=["blue", "red"])
    assert (folder.channels, len(folder.fields)) == (("blue", "red"), 2)
    layout_files.write(tmp_path / "Cytosol" / "b.png", 3)
    with pytest.raises(DataError, match=r"repeated.*blue.*Cytosol/b_blue\.png"):
        read_fields(tmp_path)


def test_ambiguous_folders_are_refused(tmp_path):
    layout_files.write(tmp_path / "Cytosol" / "a b.png")
    layout_files.write(tmp_path / "Cytosol" / "a-b.png")
    with pytest.raises(DataError, match=r"repeated.*Cytosol_a-b"):
        read_fields(tmp_path)
    layout_files.write(tmp_path / "Cytosol" / "a-b.png", 2)
    with pytest.raises(DataError, match=r"manifest\.csv.*2 channels in .*a-b\.png"):
        read_fields(tmp_path)


def test_folders_with_unknown_labels_need_the_name_of_the_layout(tmp_path):
    layout_files.write(tmp_path / "bud neck" / "a.png")
    with pytest.raises(UserError, match=r"the layout is unknown.*--layout"):
        read_fields(tmp_path)
    (field,) = read_fields(tmp_path, "folder").fields
    assert field.labels == ("bud neck",)


def _manifest(tmp_path, *lines):
    return layout_files.write_table(tmp_path / "manifest.csv", *lines)


def test_a_manifest_lists_images_of_any_channels(tmp_path):
    marker = layout_files.write(tmp_path / "m" / "1.tif", dtype="uint16")
    protein = layout_files.write(tmp_path / "p" / "1.png", dtype="uint16", seed=1)
    _manifest(
        tmp_path,
        # The first column is the index of pandas.
        ",id,channel:Marker,channel:GFP,labels,group,pixel_size,strain",
        "0,y1,m/1.tif,p/1.png,vacuole|bud neck,plate 3,0.1,BY4741",
        "1,y2,m/1.tif,p/1.png,,,,",
    )
    info = {"credit": "our own", "labels_ordered": True, "pixel_size": 0.2}
    (tmp_path / "manifest.json").write_text(json.dumps(info))
    folder = read_fields(tmp_path)
    assert (folder.layout, folder.channels) == ("manifest", ("Marker", "GFP"))
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


def test_eight_channels_may_share_files(tmp_path):
    low = layout_files.write(tmp_path / "low.png", 4)
    high = layout_files.write(tmp_path / "high.png", 4, seed=1)
    names = [f"channel:c{i}" for i in range(8)]
    cells = [f"{file}.png#{i}" for file in ("low", "high") for i in range(4)]
    _manifest(tmp_path, ",".join(["id", *names]), ",".join(["a", *cells]))
    folder = read_fields(tmp_path)
    assert (folder.credit, folder.labels_ordered) == ("", False)
    expected = np.concatenate([low, high], axis=-1)
    np.testing.assert_array_equal(read_field(folder.fields[0]), expected)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("id,labels", "channel:<name>"),
        ("channel:a", "expected id"),
        ("id,channel:", "channel:<name>"),
        ("id,channel:a/b", "channel:<name>"),
        ("id,channel:a,channel:A", "a unique name"),
        ("id,channel:a,crop_id", "other names for metadata.*crop_id"),
        ("id," + ",".join(f"channel:{i}" for i in range(9)), "1 to 8"),
    ],
)
def test_wrong_columns_are_named(tmp_path, header, message):
    _manifest(tmp_path, header)
    with pytest.raises(DataError, match=rf"columns.*manifest\.csv.*{message}"):
        read_fields(tmp_path, "manifest")


@pytest.mark.parametrize(
    "line",
    [
        *("1,../a.png,", "1,/etc/a.png,", "1,C:\\a.png,", "1,~/a.png,", "1,..\\a.png,"),
        *("1,a\x07.png,", "1,none.png,", "1,notes.txt,", "1,x,", "../x,a.png,"),
        *(".a,a.png,", "a b,a.png,", ",a.png,", f"{'x' * 121},a.png,"),
        *("1,a.png,0", "1,a.png,x", "1,a.png,nan", "1,a.png,1e9", "1,,"),
    ],
)
def test_wrong_cells_are_refused_with_their_line(tmp_path, line):
    (tmp_path / "data" / "x").mkdir(parents=True)
    layout_files.write(tmp_path / "data" / "a.png")
    layout_files.write(tmp_path / "a.png")
    (tmp_path / "data" / "notes.txt").write_text("")
    _manifest(tmp_path / "data", "id,channel:a,pixel_size", line)
    with pytest.raises(DataError, match=r"expected.*Received.*manifest\.csv line 2"):
        read_fields(tmp_path / "data")


def test_a_manifest_without_rows_is_refused(tmp_path):
    _manifest(tmp_path, "id,channel:a")
    with pytest.raises(UserError, match="no fields there"):
        read_fields(tmp_path)
