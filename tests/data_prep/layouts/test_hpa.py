import numpy as np
import pytest

from data_prep.images.field_images import read_field
from data_prep.layouts import read_fields
from tests.data_prep import layout_files
from tfvqgen.errors import DataError

LOCATIONS = (
    "Gene\tGene name\tReliability\tMain location\tAdditional location\tUncertain",
    "ENSG01\tTP53\tEnhanced\tNucleoplasm;Cytosol\tVesicles\tCytosol",
    "ENSG02\tACTB\tUncertain\tActin filaments\t\t",
)
RGB = ["red", "green", "blue"]
TP53 = ("TP53", ("Nucleoplasm", "Vesicles"))


def test_single_channels_of_all_kinds_are_read(tmp_path):
    stem = tmp_path / "4109" / "7_C5_1"
    parts = {
        "7_C5_1_red.jpg": 1,
        "7_C5_1_green.jpg.gz": 3,
        "7_C5_1_blue.png": 1,
        "7_C5_1_yellow.JPG": 3,
    }
    images = [
        layout_files.write(stem.with_name(name), channels, seed=channels)
        for name, channels in parts.items()
    ]
    folder = read_fields(tmp_path)
    assert folder.layout == "hpa"
    (field,) = folder.fields
    expected = [
        images[0][..., 0],
        images[1][..., 1],
        images[2][..., 0],
        images[3][..., 0],
    ]
    np.testing.assert_array_equal(read_field(field), np.stack(expected, axis=-1))
    assert (field.field_id, field.group, field.labels) == ("4109_7_C5_1", "4109", ())
    assert field.metadata == {
        "codec": "jpeg+png",
        "antibody": "4109",
        "plate": "7",
        "well": "C5",
    }
    assert field.pixel_size == 0.08
    layout_files.write(stem.with_name("7_C5_1_z01_green.jpg"), 3)
    fields = read_fields(tmp_path, channels=["green"]).fields
    assert [field.field_id for field in fields] == ["4109_7_C5_1", "4109_7_C5_1_z01"]


def test_a_combined_image_shows_each_channel_in_its_colour(tmp_path):
    name = "1832_H12_2_blue_red_green.jpg"
    image = layout_files.write(tmp_path / "4109" / name, 3)
    with pytest.raises(DataError, match=r"no yellow of field '4109_1832_H12_2'"):
        read_fields(tmp_path)
    (field,) = read_fields(tmp_path, channels=RGB).fields
    np.testing.assert_array_equal(read_field(field), image)
    # A file of one channel is preferred.
    blue = layout_files.write(tmp_path / "4109" / "1832_H12_2_blue.jpg", seed=9)
    (field,) = read_fields(tmp_path, channels=["blue", "red"]).fields
    expected = np.stack([blue[..., 0], image[..., 0]], axis=-1)
    np.testing.assert_array_equal(read_field(field), expected)
    # Yellow cannot be separated from red and green.
    layout_files.write(tmp_path / "1" / "7_C5_1_blue_red_green_yellow.jpg", 3)
    with pytest.raises(DataError, match="no red, green, blue of field '1_7_C5_1'"):
        read_fields(tmp_path, channels=RGB)


def _labels(tmp_path, *antibodies, locations=LOCATIONS):
    for antibody in antibodies:
        layout_files.write(tmp_path / antibody / "7_C5_1_blue_red_green.jpg", 3)
    layout_files.write_table(tmp_path / "subcellular_location.tsv", *locations)
    fields = read_fields(tmp_path, channels=RGB).fields
    return {field.metadata["antibody"]: (field.group, field.labels) for field in fields}


def test_labels_are_those_of_the_gene_without_uncertain_ones(tmp_path):
    layout_files.write_table(
        tmp_path / "antibodies.csv",
        "antibody,gene",
        "HPA004109,ENSG01",
        "777,ACTB",
        "CAB001,TP53",
    )
    assert _labels(tmp_path, "4109", "HPA000777", "CAB001", "9", "ENSG01") == {
        "4109": TP53,
        "CAB001": TP53,
        "HPA000777": ("ACTB", ()),
        "9": ("9", ()),
        "ENSG01": TP53,
    }


def test_the_table_of_the_atlas_gives_the_genes_of_antibodies(tmp_path):
    with pytest.raises(DataError, match=r"expected antibodies\.csv .antibody,gene"):
        _labels(tmp_path, "4109")
    layout_files.write_table(
        tmp_path / "proteinatlas.tsv",
        "Gene\tEnsembl\tAntibody",
        "TP53\tENSG01\tCAB2, HPA004109",
    )
    assert _labels(tmp_path, "4109") == {"4109": TP53}


def test_old_tables_have_locations_by_reliability(tmp_path):
    header = "Gene\tGene name\tReliability\tEnhanced\tSupported\tApproved\tUncertain"
    line = "ENSG01\tTP53\tSupported\tCytosol\tNucleoli;Vesicles\t\tGolgi apparatus"
    found = _labels(tmp_path, "ENSG01", locations=(header, line))
    assert found["ENSG01"][1] == ("Cytosol", "Nucleoli", "Vesicles")


def test_files_with_other_names_are_left_out(tmp_path):
    names = ("7_C5_1_mauve.jpg", "7_Z5_1_red.jpg", "x_C5_1_red.jpg", "a/7_C5_1.jpg")
    for name in names:
        layout_files.write(tmp_path / "ENSG01" / name)
    layout_files.write(tmp_path / "7_C5_1_blue.jpg")
    assert list(_labels(tmp_path, "ENSG01")) == ["ENSG01"]
