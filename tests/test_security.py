"""Files of other people are not executed, and no path leaves its folder.

Ruff's rules S find pickle, eval, shells and unsafe archives. The first test finds calls
of numpy, Keras, TensorFlow and Pillow that Ruff does not know.
"""

import csv
import json
import re
import stat

import pytest

from tests import support
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import whole_file

ROOT = support.ROOT
_FORBIDDEN = {
    # These unpickle, or build the objects that a file describes.
    r"\b(np|numpy)\.load\((?![^)]*allow_pickle=False)": (),
    r"allow_pickle=True|safe_mode=False": (),
    r"\bload_model\(|model_from_json\(|unsafe_deserialization": (),
    r"import (pickle|dill|joblib|shelve|torch|yaml)\b|py_function\(|load_library\(": (
        # Beam pickles the tasks of its own workers; no file is read.
        "data_prep/cropping/beam.py",
    ),
    r"saved_model\.load\(": (
        "tfvqgen/generation/loaded_graph.py",
        # The network that a user provides for evaluation.
        "tfvqgen/evaluation/extractors.py",
    ),
    r"import subprocess": ("tfvqgen/export/verify.py",),
    r"Image\.open\((?!.*formats=)": (),
}


def test_no_source_file_calls_a_function_that_runs_code_from_files():
    paths = [ROOT / "train.py", ROOT / "export.py"]
    for folder in ("tfvqgen", "data_prep"):
        paths += (ROOT / folder).rglob("*.py")
    for path in paths:
        name = str(path.relative_to(ROOT))
        text = re.sub(r"\s+", " ", path.read_text())
        for pattern, allowed in _FORBIDDEN.items():
            assert name in allowed or not re.search(pattern, text), (name, pattern)


_OUTSIDE = ("../x.png", "/etc/hostname", "a/../../x.png", "~/x.png", "C:\\x.png")
_OUTSIDE += ("\\\\host\\x.png", "..\\x.png", "c:x.png")


def test_paths_of_tables_stay_in_their_folder(tmp_path):
    from data_prep.layouts import read_fields
    from tfvqgen.data.crops import read_crops

    folder = support.make_crops(tmp_path / "crops", [["a"]])
    rows = list(csv.reader((folder / "crops.csv").read_text().splitlines()))
    for path in _OUTSIDE:
        rows[1][rows[0].index("path")] = path
        with open(folder / "crops.csv", "w", newline="") as file:
            csv.writer(file).writerows(rows)
        with pytest.raises(DataError, match="inside the folder"):
            read_crops(folder)
        with open(tmp_path / "manifest.csv", "w", newline="") as file:
            csv.writer(file).writerows([["id", "channel:x"], ["a", path]])
        with pytest.raises(DataError, match="inside the folder"):
            read_fields(tmp_path, "manifest")


def test_paths_of_shards_stay_in_their_folder(tmp_path):
    from tfvqgen.data.dataset_info import read_info

    support.make_dataset(tmp_path)
    description = json.loads((tmp_path / "dataset.json").read_text())
    for path in (*_OUTSIDE, "x/train.tfrecord", ".", ".."):
        description["splits"]["train"]["shards"][0]["path"] = path
        (tmp_path / "dataset.json").write_text(json.dumps(description))
        with pytest.raises(DataError, match=r"shards\[0\]\.path"):
            read_info(tmp_path)


def test_a_saved_model_of_another_program_is_not_loaded(tmp_path):
    from tfvqgen.generation import open_source

    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(DataError, match="a SavedModel of something else"):
        open_source(tmp_path)
    with pytest.raises(UserError, match="no model"):
        open_source(tmp_path / "none")


def test_only_its_owner_can_read_a_file_while_it_is_written(tmp_path):
    with whole_file(tmp_path / "a.json", "w") as file:
        (temporary,) = tmp_path.iterdir()
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
        file.write("{}")
    # Then it has the mode of the user's other files.
    (tmp_path / "b").touch()
    assert (tmp_path / "a.json").stat().st_mode == (tmp_path / "b").stat().st_mode
