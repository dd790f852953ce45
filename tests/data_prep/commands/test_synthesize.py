"""The command ``synthesize``: what it leaves, again and again, and what it refuses."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from data_prep.commands import synthesize
from tests import support
from tfvqgen import files
from tfvqgen.data import crops, images
from tfvqgen.errors import UserError


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocabulary") / "three.txt"
    path.write_text("Nucleoplasm\nCytosol\nGolgi apparatus\n")
    return str(path)


def run(*flags):
    import argparse

    parser = argparse.ArgumentParser()
    synthesize.add_flags(parser)
    synthesize.run(parser.parse_args([str(flag) for flag in flags]))


@pytest.fixture(scope="module")
def crop_folders(tmp_path_factory, vocabulary):
    """Returns the same crops as made by one and by two processes."""
    folders = []
    for workers in (1, 2):
        folder = tmp_path_factory.mktemp("crops") / "made"
        flags = ("--num_cells", 24, "--size", 32, "--seed", 5, "--workers", workers)
        run("--output", folder, "--vocabulary", vocabulary, *flags)
        folders.append(folder)
    return folders


def test_the_bytes_do_not_depend_on_the_number_of_workers(crop_folders):
    one, two = (support.digest_of_folder(folder) for folder in crop_folders)
    assert one == two
    assert len(one) == 24 + 4


def test_crops_read_back_with_everything_that_is_known_of_them(crop_folders):
    folder = crops.read_crops(crop_folders[0])
    assert folder.channels == ("red", "green", "blue", "yellow")
    assert folder.dtype == "uint8"
    assert "ynthetic" in folder.credit
    assert len(folder.rows) == 24
    for row in folder.rows:
        image = images.read_image(folder.image_path(row))
        assert image.shape == (32, 32, 4)
        assert row.metadata["synthetic"] == "true"
        assert row.metadata["cell_line"].startswith("synthetic-")
        assert row.size == 32 and row.pixel_size == pytest.approx(1.28)
        assert set(row.labels) <= {"Nucleoplasm", "Cytosol", "Golgi apparatus"}
    assert len({row.labels for row in folder.rows if len(row.labels) == 1}) == 3
    same_group = {row.group: row.labels for row in folder.rows}
    assert all(same_group[row.group] == row.labels for row in folder.rows)


def test_a_finished_folder_is_left_and_other_flags_are_refused(
    crop_folders, vocabulary, capsys
):
    folder = crop_folders[0]
    before = support.digest_of_folder(folder)
    flags = ("--output", folder, "--vocabulary", vocabulary, "--size", 32)
    run(*flags, "--num_cells", 24, "--seed", 5)
    assert "already there" in capsys.readouterr().out
    with pytest.raises(UserError, match="holds other data"):
        run(*flags, "--num_cells", 24, "--seed", 6)
    assert support.digest_of_folder(folder) == before


def test_an_interrupted_run_leaves_no_table_and_starts_over(
    tmp_path, crop_folders, vocabulary, monkeypatch
):
    def interrupted(*_args):
        raise KeyboardInterrupt

    flags = ("--output", tmp_path, "--vocabulary", vocabulary, "--size", 32)
    flags = (*flags, "--num_cells", 24, "--seed", 5, "--workers", 1)
    with monkeypatch.context() as patched:
        patched.setattr(synthesize, "_in_parallel", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(*flags)
    assert not (tmp_path / "crops.csv").exists()
    (tmp_path / "images" / "synthetic-5-00000-00.png").write_bytes(b"half")
    run(*flags)
    made = support.digest_of_folder(tmp_path)
    assert made == support.digest_of_folder(crop_folders[0])


def test_labels_of_a_vocabulary_are_drawn_however_they_are_spelled(tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("Nucleus\nfocal adhesions\n")
    folder = tmp_path / "crops"
    run("--output", folder, "--vocabulary", names, "--num_cells", 4, "--size", 16)
    rows = (folder / "crops.csv").read_text()
    assert "Nucleoplasm" in rows and "Focal adhesion sites" in rows


def test_two_runs_do_not_draw_into_one_folder(tmp_path, vocabulary):
    flags = ("--output", tmp_path, "--vocabulary", vocabulary, "--num_cells", 3)
    with (
        files.exclusive(tmp_path, "it"),
        pytest.raises(UserError, match="in use by another run"),
    ):
        run(*flags)
    assert list(tmp_path.iterdir()) == []


def test_temporary_files_of_a_killed_run_are_removed(tmp_path, vocabulary):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / ".a.png.x1y2z3").write_text("half")
    flags = ("--num_cells", 3, "--size", 16, "--workers", 1)
    run("--output", tmp_path, "--vocabulary", vocabulary, *flags)
    assert [p for p in tmp_path.rglob("*") if p.name.startswith(".")] == []


def test_fields_have_the_kaggle_layout_with_true_masks_and_defects(
    tmp_path, vocabulary
):
    flags = ("--fields", 3, "--field_size", 128, "--defects", 1, "--workers", 1)
    run("--output", tmp_path, "--vocabulary", vocabulary, *flags)
    rows = _table(tmp_path / "train.csv")
    truth = {row["Id"]: row for row in _table(tmp_path / "truth.csv")}
    planted = {row["Id"] for row in _table(tmp_path / "defects.csv")}
    assert [list(row) for row in rows] == [["Id", "Target"]] * 3
    for row in rows:
        targets = [int(word) for word in row["Target"].split()]
        assert set(targets) <= {0, 25, 7}
        names = {0: "Nucleoplasm", 25: "Cytosol", 7: "Golgi apparatus"}
        known = truth[row["Id"]]
        assert "|".join(names[i] for i in targets) == known["labels"]
        assert known["synthetic"] == "true"
        for channel in ("red", "green", "blue", "yellow"):
            plane = images.read_image(tmp_path / "train" / f"{row['Id']}_{channel}.png")
            assert plane.shape == (128, 128, 1) and plane.dtype == np.uint8
        nuclei = images.read_image(tmp_path / "masks/nuclei" / f"{row['Id']}.png")
        assert nuclei.dtype == np.uint16
        assert len(np.setdiff1d(nuclei, 0)) == int(known["num_nuclei"])
    assert planted == set(truth)
    about = json.loads((tmp_path / "fields.json").read_text())
    assert about["synthetic"] is True and about["pixel_size"] == pytest.approx(1.28)


def _table(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--num_cells", 0), "num_cells is out of range"),
        (("--num_cells", 5, "--size", 33), "size is odd"),
        (("--num_cells", 5, "--seed", -1), "seed is out of range"),
        (("--fields", 2, "--defects", 1.5), "defects is out of range"),
        (("--fields", 2, "--size", 64), "expected field_size or defects beside fields"),
        (("--num_cells", 2, "--defects", 0), "expected size beside num_cells"),
        (("--num_cells", 5, "--vocabulary", "hpa35"), "cannot be drawn"),
        (("--num_cells", 5, "--vocabulary", "nowhere"), "no such vocabulary"),
    ],
)
def test_wrong_flags_are_refused_before_anything_is_written(tmp_path, flags, message):
    with pytest.raises(UserError, match=message):
        run("--output", tmp_path / "new", *flags)
    assert not (tmp_path / "new").exists()


def test_missing_scipy_names_the_extra_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.ndimage", None)
    with pytest.raises(UserError, match=r"tfvqgen\[prep\]"):
        run("--output", tmp_path / "new", "--num_cells", 5)


def test_the_command_line_says_what_is_wrong_in_one_line(tmp_path):
    command = [sys.executable, "-m", "data_prep", "synthesize", "--num_cells", "-3"]
    done = subprocess.run(
        [*command, "--output", str(tmp_path / "new")],
        env=support.environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: --num_cells is out of range")
    assert done.stderr.count("\n") == 1
