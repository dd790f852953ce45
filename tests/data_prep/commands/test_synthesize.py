"""The command ``synthesize``: its files, interruptions, and wrong flags."""

import csv
import json
import sys

import numpy as np
import pytest

from data_prep.__main__ import main
from data_prep.commands import synthesize
from data_prep.synthetic import synthetic_folders
from tests import support
from tfvqgen import files
from tfvqgen.data import crops, images
from tfvqgen.errors import UserError


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocabulary") / "three.txt"
    path.write_text("Nucleus\nCytosol\ngolgi apparatus\n")
    return str(path)


def run(*flags):
    support.run_command(synthesize, "--workers", 1, *flags)


@pytest.fixture(scope="module")
def flags_of_crops(vocabulary):
    flags = ("--num_cells", 12, "--size", 32, "--seed", 5)
    return ("--vocabulary", vocabulary, *flags)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, flags_of_crops):
    folder = tmp_path_factory.mktemp("crops") / "made"
    run("--output", folder, *flags_of_crops)
    return folder


def test_the_bytes_do_not_depend_on_the_number_of_workers(
    folder, tmp_path, flags_of_crops
):
    run("--output", tmp_path, *flags_of_crops, "--workers", 2)
    made = support.digest_of_folder(tmp_path)
    assert made == support.digest_of_folder(folder)
    assert len(made) == 12 + 4


def test_crops_read_back_with_their_labels_groups_and_metadata(folder):
    made = crops.read_crops(folder)
    assert made.channels == ("red", "green", "blue", "yellow")
    assert made.dtype == "uint8" and "ynthetic" in made.credit
    assert len(made.rows) == 12
    for row in made.rows:
        assert images.read_image(made.image_path(row)).shape == (32, 32, 4)
        assert row.metadata["synthetic"] == "true"
        assert row.metadata["cell_line"].startswith("synthetic-")
        assert row.size == 32 and row.pixel_size == pytest.approx(1.28)
        assert set(row.labels) <= {"Nucleoplasm", "Cytosol", "Golgi apparatus"}
    assert len({row.labels for row in made.rows if len(row.labels) == 1}) == 3
    labels = {row.group: row.labels for row in made.rows}
    assert all(labels[row.group] == row.labels for row in made.rows)


def test_a_finished_folder_is_not_changed_and_other_flags_are_refused(
    folder, flags_of_crops, capsys
):
    before = support.digest_of_folder(folder)
    run("--output", folder, *flags_of_crops)
    assert "already there" in capsys.readouterr().out
    locked = pytest.raises(UserError, match="in use by another run")
    with files.exclusive(folder, "it"), locked:
        run("--output", folder, *flags_of_crops, "--seed", 6)
    with pytest.raises(UserError, match="the folder contains other data"):
        run("--output", folder, *flags_of_crops, "--seed", 6)
    assert support.digest_of_folder(folder) == before


def test_an_interrupted_run_leaves_no_table_and_starts_over(
    folder, tmp_path, flags_of_crops, monkeypatch
):
    def interrupted(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(synthetic_folders, "_write_sheet", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run("--output", tmp_path, *flags_of_crops)
    assert not (tmp_path / "crops.csv").exists()
    (tmp_path / "images" / "synthetic-5-00000-00.png").write_bytes(b"half")
    (tmp_path / "images" / f".a.png.{'0' * 16}").write_text("half")
    run("--output", tmp_path, *flags_of_crops)
    assert support.digest_of_folder(tmp_path) == support.digest_of_folder(folder)


def test_fields_have_the_kaggle_layout_with_true_masks_and_defects(
    tmp_path, vocabulary
):
    flags = ("--fields", 3, "--field_size", 128, "--defects", 1)
    run("--output", tmp_path, "--vocabulary", vocabulary, *flags)
    tables = [tmp_path / f"{name}.csv" for name in ("train", "truth", "defects")]
    rows, truth, defects = (list(csv.DictReader(path.open())) for path in tables)
    assert {row["Id"] for row in defects} == {row["Id"] for row in truth}
    names = {"0": "Nucleoplasm", "25": "Cytosol", "7": "Golgi apparatus"}
    for row, known in zip(rows, truth, strict=True):
        assert list(row) == ["Id", "Target"] and row["Id"] == known["Id"]
        labels = [names[word] for word in row["Target"].split()]
        assert "|".join(labels) == known["labels"] and known["synthetic"] == "true"
        for channel in ("red", "green", "blue", "yellow"):
            plane = images.read_image(tmp_path / "train" / f"{row['Id']}_{channel}.png")
            assert plane.shape == (128, 128, 1) and plane.dtype == np.uint8
        nuclei = images.read_image(tmp_path / "masks/nuclei" / f"{row['Id']}.png")
        assert nuclei.dtype == np.uint16
        assert len(np.setdiff1d(nuclei, 0)) == int(known["num_nuclei"])
    info = json.loads((tmp_path / "fields.json").read_text())
    assert info["synthetic"] is True and info["pixel_size"] == pytest.approx(1.28)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--num_cells", 0), "num_cells is out of range"),
        (("--num_cells", 5, "--size", 33), "size is odd"),
        (("--fields", 2, "--defects", 1.5), "defects is out of range"),
        (("--fields", 2, "--size", 64), "expected field_size or defects with fields"),
        (("--num_cells", 5, "--vocabulary", "hpa35"), "cannot be drawn"),
    ],
)
def test_wrong_flags_are_refused_before_anything_is_written(tmp_path, flags, message):
    with pytest.raises(UserError, match=message):
        run("--output", tmp_path / "new", *flags)
    assert not (tmp_path / "new").exists()


def test_missing_scipy_names_the_extra_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(UserError, match=r"tfvqgen\[prep\]"):
        run("--output", tmp_path / "new", "--num_cells", 5)


def test_a_wrong_flag_ends_the_command_with_one_line_and_status_2(
    tmp_path, monkeypatch, capsys
):
    words = ["tfvqgen-data", "synthesize", "--num_cells", "-3"]
    monkeypatch.setattr("sys.argv", [*words, "--output", str(tmp_path / "new")])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: --num_cells is out of range")
    assert printed.count("\n") == 1
