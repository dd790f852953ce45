import numpy as np
import pytest

from data_prep.images.field_images import read_field
from data_prep.layouts import read_fields
from tests.data_prep.layouts import pictures
from tfvqgen.errors import DataError, UserError


@pytest.mark.parametrize(
    ("channels", "names"),
    [
        (1, ("grey",)),
        (3, ("red", "green", "blue")),
        (4, ("red", "green", "blue", "yellow")),
    ],
)
def test_a_folder_s_name_is_the_label(tmp_path, channels, names):
    first = pictures.write(tmp_path / "Golgi apparatus" / "a.png", channels)
    second = pictures.write(tmp_path / "cytosol" / "a.png", channels, seed=1)
    folder = read_fields(tmp_path)
    assert (folder.layout, folder.channels, folder.credit) == ("folder", names, "")
    found = {field.field_id: field for field in folder.fields}
    golgi, cytosol = found["Golgi-apparatus_a"], found["cytosol_a"]
    assert (golgi.labels, cytosol.labels) == (("Golgi apparatus",), ("cytosol",))
    # The same name in two folders may be the same cell.
    assert golgi.group == cytosol.group == "a"
    assert golgi.pixel_size is None
    np.testing.assert_array_equal(read_field(golgi), first)
    np.testing.assert_array_equal(read_field(cytosol), second)


def test_colours_are_put_together(tmp_path):
    expected = pictures.write_colours(tmp_path / "Cytosol" / "a_1")
    (field,) = read_fields(tmp_path).fields
    assert field.field_id == "Cytosol_a_1"
    np.testing.assert_array_equal(read_field(field), expected)
    pictures.write_colours(tmp_path / "Cytosol" / "b", colours=("red", "blue"))
    with pytest.raises(DataError, match="no green, yellow of field 'Cytosol_b'"):
        read_fields(tmp_path)
    folder = read_fields(tmp_path, channels=["blue", "red"])
    assert folder.channels == ("blue", "red")
    assert len(folder.fields) == 2


def test_a_channel_twice_is_refused(tmp_path):
    pictures.write_colours(tmp_path / "Cytosol" / "a")
    pictures.write(tmp_path / "Cytosol" / "a.png", 3)
    with pytest.raises(DataError, match=r"twice.*blue.*Cytosol/a_blue\.png"):
        read_fields(tmp_path)


def test_ids_that_would_be_the_same_are_refused(tmp_path):
    pictures.write(tmp_path / "Cytosol" / "a b.png")
    pictures.write(tmp_path / "Cytosol" / "a-b.png")
    with pytest.raises(DataError, match=r"twice.*Cytosol_a-b"):
        read_fields(tmp_path)


def test_two_channels_have_no_names(tmp_path):
    pictures.write(tmp_path / "Cytosol" / "a.png", 2)
    with pytest.raises(DataError, match=r"manifest\.csv.*2 channels in .*a\.png"):
        read_fields(tmp_path)


def test_folders_that_are_no_known_labels_need_the_layout_s_name(tmp_path):
    pictures.write(tmp_path / "bud neck" / "a.png")
    with pytest.raises(UserError, match=r"the layout is unknown.*--layout"):
        read_fields(tmp_path)
    (field,) = read_fields(tmp_path, "folder").fields
    assert field.labels == ("bud neck",)
