import dataclasses
import json

import numpy as np
import pytest

from data_prep.embedding import crop_features
from tests import support
from tfvqgen.data.crops import read_crops
from tfvqgen.errors import DataError, UserError

VALUES = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
IDS = [f"crop{i}" for i in range(5)]
HASHES = [f"{i:064x}" for i in range(5)]


def write(folder, values=VALUES, **changed):
    described = {"crop_ids": IDS, "crops": HASHES, "model": "m", "config": {"block": 3}}
    return crop_features.write_features(folder, values, **described | changed)


def describe(folder, **changed):
    path = folder / crop_features.DESCRIPTION
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def test_features_are_read_as_they_were_written(tmp_path):
    digest = write(tmp_path)
    found = crop_features.read_features(tmp_path)
    np.testing.assert_array_equal(found.values, VALUES)
    assert found.values.dtype == np.float32
    assert (found.crop_ids, found.crops) == (tuple(IDS), tuple(HASHES))
    assert (found.model, found.config) == ("m", {"block": 3})
    assert found.sha256 == digest
    np.testing.assert_array_equal(np.load(tmp_path / "features.npy"), VALUES)


def test_features_that_are_not_finite_leave_no_files(tmp_path):
    wrong = np.where(np.arange(15).reshape(5, 3) == 10, np.nan, VALUES)
    with pytest.raises(UserError, match="'crop3'"):
        write(tmp_path, wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [crop_features.ARRAY, crop_features.DESCRIPTION])
def test_a_missing_file_is_named_with_the_command_that_writes_it(tmp_path, name):
    write(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(DataError, match=r"no features.*data_prep embed --crops"):
        crop_features.read_features(tmp_path)


def test_features_of_another_run_are_refused(tmp_path):
    write(tmp_path)
    np.save(tmp_path / "features.npy", VALUES + 1)
    with pytest.raises(DataError, match=r"features\.json does not describe"):
        crop_features.read_features(tmp_path)


@pytest.mark.parametrize(
    "changed",
    [
        {"format": 2},
        {"config": []},
        {"sha256": 7},
        {"crops": None},
        {"crop_ids": [1, 2, 3, 4, 5]},
        {"crop_ids": ["crop0"] * 5},
        {"crop_ids": IDS[:4]},
    ],
)
def test_a_wrong_description_is_refused(tmp_path, changed):
    write(tmp_path)
    describe(tmp_path, **changed)
    with pytest.raises(DataError, match=r"wrong value in .*features\.json"):
        crop_features.read_features(tmp_path)


class Trap:
    """Leaves a trace when it is unpickled."""

    sprung = False

    def __reduce__(self):
        return setattr, (Trap, "sprung", True)


def save_objects(path):
    np.save(path, np.array([Trap()] * len(VALUES), object), allow_pickle=True)


def save_archive(path):
    with open(path, "wb") as file:
        np.savez(file, values=VALUES)


@pytest.mark.parametrize(
    "save",
    [
        save_objects,
        save_archive,
        lambda path: path.write_bytes(path.read_bytes()[:-4]),
        lambda path: np.save(path, VALUES.astype(np.float64)),
        lambda path: np.save(path, VALUES[:4]),
        lambda path: np.save(path, VALUES * np.inf),
    ],
)
def test_a_wrong_array_is_refused_and_nothing_is_unpickled(tmp_path, save):
    write(tmp_path)
    path = tmp_path / crop_features.ARRAY
    save(path)
    describe(tmp_path, sha256=crop_features.sha256_of_file(path))
    with pytest.raises(DataError, match=r"damaged features.*features\.npy"):
        crop_features.read_features(tmp_path)
    assert not Trap.sprung


def test_features_are_current_until_a_crop_is_changed_added_or_removed(tmp_path):
    folder = read_crops(support.make_crops(tmp_path / "crops", [["a"]] * 5))
    write(tmp_path, crops=[crop.sha256 for crop in folder.rows])
    found = crop_features.read_features(tmp_path)
    rows = folder.rows
    unknown = dataclasses.replace(rows[2], sha256="")
    for same in (rows, rows[::-1], [*rows[:2], unknown, *rows[3:]]):
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
