import numpy as np
import pytest

from data_prep.images.field_images import read_field
from data_prep.layouts import read_fields
from tests.data_prep.layouts import pictures
from tfvqgen.errors import DataError

LOCATIONS = (
    "Gene\tGene name\tReliability\tMain location\tAdditional location\tUncertain",
    "ENSG01\tTP53\tEnhanced\tNucleoplasm;Cytosol\tVesicles\tCytosol",
    "ENSG02\tACTB\tUncertain\tActin filaments\t\t",
    'ENSG03\t"odd"\tApproved\tMitochondria\t\t',
)
RGB = ["red", "green", "blue"]


def test_single_channels_are_read_whatever_they_are_kept_in(tmp_path):
    stem = tmp_path / "4109" / "7_C5_1"
    grey = pictures.write(stem.with_name("7_C5_1_red.jpg"), seed=1)
    shown = pictures.write(stem.with_name("7_C5_1_z01_green.jpg"), 3, seed=2)
    green = pictures.write(stem.with_name("7_C5_1_green.jpg.gz"), 3, seed=3)
    blue = pictures.write(stem.with_name("7_C5_1_blue.png"), seed=4)
    yellow = pictures.write(stem.with_name("7_C5_1_yellow.jpg"), 3, seed=5)
    folder = read_fields(tmp_path, channels=["green"])
    assert folder.layout == "hpa"
    plain, sliced = folder.fields
    assert (plain.field_id, sliced.field_id) == ("4109_7_C5_1", "4109_7_C5_1_z01")
    np.testing.assert_array_equal(read_field(sliced)[..., 0], shown[..., 1])
    for path in tmp_path.rglob("*z01*"):
        path.unlink()
    (field,) = read_fields(tmp_path).fields
    expected = [grey[..., 0], green[..., 1], blue[..., 0], yellow[..., 0]]
    np.testing.assert_array_equal(read_field(field), np.stack(expected, axis=-1))
    assert field.metadata == {
        "codec": "jpeg+png",
        "antibody": "4109",
        "plate": "7",
        "well": "C5",
    }
    assert field.pixel_size == 0.08
    assert (field.labels, field.group) == ((), "4109")


def test_a_combined_picture_shows_each_channel_in_its_colour(tmp_path):
    name = "1832_H12_2_blue_red_green.jpg"
    image = pictures.write(tmp_path / "4109" / name, 3)
    with pytest.raises(DataError, match=r"no yellow of field '4109_1832_H12_2'"):
        read_fields(tmp_path)
    (field,) = read_fields(tmp_path, channels=RGB).fields
    np.testing.assert_array_equal(read_field(field), image)
    # A file of its own holds less of the others.
    blue = pictures.write(tmp_path / "4109" / "1832_H12_2_blue.jpg", seed=9)
    (field,) = read_fields(tmp_path, channels=["blue", "red"]).fields
    expected = np.stack([blue[..., 0], image[..., 0]], axis=-1)
    np.testing.assert_array_equal(read_field(field), expected)


def test_yellow_can_t_be_told_from_red_and_green_in_one_picture(tmp_path):
    pictures.write(tmp_path / "4109" / "7_C5_1_blue_red_green_yellow.jpg", 3)
    with pytest.raises(DataError, match="no red, green, blue of field"):
        read_fields(tmp_path, channels=RGB)


def _make(tmp_path, *antibodies):
    for antibody in antibodies:
        pictures.write(tmp_path / antibody / "7_C5_1_blue_red_green.jpg", 3)
    pictures.write_table(tmp_path / "subcellular_location.tsv", *LOCATIONS)


def _labels(tmp_path):
    fields = read_fields(tmp_path, channels=RGB).fields
    return {field.metadata["antibody"]: (field.group, field.labels) for field in fields}


def test_labels_are_those_of_the_gene_without_uncertain_ones(tmp_path):
    _make(tmp_path, "4109", "HPA000777", "CAB001", "9")
    pictures.write_table(
        tmp_path / "antibodies.csv",
        "antibody,gene",
        "HPA004109,ENSG01",
        "777,ACTB",
        "CAB001,TP53",
    )
    assert _labels(tmp_path) == {
        "4109": ("TP53", ("Nucleoplasm", "Vesicles")),
        "CAB001": ("TP53", ("Nucleoplasm", "Vesicles")),
        "HPA000777": ("ACTB", ()),
        "9": ("9", ()),
    }


def test_the_atlas_table_says_which_gene_an_antibody_is_for(tmp_path):
    _make(tmp_path, "4109")
    pictures.write_table(
        tmp_path / "proteinatlas.tsv",
        "Gene\tEnsembl\tAntibody",
        "TP53\tENSG01\tCAB2, HPA004109",
    )
    assert _labels(tmp_path) == {"4109": ("TP53", ("Nucleoplasm", "Vesicles"))}


def test_folders_may_be_called_by_gene(tmp_path):
    _make(tmp_path, "ENSG01")
    assert _labels(tmp_path)["ENSG01"] == ("TP53", ("Nucleoplasm", "Vesicles"))


def test_old_tables_have_their_locations_by_reliability(tmp_path):
    _make(tmp_path, "ENSG01")
    pictures.write_table(
        tmp_path / "subcellular_location.tsv",
        "Gene\tGene name\tReliability\tEnhanced\tSupported\tApproved\tUncertain",
        "ENSG01\tTP53\tSupported\tCytosol\tNucleoli;Vesicles\t\tGolgi apparatus",
    )
    assert _labels(tmp_path)["ENSG01"][1] == ("Cytosol", "Nucleoli", "Vesicles")


def test_a_table_that_fits_no_folder_is_an_error(tmp_path):
    _make(tmp_path, "4109")
    with pytest.raises(DataError, match=r"expected antibodies\.csv .antibody,gene"):
        read_fields(tmp_path, channels=RGB)


def test_other_names_are_passed_over(tmp_path):
    _make(tmp_path, "ENSG01")
    for name in (
        "7_C5_1_mauve.jpg",
        "7_Z5_1_red.jpg",
        "x_C5_1_red.jpg",
        "a/7_C5_1.jpg",
    ):
        pictures.write(tmp_path / "ENSG01" / name)
    pictures.write(tmp_path / "7_C5_1_blue.jpg")
    assert len(read_fields(tmp_path, channels=RGB).fields) == 1
