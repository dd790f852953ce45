import numpy as np
import pytest

from data_prep.images.field_images import read_field
from data_prep.layouts import read_fields
from tests.data_prep.layouts import pictures
from tfvqgen.errors import DataError

HEADER = "if_plate_id,position,sample,cell_id,locations,antibody,gene_names,atlas_name"
ROW = '7,C5,1,12.0,"Nucleoplasm,Cytosol",HPA1,TP53,U2OS'


def _make(tmp_path, *rows):
    pictures.write(tmp_path / "7" / "7_C5_1_12_cell_mask.png")
    if rows:
        pictures.write_table(tmp_path / "metadata.csv", *rows)
    return pictures.write(tmp_path / "7" / "7_C5_1_12_cell_image.png", 4)


def test_channels_come_in_our_order_not_in_that_of_the_file(tmp_path):
    image = _make(tmp_path, HEADER, ROW)
    folder = read_fields(tmp_path)
    assert folder.layout == "subcell"
    assert folder.channels == ("red", "green", "blue", "yellow")
    (field,) = folder.fields
    nucleus, er, microtubules, protein = np.moveaxis(image, -1, 0)
    expected = np.stack([microtubules, protein, nucleus, er], axis=-1)
    np.testing.assert_array_equal(read_field(field), expected)
    assert field.field_id == "7_C5_1_12"
    assert field.labels == ("Nucleoplasm", "Cytosol")
    assert (field.group, field.pixel_size) == ("HPA1", 0.08)
    assert field.metadata == {
        "codec": "png",
        "antibody": "HPA1",
        "gene": "TP53",
        "cell_line": "U2OS",
        "plate": "7",
        "well": "C5",
    }
    (field,) = read_fields(tmp_path, channels=["green"]).fields
    np.testing.assert_array_equal(read_field(field)[..., 0], protein)


def test_lines_may_be_numbered_and_of_files_that_are_not_there(tmp_path):
    _make(tmp_path, f",{HEADER}", f"0,{ROW}", f"1,{ROW.replace('12.0', '13')}")
    (field,) = read_fields(tmp_path).fields
    assert field.labels == ("Nucleoplasm", "Cytosol")


def test_without_a_table_labels_are_unknown_and_the_well_is_the_group(tmp_path):
    _make(tmp_path)
    (field,) = read_fields(tmp_path).fields
    assert (field.labels, field.group) == ((), "7_C5")


def test_what_is_there_twice_is_refused(tmp_path):
    _make(tmp_path, HEADER, ROW, ROW)
    with pytest.raises(DataError, match=r"'7_C5_1_12' in .*line 3 and in .*line 2"):
        read_fields(tmp_path)
    (tmp_path / "metadata.csv").unlink()
    pictures.write(tmp_path / "8" / "7_C5_1_12.png", 4)
    with pytest.raises(DataError, match=r"'7_C5_1_12' in .*8/7_C5_1_12\.png"):
        read_fields(tmp_path)


def test_an_image_of_three_channels_is_refused(tmp_path):
    pictures.write(tmp_path / "7" / "7_C5_1_12_cell_image.png", 3)
    (field,) = read_fields(tmp_path).fields
    with pytest.raises(DataError, match=r"too few channels.*field '7_C5_1_12'"):
        read_field(field)
