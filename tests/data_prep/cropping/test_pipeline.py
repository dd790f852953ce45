"""Folders of fields become folders of crops, also after interruptions and errors."""

import csv
import dataclasses

import numpy as np
import pytest

from data_prep.cropping import cutting, field_crops, pipeline
from data_prep.cropping.crop_quality import Thresholds
from tests import support
from tests.data_prep import drawn_fields
from tests.data_prep.drawn_fields import SETTINGS, crop
from tfvqgen import files
from tfvqgen.data import crops, images
from tfvqgen.errors import DataError, UserError


def is_same(*folders):
    first, *others = map(support.digest_of_folder, folders)
    return all(digest == first for digest in others)


def test_rejected_crops_have_a_reason_and_an_image(fields, tmp_path):
    strict = dataclasses.replace(SETTINGS, crop_size=96)
    summary = crop(fields, tmp_path, strict)
    made = crops.read_crops(tmp_path)
    rejected = [row for row in made.rows if not row.accepted]
    assert len(made.rows) == 12 and 0 < len(rejected) < 12
    assert summary.num_accepted == 12 - len(rejected)
    for row in rejected:
        assert "crop leaves the field" in row.reason
        assert images.read_image(made.image_path(row)).shape == (96, 96, 4)
    assert summary.reasons == {"crop leaves the field": len(rejected)}
    assert all(row.reason == "" for row in made.rows if row.accepted)


def test_the_bytes_do_not_depend_on_the_number_of_workers(fields, tmp_path, finished):
    runner = pipeline.local_runner(2)
    crop(fields, tmp_path, runner=runner, num_overlays=1, workers=2)
    assert is_same(tmp_path, finished)


@pytest.mark.parametrize("num_finished", [0, 1])
def test_an_interrupted_run_continues_and_leaves_the_same_bytes(
    fields, tmp_path, finished, num_finished
):
    def interrupted(tasks):
        for number, task in enumerate(tasks):
            if number == num_finished:
                raise KeyboardInterrupt
            yield field_crops.write_field(task)

    with pytest.raises(KeyboardInterrupt):
        crop(fields, tmp_path, runner=interrupted, num_overlays=1)
    assert not (tmp_path / "crops.csv").exists()
    # The files of a process that is killed in the middle of a field.
    (tmp_path / "images" / "f2-001.png").write_bytes(b"half")
    (tmp_path / "images" / f".f2-002.png.{'0' * 16}").write_bytes(b"half")
    (tmp_path / "fields" / f".f2.json.{'f' * 16}").write_bytes(b"{")
    started = []

    def remaining(tasks):
        started.extend(task.field.field_id for task in tasks)
        return map(field_crops.write_field, tasks)

    crop(fields, tmp_path, runner=remaining, num_overlays=1)
    assert started == [f"f{number}" for number in range(num_finished, 3)]
    assert is_same(tmp_path, finished)


def test_a_finished_folder_is_not_changed(fields, finished, copy_of):
    output = copy_of(finished)
    table = output / "crops.csv"
    table.write_text(table.read_text().replace("Cytosol", "Actin filaments"))
    (output / "images" / ".ipynb_checkpoints").mkdir()
    before = support.digest_of_folder(output)
    assert crop(fields, output).num_crops == 12
    assert support.digest_of_folder(output) == before


def test_a_changed_field_is_cut_again_and_its_old_images_are_removed(tmp_path):
    arrays = [drawn_fields.draw_field(seed) for seed in range(2)]
    folder = drawn_fields.write_fields(tmp_path / "fields", arrays)
    crop(folder, tmp_path / "crops")
    arrays[1] = drawn_fields.draw_field(1, drawn_fields.PLACES[:2])
    folder = drawn_fields.write_fields(tmp_path / "fields", arrays)
    assert crop(folder, tmp_path / "crops").num_crops == 6
    crop(folder, tmp_path / "new")
    assert is_same(tmp_path / "crops", tmp_path / "new")


def test_other_settings_are_refused_with_the_difference(fields, finished, copy_of):
    output = copy_of(finished)
    intensity = cutting.Intensity("field", 1, 99)
    other = dataclasses.replace(SETTINGS, crop_size=32, intensity=intensity)
    with pytest.raises(UserError, match="crop_size 64 there, 32 now") as raised:
        crop(fields, output, other)
    assert "intensity.mode 'fixed' there, 'field' now" in str(raised.value)
    assert is_same(output, finished)


def test_other_limits_are_applied_without_cutting(fields, tmp_path, finished, copy_of):
    output = copy_of(finished)
    limits = Thresholds(least_nucleus_area=200.0, most_crowding=None)
    strict = dataclasses.replace(SETTINGS, thresholds=limits)

    def nothing(tasks):
        assert not tasks
        return ()

    summary = crop(fields, output, strict, runner=nothing, num_overlays=1)
    assert summary.num_accepted == 0
    crop(fields, tmp_path / "new", strict, num_overlays=1)
    assert is_same(output, tmp_path / "new")


def test_crops_of_other_fields_are_refused(fields, finished, copy_of):
    output = copy_of(finished)
    fewer = dataclasses.replace(fields, fields=fields.fields[1:])
    with pytest.raises(UserError, match=r"crops of other fields.*for example f0"):
        crop(fewer, output)
    assert is_same(output, finished)


def test_a_folder_with_other_files_is_not_changed(fields, tmp_path):
    (tmp_path / ".profile").write_text("mine")
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / ".hidden").write_text("mine")
    before = support.digest_of_folder(tmp_path)
    with pytest.raises(UserError, match="the folder contains other files"):
        crop(fields, tmp_path)
    assert support.digest_of_folder(tmp_path) == before


@pytest.fixture
def damaged(tmp_path):
    """Returns three fields, of which the second is truncated."""
    arrays = [drawn_fields.draw_field(seed) for seed in range(3)]
    made = drawn_fields.write_fields(tmp_path / "fields", arrays)
    path = made.fields[1].planes["green"].path
    path.write_bytes(path.read_bytes()[:2000])
    return made


def test_an_unreadable_field_stops_the_run(damaged, tmp_path, capsys):
    message = "expected at most 0 .* the last is f1: .*f1_green.png"
    with pytest.raises(DataError, match=message):
        crop(damaged, tmp_path / "crops")
    assert "bad field f1" not in capsys.readouterr().err  # The error names it.
    assert not (tmp_path / "crops" / "crops.csv").exists()


def test_unreadable_fields_within_the_limit_are_listed_and_tried_again(
    damaged, fields, finished, tmp_path, capsys
):
    output = tmp_path / "crops"
    summary = crop(damaged, output, max_bad_fields=1, num_overlays=3)
    assert "bad field f1: " in capsys.readouterr().err
    assert summary.num_fields == 2 and list(summary.bad_fields) == ["f1"]
    assert {row.field for row in crops.read_crops(output).rows} == {"f0", "f2"}
    with open(output / "bad_fields.csv", newline="") as file:
        (bad,) = csv.DictReader(file)
    assert bad["field"] == "f1" and "f1_green.png" in bad["reason"]
    drawn = sorted(path.name for path in (output / "overlays").iterdir())
    assert drawn == ["f0.png", "f2.png"]
    # The next run finds the field repaired.
    assert crop(fields, output, num_overlays=3).num_fields == 3
    for name in ("f0.png", "f2.png"):
        (output / "overlays" / name).unlink()
    assert is_same(output, finished)


def test_a_folder_without_any_readable_field_is_an_error(fields, tmp_path):
    # No field is large enough for this scale.
    settings = dataclasses.replace(SETTINGS, scale=1000.0)
    with pytest.raises(DataError, match=r"no field could be read.* first is f0"):
        crop(fields, tmp_path / "crops", settings, max_bad_fields=9)
    assert not (tmp_path / "crops" / "crops.csv").exists()


def test_a_full_disk_is_not_an_unreadable_field(fields, tmp_path, monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device", "f0-001.png")

    monkeypatch.setattr(field_crops, "write_image", full)
    with pytest.raises(OSError, match="No space left"):
        crop(fields, tmp_path, max_bad_fields=9)


def test_fields_with_another_number_of_bits_are_refused(tmp_path):
    arrays = [np.zeros((96, 96, 4), dtype) for dtype in ("uint8", "uint16")]
    folder = drawn_fields.write_fields(tmp_path / "fields", arrays)
    with pytest.raises(DataError, match=r"another depth: expected uint8 .* field f1"):
        crop(folder, tmp_path / "crops")


def test_fields_without_nuclei_leave_a_table_without_rows(tmp_path):
    array = drawn_fields.draw_field(places=())
    folder = drawn_fields.write_fields(tmp_path / "fields", [array])
    summary = crop(folder, tmp_path / "crops", num_overlays=1)
    assert (summary.num_fields, summary.num_crops) == (1, 0)
    assert crops.read_crops(tmp_path / "crops").rows == []


def test_two_runs_do_not_write_to_one_folder(fields, tmp_path):
    with (
        files.exclusive(tmp_path, "it"),
        pytest.raises(UserError, match="in use by another run"),
    ):
        crop(fields, tmp_path)
