"""What SECURITY.md promises: nothing of a stranger's is run, no path leaves its folder.

The first half reads the sources: a call that could run what a file says is found before
anybody makes use of it.
"""

import ast
import builtins
import csv
import json
import stat
from pathlib import Path

import pytest

from tests import support
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import whole_file

ROOT = support.ROOT
# What unpickles, or makes code of text.
_MODULES = {
    *("pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml", "torch"),
    *("code", "codeop", "runpy", "ctypes", "cffi", "xmlrpc", "telnetlib", "ftplib"),
    *("tarfile", "imp", "urllib.request", "xml", "multiprocessing.connection"),
}
_BUILTINS = {"eval", "exec", "compile", "__import__", "breakpoint", "input"}
_CALLS = {
    # Unpickle, or unzip whatever is there.
    *("np.load", "numpy.load", "np.loadtxt", "np.genfromtxt", "np.fromfile"),
    # Build Python objects that a file describes.
    *("keras.models.load_model", "keras.saving.load_model", "keras.load_model"),
    *("tf.keras.models.load_model", "keras.models.model_from_json"),
    *("tf.load_op_library", "tf.load_library"),
    *("tf.py_function", "tf.numpy_function", "tf.compat.v1.py_func"),
    # Hand a text to a shell, or make names that others may foresee.
    *("os.system", "os.popen", "tempfile.mktemp", "shutil.unpack_archive"),
    *("keras.config.enable_unsafe_deserialization",),
}
# Where one of them is right, and why.
_ALLOWED = {
    # Beam passes a pipeline's own tasks between its workers; no file is read.
    ("data_prep/cropping/beam.py", "pickle"),
}
_SUBPROCESS = {"tfvqgen/export/verify.py"}
# Exports, and the network that a user brings to measure with.
_LOADS_GRAPHS = {
    "tfvqgen/generation/loaded_graph.py",
    "tfvqgen/evaluation/extractors/saved_model.py",
}
_IMPORTS_BY_NAME = {"data_prep/embedding/projection.py"}


def _sources():
    folders = (ROOT / "tfvqgen", ROOT / "data_prep")
    paths = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    return [*paths, ROOT / "train.py", ROOT / "export.py"]


def _named(node):
    """Returns ``a.b.c`` of a name or an attribute, else an empty text."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (start := _named(node.value)):
        return f"{start}.{node.attr}"
    return ""


def _forbidden(path, text):
    """Yields what in a source could run what a file says."""
    name = str(path)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [alias.name for alias in node.names]
            if isinstance(node, ast.ImportFrom):
                modules += [node.module, *(f"{node.module}.{x}" for x in modules)]
            for module in modules:
                starts = {module, module.partition(".")[0]}
                for found in starts & _MODULES:
                    if (name, found) not in _ALLOWED:
                        yield found
                if "subprocess" in starts and name not in _SUBPROCESS:
                    yield module
        if isinstance(node, ast.Call):
            yield from _wrong_call(name, _named(node.func), node)


def _wrong_call(name, called, node):
    keywords = {keyword.arg: keyword.value for keyword in node.keywords}
    shell = keywords.get("shell")
    if called in _BUILTINS and hasattr(builtins, called):
        yield called
    if called in _CALLS or called.endswith((".extractall", ".load_model")):
        yield called
    if called.endswith("saved_model.load") and name not in _LOADS_GRAPHS:
        yield called
    if called == "importlib.import_module" and name not in _IMPORTS_BY_NAME:
        yield called
    if shell is not None and getattr(shell, "value", True) is not False:
        yield f"{called}(shell)"
    if isinstance(unsafe := keywords.get("allow_pickle"), ast.Constant) and (
        unsafe.value is not False
    ):
        yield f"{called}(allow_pickle)"
    if getattr(keywords.get("safe_mode"), "value", True) is False:
        yield f"{called}(safe_mode)"
    # Pillow is told what it may take a file for.
    if called.endswith("Image.open") and "formats" not in keywords:
        yield "Image.open without formats"


@pytest.mark.parametrize("path", _sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_source_unpickles_evaluates_or_asks_a_shell(path):
    found = list(_forbidden(path.relative_to(ROOT), path.read_text()))
    assert found == [], f"{path}: {', '.join(found)}"


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from pickle import loads",
        "import torch.nn",
        "import yaml as y",
        "from multiprocessing import connection",
        "eval('1')",
        "import numpy as np\nnp.load('a', allow_pickle=False)",
        "f(allow_pickle=True)",
        "f(safe_mode=False)",
        "keras.saving.load_model('a')",
        "import tensorflow as tf\ntf.saved_model.load('a')",
        "tf.compat.v1.saved_model.load('a')",
        "import subprocess",
        "run('a', shell=True)",
        "archive.extractall()",
        "Image.open('a')",
    ],
)
def test_the_reader_of_sources_sees(text):
    assert list(_forbidden(Path("tfvqgen/x.py"), text))


_OUTSIDE = ("../secret.png", "/etc/hostname", "a/../../secret.png", "~/x.png")
_OUTSIDE += ("C:\\x.png", "\\\\host\\x.png", "..\\x.png", "c:x.png")


@pytest.mark.parametrize("path", _OUTSIDE)
def test_no_table_leads_out_of_its_folder(tmp_path, path):
    from data_prep.layouts import read_fields
    from tfvqgen.data.crops import read_crops

    folder = support.make_crops(tmp_path / "crops", [["a"]])
    rows = list(csv.reader((folder / "crops.csv").read_text().splitlines()))
    rows[1][rows[0].index("path")] = path
    with open(folder / "crops.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(DataError, match="inside the folder of the table"):
        read_crops(folder)
    with open(tmp_path / "manifest.csv", "w", newline="") as file:
        csv.writer(file).writerows([["id", "channel:x"], ["a", path]])
    with pytest.raises(DataError, match="inside the folder of the table"):
        read_fields(tmp_path, "manifest")


@pytest.mark.parametrize("path", (*_OUTSIDE, "x/train.tfrecord", ".", ".."))
def test_no_description_of_shards_leads_out_of_its_folder(tmp_path, path):
    from tfvqgen.data.dataset_info import read_info

    support.make_dataset(tmp_path)
    described = json.loads((tmp_path / "dataset.json").read_text())
    described["splits"]["train"]["shards"][0]["path"] = path
    (tmp_path / "dataset.json").write_text(json.dumps(described))
    with pytest.raises(DataError, match=r"shards\[0\]\.path"):
        read_info(tmp_path)


@pytest.mark.parametrize("path", _OUTSIDE)
def test_no_index_of_images_leads_out_of_its_folder(path):
    from data_prep.image_index import checked_path

    with pytest.raises(DataError, match="below the output folder"):
        checked_path(path, "line 2")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://a/x.png", "data:,x.png"])
def test_only_the_web_is_asked_for_images(url):
    from data_prep.image_index import checked_url

    with pytest.raises(DataError, match="wrong address"):
        checked_url(url, "line 2")


def test_an_export_of_somebody_else_is_not_loaded(tmp_path):
    from tfvqgen.generation.load import open_source

    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(DataError, match="a SavedModel of something else"):
        open_source(tmp_path)
    with pytest.raises(UserError, match="no model"):
        open_source(tmp_path / "none")


def test_a_file_being_written_is_its_owners_alone(tmp_path):
    with whole_file(tmp_path / "a.json", "w") as file:
        (temporary,) = tmp_path.iterdir()
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
        file.write("{}")
    # Then it is as the user's other files.
    (tmp_path / "b").touch()
    assert (tmp_path / "a.json").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_there_is_no_word_in_the_security_policy_about_what_is_not_there():
    text = (ROOT / "SECURITY.md").read_text()
    for name in ("tests/test_security.py", "docs/reliability.md"):
        assert name in text and (ROOT / name).is_file()
