import dataclasses

import pytest

from data_prep.cropping.crop_settings import CropSettings
from data_prep.cropping.field_crops import CropTask
from data_prep.cropping.field_results import (
    error_path,
    forget,
    inputs_of,
    is_done,
    read_outcome,
    result_path,
)
from tests.data_prep.drawn_fields import draw_field, write_fields
from tests.data_prep.layouts import pictures
from tfvqgen.data.crops import Crop
from tfvqgen.files import write_json


@pytest.fixture
def done(tmp_path):
    """Returns a field's task and what it has left."""
    fields = write_fields(tmp_path / "in", [draw_field(side=64, places=())])
    settings = _settings(fields.channels)
    task = CropTask(fields.fields[0], settings, str(tmp_path / "out"))
    pictures.write(tmp_path / "out" / "images" / "a.png")
    size = (tmp_path / "out" / "images" / "a.png").stat().st_size
    crop = Crop("a", "images/a.png", ("Nucleoli",), "g", sha256="0" * 64)
    result_path(task.output, "f0").parent.mkdir()
    result = {
        "inputs": inputs_of(task),
        "crops": [dataclasses.asdict(crop)],
        "bytes": [[size]],
    }
    write_json(result_path(task.output, "f0"), result)
    assert is_done(task) and read_outcome(task).num_crops == 1
    return task, result


def _settings(channels):
    return CropSettings(
        channels=channels,
        dtype="uint8",
        nucleus_channel="blue",
        protein_channel="green",
        crop_size=32,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"labels": 5},
        {"labels": None},
        {"other": 1},
        {"path": ["images/a.png"]},
        {"path": "../../a.png"},
        {"path": ""},
        {"crop_id": 5},
        {"group": None},
        {"sha256": "x"},
    ],
)
def test_a_field_with_a_damaged_result_is_done_again(done, change):
    task, result = done
    result["crops"][0].update(change)
    write_json(result_path(task.output, "f0"), result)
    assert not is_done(task)
    forget(task)
    assert not result_path(task.output, "f0").exists()


@pytest.mark.parametrize("text", ["", "[]", "5", "[" * 100_000, '{"crops": 1}', "\x00"])
def test_no_result_is_too_strange(done, text):
    task, _ = done
    result_path(task.output, "f0").write_text(text)
    assert not is_done(task)
    forget(task)


def test_what_is_forgotten_stays_in_the_folder_of_images(done, tmp_path):
    task, result = done
    (tmp_path / "a.png").write_bytes(b"mine")
    result["crops"][0]["path"] = str(tmp_path / "a.png")
    write_json(result_path(task.output, "f0"), result)
    forget(task)
    assert (tmp_path / "a.png").read_bytes() == b"mine"


def test_an_error_file_of_any_bytes_is_told(done):
    task, _ = done
    error_path(task.output, "f0").write_bytes(b"bad \xff")
    assert read_outcome(task).error.startswith("bad ")
