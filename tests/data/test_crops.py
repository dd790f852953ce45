import dataclasses
import json

import pytest

from tests import support
from tfvqgen.data import crops
from tfvqgen.errors import DataError, UserError

CROP = crops.Crop(
    crop_id="a1",
    path="images/a1.png",
    labels=("Cytosol", "Rods & rings"),
    group="well, 1",
    field="f",
    x=3,
    y=4.5,
    size=128,
    pixel_size=0.32,
    accepted=False,
    reason='touches the "border"',
    metadata={"gene": "TP53", "synthetic": "true"},
    sha256="0" * 64,
)


def _write_table(folder, *lines, header=None, encoding="utf-8", newline="\n"):
    folder.mkdir(exist_ok=True)
    about = {"channels": ["r"], "dtype": "uint8", "labels_ordered": True, "credit": ""}
    (folder / "crops.json").write_text(json.dumps(about))
    header = header or ",".join(crops.COLUMNS)
    text = newline.join([header, *lines, ""])
    (folder / "crops.csv").write_bytes(text.encode(encoding))
    return folder


def _line(**changed):
    values = dict.fromkeys(crops.COLUMNS, "")
    values |= {"crop_id": "a", "path": "a.png", "group": "g", "accepted": "true"}
    return ",".join((values | changed).values())


def test_a_table_comes_back_as_it_was(tmp_path):
    plain = crops.Crop(crop_id="b", path="b.png", labels=(), group="g")
    crops.write_crops(
        tmp_path, [CROP, plain], channels=["r", "g"], dtype="uint16", credit="CC BY"
    )
    folder = crops.read_crops(tmp_path)
    assert folder.rows == [CROP, plain]
    assert (folder.channels, folder.dtype) == (("r", "g"), "uint16")
    assert folder.credit == "CC BY" and not folder.labels_ordered
    header = (tmp_path / "crops.csv").read_text().splitlines()[0].split(",")
    assert header == [*crops.COLUMNS, "gene", "synthetic", "sha256"]


def test_a_table_saved_by_a_spreadsheet_or_pandas_is_read(tmp_path):
    # Beside missing values the integers of pandas are floats.
    lines = (_line(labels="A | B|A|", accepted="TRUE", size="64.0"), "")
    lines += (_line(crop_id="b"),)
    folder = _write_table(tmp_path, *lines, encoding="utf-8-sig", newline="\r\n")
    first, second = crops.read_crops(folder).rows
    assert (first.crop_id, first.labels) == ("a", ("A", "B"))
    assert (repr(first.size), second.size) == ("64", None)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"crop_id": ""}, "crop_id"),
        ({"path": "../a.png"}, "inside the folder"),
        ({"accepted": "yes"}, "true or false"),
        ({"size": "12.5"}, "a whole number above 0 or nothing.*size"),
        ({"size": "0"}, "size"),
        ({"pixel_size": "nan"}, "pixel_size"),
        ({"x": "1e999"}, "x="),
        ({"y": "1,2"}, "columns"),
        ({"crop_id": "first"}, "crop_id='first' again"),
    ],
)
def test_a_wrong_value_is_named_with_its_line(tmp_path, changed, words):
    folder = _write_table(tmp_path, _line(crop_id="first"), _line(**changed))
    with pytest.raises(DataError, match=words) as error:
        crops.read_crops(folder)
    assert f"{folder / 'crops.csv'} line 3" in str(error.value)


def test_a_missing_column_is_named(tmp_path):
    header = ",".join(name for name in crops.COLUMNS if name != "group")
    folder = _write_table(tmp_path, header=header)
    with pytest.raises(DataError, match="no group"):
        crops.read_crops(folder)


def test_a_folder_without_crops_is_named(tmp_path):
    with pytest.raises(DataError, match=r"crops\.csv.*Received: .*nothing"):
        crops.read_crops(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("name", "value"),
    [("channels", ["r", "r"]), ("channels", ["../r"]), ("dtype", "float32")],
)
def test_a_wrong_json_file_is_named(tmp_path, name, value):
    folder = _write_table(tmp_path)
    about = json.loads((folder / "crops.json").read_text())
    (folder / "crops.json").write_text(json.dumps(about | {name: value}))
    with pytest.raises(DataError, match=rf"crops\.json.*{name}"):
        crops.read_crops(folder)


@pytest.mark.parametrize(
    "changed",
    [
        {"path": "../a.png"},
        {"labels": ("a|b",)},
        {"group": ""},
        {"metadata": {"x": "1"}},
    ],
)
def test_rows_that_cannot_be_read_back_are_not_written(tmp_path, changed):
    with pytest.raises(UserError):
        rows = [dataclasses.replace(CROP, **changed)]
        crops.write_crops(tmp_path, rows, channels=["r"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["image", "folder"])
def test_an_image_that_is_a_link_out_of_the_folder_is_refused(tmp_path, what):
    folder = support.make_crops(tmp_path / "crops", [["a"]])
    moved = folder / "images" / ("crop0.png" if what == "image" else "")
    moved.rename(tmp_path / "elsewhere")
    moved.symlink_to(tmp_path / "elsewhere")
    found = crops.read_crops(folder)
    with pytest.raises(DataError, match=r"a link leaves the folder.*crop0\.png"):
        found.image_path(found.rows[0])


def test_an_image_may_be_a_link_within_the_folder(tmp_path):
    folder = support.make_crops(tmp_path / "crops", [["a"]])
    (folder / "images" / "crop0.png").rename(folder / "one.png")
    (folder / "images" / "crop0.png").symlink_to("../one.png")
    (tmp_path / "link").symlink_to(folder)
    found = crops.read_crops(tmp_path / "link")
    assert found.image_path(found.rows[0]).read_bytes()
