""""""

import dataclasses
import hashlib
import io
import json
import pickle

import numpy as np
import pytest

from data_prep.embedding import crop_features
from tests import support
from tfvqgen.data.crops import read_crops
from tfvqgen.errors import DataError, UserError

VALUES = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
IDS = [f"crop{i}" for i in range(5)]
HASHES = [f"{i:064x}" for i in range(5)]


def write(folder, batches=(VALUES,), **changed):
    about = {"crop_ids": IDS, "crops": HASHES, "model": "m", "config": {"block": 3}}
    return crop_features.write_features(folder, batches, **about | changed)


@pytest.mark.parametrize("name", ["crop_ids", "crops"])
@pytest.mark.parametrize("value", [5, {"a": "b"}, "text", [1, 2], None])
def test_a_description_of_another_form_is_refused(tmp_path, name, value):
    write(tmp_path)
    path = tmp_path / "features.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(DataError, match=r"features\.json: expected .*Received"):
        crop_features.read_features(tmp_path)


@pytest.mark.parametrize("sizes", [(5,), (2, 2, 1), (1, 4)])
def test_features_come_back_as_they_were_in_whatever_batches(tmp_path, sizes):
    digest = write(tmp_path, np.split(VALUES, np.cumsum(sizes)[:-1]))
    found = crop_features.read_features(tmp_path)
    np.testing.assert_array_equal(found.values, VALUES)
    assert found.values.dtype == np.float32
    assert (found.crop_ids, found.crops) == (tuple(IDS), tuple(HASHES))
    assert (found.model, found.config) == ("m", {"block": 3})
    assert found.sha256 == digest
    np.testing.assert_array_equal(np.load(tmp_path / "features.npy"), VALUES)


def test_crops_without_features_are_told_how_to_get_them(tmp_path):
    with pytest.raises(DataError, match=r"no features.*data_prep embed --crops"):
        crop_features.read_features(tmp_path)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([VALUES[:4]], "expected 5 rows. Received: 4"),
        ([], "expected 5 rows. Received: 0"),
        ([VALUES, VALUES[:1]], "expected 5 rows of 3"),
        ([VALUES[:2], VALUES[2:, :2]], "expected 5 rows of 3"),
        ([VALUES * np.where(np.arange(15) == 10, np.nan, 1).reshape(5, 3)], "'crop3'"),
    ],
)
def test_wrong_features_leave_nothing_behind(tmp_path, batches, message):
    with pytest.raises(UserError, match=message):
        write(tmp_path, batches)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "changed",
    [
        {"crop_ids": IDS[:4]},
        {"crop_ids": [*IDS[:4], "crop0"]},
        {"crops": [*HASHES[:4], "unknown"]},
    ],
)
def test_rows_that_are_not_named_are_refused(tmp_path, changed):
    with pytest.raises(
        DataError, match=r"wrong the features: expected (crop_ids|crops|a hash)"
    ):
        write(tmp_path, **changed)


def test_numbers_of_another_run_are_refused(tmp_path):
    write(tmp_path)
    np.save(tmp_path / "features.npy", VALUES + 1)
    with pytest.raises(DataError, match=r"features\.json does not describe"):
        crop_features.read_features(tmp_path)


@pytest.mark.parametrize("name", [crop_features.ARRAY, crop_features.ABOUT])
def test_a_missing_file_is_named(tmp_path, name):
    write(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        crop_features.read_features(tmp_path)


@pytest.mark.parametrize(
    "changed",
    [{"format": 2}, {"crops": None}, {"config": []}, {"crop_ids": [1]}, {"sha256": 7}],
)
def test_a_wrong_description_is_refused(tmp_path, changed):
    write(tmp_path)
    path = tmp_path / "features.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(DataError, match=r"wrong .*features\.json: expected"):
        crop_features.read_features(tmp_path)


def test_features_are_current_until_a_crop_is_changed_added_or_removed(tmp_path):
    folder = read_crops(support.make_crops(tmp_path / "crops", [["a"]] * 5))
    write(tmp_path, crops=[crop.sha256 for crop in folder.rows])
    found = crop_features.read_features(tmp_path)
    rows = folder.rows
    unknown = dataclasses.replace(rows[2], sha256="")
    crop_features.require_current(found, folder)
    for same in (rows[::-1], [*rows[:2], unknown, *rows[3:]]):
        crop_features.require_current(found, dataclasses.replace(folder, rows=same))
    changed = dataclasses.replace(rows[2], sha256="0" * 64)
    added = dataclasses.replace(rows[2], crop_id="crop9")
    for other, name in (
        ([*rows[:2], changed, *rows[3:]], "crop2"),
        ([*rows, added], "crop9"),
        (rows[1:], "crop0"),
    ):
        with pytest.raises(DataError, match=f"1 crops that were .*'{name}'"):
            crop_features.require_current(
                found, dataclasses.replace(folder, rows=other)
            )


class Trap:
    """Leaves a trace where somebody unpickles it."""

    sprung = False

    def __reduce__(self):
        return setattr, (Trap, "sprung", True)


def _array_of(kind):
    file = io.BytesIO()
    objects = np.array([Trap()] * len(VALUES), object)
    match kind:
        case "objects":
            np.save(file, objects, allow_pickle=True)
        case "pickle":
            file.write(pickle.dumps(Trap()))
        case "zip":
            np.savez(file, values=VALUES)
        case "zip of objects":
            np.savez(file, values=objects)
        case "huge":
            np.save(file, VALUES)
            return file.getvalue().replace(b", 3)", b", 9999999999)")
        case "unfinished":
            np.save(file, VALUES)
            return file.getvalue().replace(b"(", b"(" * 9)
        case "cut":
            np.save(file, VALUES)
            return file.getvalue()[:-1]
    return file.getvalue()


@pytest.mark.parametrize(
    "kind",
    ["objects", "pickle", "zip", "zip of objects", "huge", "unfinished", "cut"],
)
def test_no_array_is_unpickled_unzipped_or_believed_its_size(tmp_path, kind):
    write(tmp_path)
    data = _array_of(kind)
    (tmp_path / crop_features.ARRAY).write_bytes(data)
    about = json.loads((tmp_path / crop_features.ABOUT).read_text())
    about["sha256"] = hashlib.sha256(data).hexdigest()
    (tmp_path / crop_features.ABOUT).write_text(json.dumps(about))
    with pytest.raises(DataError, match=r"features.*expected.*features\.npy"):
        crop_features.read_features(tmp_path)
    assert not Trap.sprung


@pytest.mark.parametrize("ids", [5, True, "abc", None, {"a": 1}, [1]])
def test_names_of_another_type_are_refused(tmp_path, ids):
    write(tmp_path)
    about = json.loads((tmp_path / crop_features.ABOUT).read_text())
    for name in ("crop_ids", "crops"):
        (tmp_path / crop_features.ABOUT).write_text(json.dumps({**about, name: ids}))
        with pytest.raises(DataError, match="expected"):
            crop_features.read_features(tmp_path)
