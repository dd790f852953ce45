import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_prep.images.field_images import read_field
from data_prep.layouts import LAYOUTS, read_fields
from tests.data_prep import layout_files
from tfvqgen.errors import DataError, UserError


def _kaggle(folder):
    layout_files.write_table(folder / "train.csv", "Id,Target", "a1,0")
    layout_files.write_colours(folder / "train" / "a1")


def test_an_unknown_layout_names_the_files_of_all_layouts(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(UserError, match="the layout is unknown") as error:
        read_fields(tmp_path)
    for name in LAYOUTS:
        assert f"{name}: " in str(error.value)
    with pytest.raises(UserError, match=r"expected one of kaggle2018, .*'tiles'"):
        read_fields(tmp_path, "tiles")
    with pytest.raises(UserError, match="no such folder"):
        read_fields(tmp_path / "none")


def test_an_ambiguous_layout_must_be_given(tmp_path):
    _kaggle(tmp_path)
    layout_files.write_table(
        tmp_path / "manifest.csv", "id,channel:x", "a1,train/a1_red.png"
    )
    with pytest.raises(UserError, match="which of kaggle2018, manifest"):
        read_fields(tmp_path)
    assert read_fields(tmp_path, "kaggle2018").channels == layout_files.COLOURS
    assert read_fields(tmp_path, "manifest").channels == ("x",)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_empty_folder_is_refused(tmp_path, layout):
    with pytest.raises(UserError, match="expected"):
        read_fields(tmp_path, layout)


@pytest.mark.parametrize("target", ["secret.png", "nowhere.png", "a1_red.png"])
def test_a_link_that_leaves_the_folder_or_leads_nowhere_is_refused(tmp_path, target):
    _kaggle(tmp_path / "data")
    red = tmp_path / "data" / "train" / "a1_red.png"
    red.rename(tmp_path / "secret.png")
    red.symlink_to(tmp_path / target if target == "secret.png" else target)
    with pytest.raises(DataError, match=r"a link leaves the folder.*a1_red\.png"):
        read_fields(tmp_path / "data")


@pytest.mark.parametrize("name", ["train", "train.csv"])
def test_links_to_other_folders_and_tables_are_refused(tmp_path, name):
    _kaggle(tmp_path / "data")
    (tmp_path / "data" / name).rename(tmp_path / name)
    (tmp_path / "data" / name).symlink_to(tmp_path / name)
    with pytest.raises(DataError, match=rf"a link leaves the folder.*data/{name}$"):
        read_fields(tmp_path / "data", "kaggle2018")


def test_links_within_the_folder_and_to_it_are_followed(tmp_path):
    _kaggle(tmp_path / "data")
    red = tmp_path / "data" / "train" / "a1_red.png"
    red.rename(tmp_path / "data" / "r.png")
    red.symlink_to("../r.png")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    assert len(read_fields(tmp_path / "link").fields) == 1


def test_a_damaged_field_does_not_prevent_reading_others(tmp_path):
    layout_files.write_table(tmp_path / "train.csv", "Id,Target", "a1,0", "b2,0")
    layout_files.write_colours(tmp_path / "train" / "a1", ".jpg")
    layout_files.write_colours(tmp_path / "train" / "b2")
    (tmp_path / "train" / "a1_red.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    first, second = read_fields(tmp_path).fields
    with pytest.raises(DataError, match=r"not an image.*a1_red\.jpg of field 'a1'"):
        read_field(first)
    assert read_field(second).shape == (6, 5, 4)


TABLES = (
    ("kaggle2018", "train.csv", "Id,Target\n"),
    ("kaggle2018", "fields.json", ""),
    ("hpa", "subcellular_location.tsv", "Gene\tGene name\tMain location\n"),
    ("hpa", "antibodies.csv", "antibody,gene\n"),
    ("if_image", "IF-image.csv", "filename,locations\n"),
    ("subcell", "metadata.csv", "if_plate_id,position,sample,cell_id,locations\n"),
    ("manifest", "manifest.csv", "id,channel:a,pixel_size\n"),
)
# Words of these tables, so that some lines are nearly right.
WORDS = st.sampled_from(
    ["a1", "7_C5_1_", "7", "C5", "1", "0 1", "0|1", "a.png", "../a", "x#1", "{}", '"']
)
LINES = st.lists(
    st.lists(WORDS | st.text(max_size=8), max_size=6).map(",".join), max_size=4
).map("\n".join)


@pytest.mark.parametrize(("layout", "name", "header"), TABLES)
@settings(
    deadline=None,
    max_examples=10,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rest=LINES.map(lambda text: text.encode("utf-8", "replace")) | st.binary())
def test_any_table_gives_fields_or_a_user_error(tmp_path, layout, name, header, rest):
    if not (tmp_path / "train").exists():
        _kaggle(tmp_path)
        layout_files.write_table(tmp_path / "IF-image.csv", "filename,locations")
        layout_files.write_table(tmp_path / "manifest.csv", "id,channel:a", "1,a.png")
        layout_files.write(tmp_path / "a.png")
        layout_files.write_colours(tmp_path / "7" / "7_C5_1")
        layout_files.write(tmp_path / "7" / "7_C5_1_1_cell_image.png", 4)
    (tmp_path / name).write_bytes(header.encode() + rest)
    try:
        folder = read_fields(tmp_path, layout)
    except UserError as error:
        assert "expected" in str(error)
    else:
        root = tmp_path.resolve()
        planes = [p for field in folder.fields for p in field.planes.values()]
        assert all(plane.path.resolve().is_relative_to(root) for plane in planes)
