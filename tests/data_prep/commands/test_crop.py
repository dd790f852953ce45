"""The command ``crop``: flags, messages, and a kill in the middle of its work."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from data_prep.commands import crop
from data_prep.images.field_images import read_field_image
from tests import support
from tests.data_prep import drawn_fields
from tfvqgen.data import crops
from tfvqgen.errors import UserError
from tfvqgen.files import write_json


def kaggle_folder(folder, number):
    """Writes fields in the layout of Kaggle 2018."""
    arrays = [drawn_fields.draw_field(seed) for seed in range(number)]
    drawn_fields.write_fields(folder / "train", arrays)
    lines = ["Id,Target", *(f"f{index},0 25" for index in range(number))]
    (folder / "train.csv").write_text("\n".join(lines))
    info = {
        "channels": list(drawn_fields.CHANNELS),
        "pixel_size": drawn_fields.PIXEL_SIZE,
        "synthetic": True,
        "credit": "drawn",
    }
    write_json(folder / "fields.json", info)
    return folder


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    return kaggle_folder(tmp_path_factory.mktemp("fields"), 2)


def run(*flags):
    support.run_command(crop, "--workers", 1, *flags)


def test_one_command_makes_crops_of_a_folder_of_fields(fields, tmp_path, capsys):
    output = tmp_path / "crops"
    run("--fields", fields, "--output", output, "--crop_size", 64)
    made = crops.read_crops(output)
    assert len(made.rows) == 8 and made.credit == "drawn"
    assert made.rows[0].labels == ("Nucleoplasm", "Cytosol")
    assert "crops    8, one a nucleus; 8 accepted" in capsys.readouterr().out
    assert (output / "contact_sheet.png").exists()
    assert len(list((output / "overlays").iterdir())) == 2


def test_the_command_advises_what_to_check_if_no_crop_is_accepted(
    fields, tmp_path, capsys
):
    flags = ("--fields", fields, "--overlays", 0)
    run(*flags, "--output", tmp_path / "all", "--threshold", "least_focus=9")
    assert "no crop was accepted: check --pixel_size" in capsys.readouterr().err


def test_channels_are_chosen_and_a_threshold_is_changed_and_removed(fields, tmp_path):
    flags = ("--fields", fields, "--overlays", 0, "--crop_size", 96)
    flags += ("--output", tmp_path / "crops")
    flags += ("--channels", "blue,green")
    run(*flags, "--threshold", "least_nucleus_area=400")
    made = crops.read_crops(tmp_path / "crops")
    assert made.channels == ("blue", "green")
    assert not any(row.accepted for row in made.rows)
    run(*flags, "--threshold", "least_inside_field=none")
    assert all(row.accepted for row in crops.read_crops(tmp_path / "crops").rows)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--crop_size", 4), "crop_size is out of range"),
        (("--masks", "nowhere"), "expected both --masks and --mask_kind"),
        (("--masks", "nowhere", "--mask_kind", "cells"), "no masks"),
        (("--channels", "red,green"), "the nucleus channel is not known"),
        (("--threshold", "least_focs=1"), "unknown --threshold: expected one of"),
        (("--threshold", "least_focus=inf"), "expected a number or none"),
        (("--intensity_range", "0,99"), "from 0 to 1"),
        (("--beam_args=--runner=x",), "--beam_args without Beam"),
    ],
)
def test_wrong_flags_are_refused_before_anything_is_written(
    fields, tmp_path, flags, message
):
    with pytest.raises(UserError, match=message):
        run("--fields", fields, "--output", tmp_path / "new", *flags)
    assert not (tmp_path / "new").exists()


def test_crops_are_not_written_among_the_fields(fields, tmp_path):
    (tmp_path / "link").symlink_to(fields)
    for output in (fields, fields / "crops", tmp_path / "link" / "crops"):
        with pytest.raises(UserError, match="lies in the folder that is read"):
            run("--fields", fields, "--output", output)
    assert not (fields / "crops").exists()


@pytest.mark.skipif("TFVQGEN_HPA_FIELDS" not in os.environ, reason="needs real fields")
def test_real_fields_of_full_size_are_cut_cell_by_cell(tmp_path):
    fields = Path(os.environ["TFVQGEN_HPA_FIELDS"]) / "full_size"
    masks = fields / "cell_masks"
    flags = ("--fields", fields, "--masks", masks, "--mask_kind", "cells")
    run(*flags, "--mask_neighbours", "--output", tmp_path)
    made = crops.read_crops(tmp_path)
    for path in masks.iterdir():
        cells = np.unique(read_field_image(path))
        rows = [row for row in made.rows if row.field == path.stem]
        assert len(rows) == np.count_nonzero(cells)
    assert {row.pixel_size for row in made.rows} == {0.32}
    assert sum(row.accepted for row in made.rows) >= 15


def test_a_killed_run_continues_without_tensorflow_and_leaves_the_same_bytes(tmp_path):
    fields = kaggle_folder(tmp_path / "fields", 8)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    flags = ("--fields", fields, "--overlays", 1, "--crop_size", 64, "--output")
    run(*flags, whole)
    program = "import sys; sys.modules['tensorflow'] = None\n"
    program += "from data_prep.__main__ import main; main()"
    words = ("crop", *flags, killed, "--workers", 1)
    command = [sys.executable, "-c", program, *map(str, words)]
    process = subprocess.Popen(
        command, env=support.environment(), stderr=subprocess.DEVNULL
    )
    results = killed / "fields"
    while process.poll() is None and len(list(results.glob("f*.json"))) < 3:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (killed / "crops.csv").exists()
    assert 3 <= len(list(results.glob("f*.json"))) < 8
    run(*flags, killed)
    assert support.digest_of_folder(killed) == support.digest_of_folder(whole)
    assert len(crops.read_crops(killed).rows) == 32
