import numpy as np
import pytest

from data_prep.images.field_images import read_field
from data_prep.layouts import read_fields
from tests.data_prep import layout_files
from tfvqgen.errors import DataError

HEADER = (
    "filename,if_plate_id,position,sample,status,locations,antibody,ensembl_ids,"
    "gene_names,atlas_name"
)
ROW = '/archive/7/7_C5_1_,7,C5,1,35,"Nucleoplasm,Golgi apparatus",HPA1,ENSG1,TP53,U2OS'
METADATA = {
    "antibody": "HPA1",
    "gene": "TP53",
    "cell_line": "U2OS",
    "plate": "7",
    "well": "C5",
    "codec": "png",
}
CROP_HEADER = (
    "if_plate_id,position,sample,cell_id,locations,antibody,gene_names,atlas_name"
)
CROP_ROW = '7,C5,1,12.0,"Nucleoplasm,Cytosol",HPA1,TP53,U2OS'
CROP = "7_C5_1_12_cell_image.png"


def test_fields_of_the_atlas_have_their_channels_and_labels(tmp_path):
    layout_files.write_table(
        tmp_path / "IF-image.csv", HEADER, ROW, "/archive/8/8_A1_2_,8,A1,2,35,,,,,"
    )
    expected = layout_files.write_colours(tmp_path / "7" / "7_C5_1")
    folder = read_fields(tmp_path)
    assert folder.layout == "if_image"
    # Lines without files are left out.
    (field,) = folder.fields
    np.testing.assert_array_equal(read_field(field), expected)
    assert (field.field_id, field.group) == ("7_C5_1", "HPA1")
    assert field.labels == ("Nucleoplasm", "Golgi apparatus")
    assert field.pixel_size == 0.08
    assert field.metadata == {**METADATA, "status": "35"}


@pytest.mark.parametrize(
    ("plate", "suffix"), [("7", ".tif"), (".", ".jpg"), (".", ".png.gz")]
)
def test_files_may_lie_beside_the_table_and_have_any_type(tmp_path, plate, suffix):
    layout_files.write_table(
        tmp_path / "IF-image.csv", "filename,locations", "7_C5_1_,"
    )
    expected = layout_files.write_colours(tmp_path / plate / "7_C5_1", suffix)
    (field,) = read_fields(tmp_path).fields
    np.testing.assert_array_equal(read_field(field), expected)
    assert (field.labels, field.group) == ((), "7_C5")


def test_missing_channels_and_repeated_fields_are_refused(tmp_path):
    layout_files.write_table(tmp_path / "IF-image.csv", HEADER, ROW, ROW)
    layout_files.write_colours(tmp_path / "7" / "7_C5_1", colours=("red", "blue"))
    with pytest.raises(DataError, match=r"no green, yellow of field '7_C5_1'"):
        read_fields(tmp_path)
    with pytest.raises(DataError, match=r"repeated.*line 3 and in .*line 2"):
        read_fields(tmp_path, channels=["red"])


@pytest.mark.parametrize("name", ["/archive/7/../../etc/passwd", "", "7_C5", "7_Z5_1_"])
def test_a_wrong_filename_is_refused_with_its_line(tmp_path, name):
    table = layout_files.write_table(
        tmp_path / "IF-image.csv", "filename,locations", f"{name},x"
    )
    with pytest.raises(DataError, match=rf"{table} line 2"):
        read_fields(tmp_path)


def test_channels_of_subcell_are_reordered(tmp_path):
    image = layout_files.write(tmp_path / "7" / CROP, 4)
    layout_files.write(tmp_path / "7" / "7_C5_1_12_cell_mask.png")
    rows = (CROP_ROW, CROP_ROW.replace("12.0", "13"))
    numbered = [f"{number},{row}" for number, row in enumerate(rows)]
    layout_files.write_table(tmp_path / "metadata.csv", f",{CROP_HEADER}", *numbered)
    folder = read_fields(tmp_path)
    assert (folder.layout, folder.channels) == ("subcell", layout_files.COLOURS)
    (field,) = folder.fields
    nucleus, reticulum, microtubules, protein = np.moveaxis(image, -1, 0)
    expected = np.stack([microtubules, protein, nucleus, reticulum], axis=-1)
    np.testing.assert_array_equal(read_field(field), expected)
    assert (field.field_id, field.group) == ("7_C5_1_12", "HPA1")
    assert field.labels == ("Nucleoplasm", "Cytosol")
    assert (field.pixel_size, field.metadata) == (0.08, METADATA)
    (field,) = read_fields(tmp_path, channels=["green"]).fields
    np.testing.assert_array_equal(read_field(field)[..., 0], protein)


def test_labels_of_subcell_are_unknown_without_a_table(tmp_path):
    layout_files.write(tmp_path / "7" / CROP, 3)
    (field,) = read_fields(tmp_path).fields
    assert (field.labels, field.group) == ((), "7_C5")
    with pytest.raises(DataError, match=r"expected 4, not 3.*field '7_C5_1_12'"):
        read_field(field)


def test_repeated_crops_of_subcell_are_refused(tmp_path):
    layout_files.write(tmp_path / "7" / CROP, 4)
    table = layout_files.write_table(
        tmp_path / "metadata.csv", CROP_HEADER, CROP_ROW, CROP_ROW
    )
    with pytest.raises(DataError, match=r"'7_C5_1_12' in .*line 3 and in .*line 2"):
        read_fields(tmp_path)
    table.unlink()
    layout_files.write(tmp_path / "8" / "7_C5_1_12.png", 4)
    with pytest.raises(DataError, match=r"'7_C5_1_12' in .*8/7_C5_1_12\.png"):
        read_fields(tmp_path)
