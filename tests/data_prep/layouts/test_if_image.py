import numpy as np
import pytest

from data_prep.images.field_images import read_field
from data_prep.layouts import read_fields
from tests.data_prep.layouts import pictures
from tfvqgen.errors import DataError

HEADER = (
    "filename,if_plate_id,position,sample,status,locations,antibody,ensembl_ids,"
    "gene_names,atlas_name"
)
ROW = '/archive/7/7_C5_1_,7,C5,1,35,"Nucleoplasm,Golgi apparatus",HPA1,ENSG1,TP53,U2OS'


def test_fields_have_their_channels_and_labels(tmp_path):
    pictures.write_table(
        tmp_path / "IF-image.csv", HEADER, ROW, "/archive/8/8_A1_2_,8,A1,2,35,,,,,"
    )
    expected = pictures.write_colours(tmp_path / "7" / "7_C5_1")
    folder = read_fields(tmp_path)
    assert folder.layout == "if_image"
    (field,) = folder.fields
    np.testing.assert_array_equal(read_field(field), expected)
    assert field.field_id == "7_C5_1"
    assert field.labels == ("Nucleoplasm", "Golgi apparatus")
    assert field.group == "HPA1"
    assert field.pixel_size == 0.08
    assert field.metadata == {
        "codec": "png",
        "antibody": "HPA1",
        "gene": "TP53",
        "cell_line": "U2OS",
        "plate": "7",
        "well": "C5",
        "status": "35",
    }


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".png.gz"])
@pytest.mark.parametrize("plate", ["7", "."])
def test_files_may_lie_flat_and_be_of_any_kind(tmp_path, plate, suffix):
    pictures.write_table(tmp_path / "IF-image.csv", "filename,locations", "7_C5_1_,")
    expected = pictures.write_colours(tmp_path / plate / "7_C5_1", suffix)
    (field,) = read_fields(tmp_path).fields
    np.testing.assert_array_equal(read_field(field), expected)
    assert (field.labels, field.group) == ((), "7_C5")


def test_a_part_of_a_field_s_channels_is_an_error(tmp_path):
    pictures.write_table(tmp_path / "IF-image.csv", HEADER, ROW)
    pictures.write_colours(tmp_path / "7" / "7_C5_1", colours=("red", "blue"))
    with pytest.raises(DataError, match=r"no green, yellow of field '7_C5_1'"):
        read_fields(tmp_path)


@pytest.mark.parametrize("name", ["/archive/7/../../etc/passwd", "", "7_C5", "7_Z5_1_"])
def test_a_wrong_file_name_names_the_line(tmp_path, name):
    table = pictures.write_table(
        tmp_path / "IF-image.csv", "filename,locations", f"{name},x"
    )
    with pytest.raises(DataError, match=rf"{table} line 2"):
        read_fields(tmp_path)


def test_a_file_twice_names_both_lines(tmp_path):
    pictures.write_table(tmp_path / "IF-image.csv", HEADER, ROW, ROW)
    pictures.write_colours(tmp_path / "7" / "7_C5_1")
    with pytest.raises(DataError, match=r"twice.*line 3 and in .*line 2"):
        read_fields(tmp_path)
