import json
import shutil

import pytest

from tests import support
from tests.generators import LABELS, make_generator
from tfvqgen.errors import DataError, UserError
from tfvqgen.export import export as exporting
from tfvqgen.export.export import export_generator
from tfvqgen.export.model_card import model_card, validation_metrics
from tfvqgen.generation.saved_model import SavedModel, version_folder
from tfvqgen.training.workdir import Workdir


@pytest.fixture
def quick(monkeypatch):
    """Replaces the graphs, which take long, by a small file."""

    def save(signatures, info, card, folder):
        del signatures, info
        (folder / "assets").mkdir()
        (folder / "assets/about.json").write_text("{}")
        (folder / "saved_model.pb").write_text(card)

    monkeypatch.setattr(exporting, "Signatures", lambda generator: None)
    monkeypatch.setattr(exporting, "_save", save)
    monkeypatch.setattr(exporting, "_check", lambda folder: None)


def export(folder, version=None):
    return export_generator(make_generator(), folder, version)


def test_versions_are_numbered_and_never_overwritten(tmp_path, quick):
    (tmp_path / ".exporting-abc").mkdir()
    assert export(tmp_path) == tmp_path / "1"
    assert export(tmp_path, 7) == tmp_path / "7"
    assert export(tmp_path) == tmp_path / "8"
    before = support.digest_of_folder(tmp_path)
    with pytest.raises(UserError, match=r"the version exists.*Received: .*7"):
        export(tmp_path, 7)
    with pytest.raises(UserError, match=r"expected 1 to .*version=0"):
        export(tmp_path, 0)
    assert support.digest_of_folder(tmp_path) == before
    # A killed run left the hidden folder.
    assert sorted(x.name for x in tmp_path.iterdir()) == ["1", "7", "8"]
    assert version_folder(tmp_path) == tmp_path / "8"
    with pytest.raises(UserError, match=r"^export_dir is a version: expected the"):
        export(tmp_path / "8")


def test_the_same_models_are_exported_once(tmp_path, quick):
    assert export(tmp_path) == tmp_path / "1"
    about = json.dumps(make_generator().model_info.to_json())
    (tmp_path / "1/assets/about.json").write_text(about)
    assert export(tmp_path) == tmp_path / "1"
    assert export(tmp_path, 2) == tmp_path / "2"


@pytest.mark.parametrize(
    ("step", "error"),
    [
        ("_save", OSError(28, "full")),
        ("_check", KeyboardInterrupt()),
        ("_sync", OSError(5, "input/output error")),
    ],
)
def test_a_failure_leaves_nothing(tmp_path, quick, monkeypatch, step, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(exporting, step, fail)
    with pytest.raises(type(error)) as failed:
        export(tmp_path / "new")
    if step == "_save":
        assert failed.value.filename == str(tmp_path / "new" / "1")
    assert list(tmp_path.iterdir()) == []


def test_a_version_appears_whole_and_others_can_read_it(tmp_path, quick, monkeypatch):
    seen = []

    def watch(folder):
        seen.extend(x.name for x in tmp_path.iterdir() if not x.name.startswith("."))
        with pytest.raises(UserError, match="in use by another run"):
            export(tmp_path)

    monkeypatch.setattr(exporting, "_check", watch)
    tmp_path.chmod(0o755)
    made = export(tmp_path)
    assert seen == []
    assert made.stat().st_mode & 0o777 == 0o755


def test_an_export_that_does_not_load_does_not_appear(tmp_path, quick, monkeypatch):
    check = {"name": "loads", "ok": False, "detail": "DataLossError"}
    monkeypatch.undo()
    monkeypatch.setattr(exporting, "Signatures", lambda generator: None)
    monkeypatch.setattr(exporting, "_save", lambda *rest: None)
    monkeypatch.setattr(exporting, "verify", lambda *rest, only: {"checks": [check]})
    with pytest.raises(DataError, match=r"not work: expected it to load.*DataLoss"):
        export(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ({}, "no export: expected a folder that export.py"),
        ({"1/saved_model.pb": b"x"}, "a SavedModel of something else"),
        ({"saved_model.pb": b"x", "assets/about.json": b"{}"}, "preset is missing"),
    ],
)
def test_a_folder_that_is_not_an_export_is_refused(tmp_path, contents, words):
    for name, data in contents.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with pytest.raises(UserError, match=words):
        SavedModel(tmp_path)


def test_a_damaged_export_is_refused(real_export, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(real_export / "1", copy)
    path = next((copy / "variables").glob("variables.data*"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"damaged export.*Received: .*copy"):
        SavedModel(copy)
    (copy / "saved_model.pb").write_bytes(b"x")
    with pytest.raises(DataError, match="damaged export"):
        SavedModel(copy)


def test_the_card_shows_the_validation_metrics_of_the_weights(tmp_path):
    info = make_generator().model_info
    lines = {
        "vqvae": [(1, 0.5), (9, 0.1)],
        "top": [(1, 3.0), (2, 4.0), (9, 1.0)],
        "bottom": [],
    }
    for stage, values in lines.items():
        (tmp_path / stage).mkdir()
        text = "".join(
            f'{{"step": {step}, "split": "validation", "loss": {value}, '
            f'"bits_per_code": {value}, "reconstruction_mse": {value}}}\n'
            for step, value in values
        )
        (tmp_path / stage / "metrics.jsonl").write_text(text)
    metrics = validation_metrics(Workdir(tmp_path), info)
    # The newest of the autoencoder, the best of a prior, none after the checkpoint.
    assert metrics["vqvae"]["loss"] == 0.5
    assert metrics["top"]["loss"] == 3.0
    assert metrics["bottom"] == {}
    card = model_card(info, metrics)
    assert "3.000 bits per code" in card and "| bottom | 3 | not measured |" in card
    assert all(f"- {label}\n" in card for label in LABELS)
