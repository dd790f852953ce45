import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_prep.images.field_images import read_field
from data_prep.layouts import LAYOUTS, read_fields
from tests.data_prep.layouts import pictures
from tfvqgen.errors import DataError, UserError


def test_an_unknown_layout_tells_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UserError, match="the layout is unknown") as error:
        read_fields(tmp_path)
    for name in LAYOUTS:
        assert f"{name}: " in str(error.value)
    with pytest.raises(UserError, match=r"expected one of kaggle2018, .*'tiles'"):
        read_fields(tmp_path, "tiles")
    with pytest.raises(UserError, match="no such folder"):
        read_fields(tmp_path / "none")


def test_an_ambiguous_layout_must_be_said(tmp_path):
    pictures.write_table(tmp_path / "train.csv", "Id,Target", "a1,0")
    pictures.write_colours(tmp_path / "train" / "a1")
    pictures.write_table(
        tmp_path / "manifest.csv", "id,channel:x", "a1,train/a1_red.png"
    )
    with pytest.raises(UserError, match="which of kaggle2018, manifest"):
        read_fields(tmp_path)
    assert read_fields(tmp_path, "kaggle2018").channels == pictures.COLOURS
    assert read_fields(tmp_path, "manifest").channels == ("x",)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_empty_folder_is_a_sentence(tmp_path, layout):
    with pytest.raises(UserError, match="expected"):
        read_fields(tmp_path, layout)


def _kaggle(folder):
    pictures.write_table(folder / "train.csv", "Id,Target", "a1,0")
    pictures.write_colours(folder / "train" / "a1")


def test_a_link_to_a_file_outside_is_refused(tmp_path):
    _kaggle(tmp_path / "data")
    red = tmp_path / "data" / "train" / "a1_red.png"
    red.rename(tmp_path / "secret.png")
    red.symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError, match=r"a link leaves the folder.*a1_red\.png"):
        read_fields(tmp_path / "data")
    red.unlink()
    red.symlink_to("nowhere.png")
    with pytest.raises(DataError, match=r"a1_red\.png"):
        read_fields(tmp_path / "data")


def test_a_link_to_a_folder_is_refused(tmp_path):
    _kaggle(tmp_path / "data")
    (tmp_path / "data" / "train").rename(tmp_path / "elsewhere")
    (tmp_path / "data" / "train").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"a link leaves the folder.*data/train$"):
        read_fields(tmp_path / "data")


def test_links_within_the_folder_and_to_it_are_fine(tmp_path):
    _kaggle(tmp_path / "data")
    red = tmp_path / "data" / "train" / "a1_red.png"
    red.rename(tmp_path / "data" / "r.png")
    red.symlink_to("../r.png")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    assert len(read_fields(tmp_path / "link").fields) == 1


def test_a_link_to_a_table_outside_is_refused(tmp_path):
    _kaggle(tmp_path / "data")
    (tmp_path / "data" / "train.csv").rename(tmp_path / "train.csv")
    (tmp_path / "data" / "train.csv").symlink_to(tmp_path / "train.csv")
    for layout in (None, "kaggle2018"):
        with pytest.raises(DataError, match=r"a link leaves the folder.*train\.csv"):
            read_fields(tmp_path / "data", layout)


@pytest.mark.parametrize(
    ("layout", "name"),
    [
        ("kaggle2018", "train.csv"),
        ("kaggle2021", "train.csv"),
        ("if_image", "IF-image.csv"),
        ("manifest", "manifest.csv"),
    ],
)
def test_a_missing_table_is_named(tmp_path, layout, name):
    with pytest.raises(DataError, match=f"expected {name}. Received: {tmp_path}"):
        read_fields(tmp_path, layout)


def test_a_damaged_field_does_not_keep_others_from_being_read(tmp_path):
    pictures.write_table(tmp_path / "train.csv", "Id,Target", "a1,0", "b2,0")
    pictures.write_colours(tmp_path / "train" / "a1")
    pictures.write_colours(tmp_path / "train" / "b2")
    (tmp_path / "train" / "a1_red.png").write_bytes(b"")
    first, second = read_fields(tmp_path).fields
    with pytest.raises(DataError, match=r"not an image.*a1_red\.png of field 'a1'"):
        read_field(first)
    assert read_field(second).shape == (6, 5, 4)
    stem = tmp_path / "hpa" / "4109" / "7_C5_1"
    pictures.write_colours(stem, ".jpg")
    stem.with_name("7_C5_1_green.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (field,) = read_fields(tmp_path / "hpa").fields
    with pytest.raises(DataError, match=r"not an image.*7_C5_1_green\.jpg"):
        read_field(field)


FILES = (
    ("kaggle2018", "train.csv", "Id,Target\n"),
    ("kaggle2018", "fields.json", ""),
    ("kaggle2021", "train.csv", "ID,Label\n"),
    ("hpa", "subcellular_location.tsv", "Gene\tGene name\tMain location\n"),
    ("hpa", "antibodies.csv", "antibody,gene\n"),
    ("if_image", "IF-image.csv", "filename,locations\n"),
    ("subcell", "metadata.csv", "if_plate_id,position,sample,cell_id,locations\n"),
    ("manifest", "manifest.csv", "id,channel:a,pixel_size\n"),
    ("manifest", "manifest.json", ""),
)
# Words of these tables, so that some lines are nearly right.
WORDS = st.sampled_from(
    ["a1", "7_C5_1_", "7", "C5", "1", "0 1", "0|1", "a.png", "../a", "x#1", "{}", '"']
)
LINES = st.lists(
    st.lists(WORDS | st.text(max_size=8), max_size=6).map(",".join), max_size=4
).map("\n".join)


@pytest.mark.parametrize(("layout", "name", "header"), FILES)
@settings(
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rest=LINES.map(lambda text: text.encode("utf-8", "replace")) | st.binary())
def test_whatever_a_table_says_is_fields_or_a_sentence(
    tmp_path, layout, name, header, rest
):
    if not (tmp_path / "train").exists():
        _kaggle(tmp_path)
        pictures.write_table(tmp_path / "IF-image.csv", "filename,locations")
        pictures.write_table(tmp_path / "manifest.csv", "id,channel:a", "1,a.png")
        pictures.write(tmp_path / "a.png")
        pictures.write_colours(tmp_path / "7" / "7_C5_1")
        pictures.write(tmp_path / "7" / "7_C5_1_1_cell_image.png", 4)
    (tmp_path / name).write_bytes(header.encode() + rest)
    try:
        folder = read_fields(tmp_path, layout)
    except UserError as error:
        assert "expected" in str(error)
    else:
        root = tmp_path.resolve()
        for field in folder.fields:
            for plane in field.planes.values():
                assert plane.path.resolve().is_relative_to(root)


def test_a_link_to_itself_is_refused(tmp_path):
    _kaggle(tmp_path)
    red = tmp_path / "train" / "a1_red.png"
    red.unlink()
    red.symlink_to(red.name)
    with pytest.raises(DataError, match=r"a link leaves the folder.*a1_red\.png"):
        read_fields(tmp_path, "kaggle2018")
