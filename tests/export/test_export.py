import json
import os
import subprocess
import sys

import pytest
import tensorflow as tf

from tests import support
from tests.generators import LABELS, make_generator
from tfvqgen.errors import DataError, UserError
from tfvqgen.export import export as exporting
from tfvqgen.export.export import export_generator
from tfvqgen.export.model_card import held_out, model_card
from tfvqgen.generation.generator import Generator
from tfvqgen.generation.load import open_source
from tfvqgen.generation.saved_model import SavedModel, is_export, version_folder
from tfvqgen.training.workdir import Workdir


@pytest.fixture
def quick(monkeypatch):
    """Lets exports be a file; graphs take long to make."""

    def save(signatures, about, card, folder):
        del signatures, about
        (folder / "assets").mkdir()
        (folder / "assets/about.json").write_text("{}")
        (folder / "saved_model.pb").write_text(card)

    monkeypatch.setattr(exporting, "Signatures", lambda generator: None)
    monkeypatch.setattr(exporting, "_save", save)
    monkeypatch.setattr(exporting, "_try", lambda folder: None)


def export(folder, version=None):
    return export_generator(make_generator(), folder, version)


def test_versions_are_numbered_on_and_never_overwritten(tmp_path, quick):
    assert export(tmp_path) == tmp_path / "1"
    assert export(tmp_path, 7) == tmp_path / "7"
    assert export(tmp_path) == tmp_path / "8"
    before = support.digest_of_folder(tmp_path)
    with pytest.raises(UserError, match=r"the version exists.*Received: .*7"):
        export(tmp_path, 7)
    with pytest.raises(UserError, match=r"expected 1 to .*version=0"):
        export(tmp_path, 0)
    assert support.digest_of_folder(tmp_path) == before
    assert sorted(x.name for x in tmp_path.iterdir()) == ["1", "7", "8"]
    assert version_folder(tmp_path) == tmp_path / "8"


def test_a_version_is_not_taken_for_the_folder_of_versions(tmp_path, quick):
    version = export(tmp_path)
    with pytest.raises(
        UserError, match=r"^a version of an export: expected the folder"
    ):
        export(version)
    assert not (version / "1").exists()


def test_the_same_models_are_exported_once(tmp_path, quick):
    assert export(tmp_path) == tmp_path / "1"
    about = json.dumps(make_generator().model_info.to_json())
    (tmp_path / "1/assets/about.json").write_text(about)
    before = support.digest_of_folder(tmp_path)
    assert export(tmp_path) == tmp_path / "1"
    assert support.digest_of_folder(tmp_path) == before
    assert export(tmp_path, 2) == tmp_path / "2", "asked for by its number"


@pytest.mark.parametrize("step", ["_save", "_try", "_settle"])
@pytest.mark.parametrize("failure", [(OSError, 28, "full"), (KeyboardInterrupt,)])
def test_a_failure_leaves_nothing(tmp_path, quick, monkeypatch, step, failure):
    kind, *words = failure

    def fail(*arguments):
        raise kind(*words)

    monkeypatch.setattr(exporting, step, fail)
    with pytest.raises(kind) as failed:
        export(tmp_path / "new")
    if kind is OSError:
        assert failed.value.filename == str(tmp_path / "new" / "1")
    assert list(tmp_path.iterdir()) == []


def test_a_version_appears_whole_and_can_be_read_by_others(
    tmp_path, quick, monkeypatch
):
    seen = []

    def watch(folder):
        seen.extend(x.name for x in tmp_path.iterdir() if not x.name.startswith("."))

    monkeypatch.setattr(exporting, "_try", watch)
    tmp_path.chmod(0o755)
    made = export(tmp_path)
    assert seen == []
    assert made.stat().st_mode & 0o777 == 0o755


def test_what_a_killed_run_left_is_removed(tmp_path, quick):
    (tmp_path / ".exporting-abc").mkdir()
    export(tmp_path)
    assert [x.name for x in tmp_path.iterdir()] == ["1"]


def test_a_folder_that_tensorflow_cannot_read_from_is_refused_before_the_work(
    tmp_path, quick
):
    with pytest.raises(UserError, match=r"cannot read from such a path.*new\[1\]"):
        export(tmp_path / "new[1]")
    assert list(tmp_path.iterdir()) == []
    made = export(tmp_path / "new").parent.rename(tmp_path / "new[1]")
    with pytest.raises(UserError, match="cannot read from such a path"):
        open_source(made)


def test_two_runs_do_not_write_to_one_folder(tmp_path, quick, monkeypatch):
    def again(folder):
        export(tmp_path)

    monkeypatch.setattr(exporting, "_try", again)
    with pytest.raises(UserError, match="in use by another run"):
        export(tmp_path)


def test_an_export_that_cannot_be_loaded_does_not_appear(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "Signatures", lambda generator: None)
    monkeypatch.setattr(
        exporting, "_save", lambda *rest: (rest[-1] / "saved_model.pb").touch()
    )
    with pytest.raises(DataError, match="does not work: expected it to load"):
        export(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_only_weights_that_are_read_are_there_and_once(real_export):
    generator = make_generator(4, "uint16")
    stored = tf.train.load_checkpoint(str(real_export / "1/variables/variables"))
    names = [x for x in stored.get_variable_to_shape_map() if x.startswith("weights")]
    expected = [*generator.top.trainable_weights, *generator.bottom.trainable_weights]
    expected += [*generator.autoencoder.trainable_weights]
    quantizers = generator.autoencoder
    expected += [quantizers.top_quantizer.embeddings]
    expected += [quantizers.bottom_quantizer.embeddings]
    assert len(names) == len(expected)


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ({}, "no export: expected a folder that export.py made"),
        ({"saved_model.pb": b"x"}, "a SavedModel of something else"),
        (
            {"saved_model.pb": b"x", "assets/about.json": b"{}"},
            "not the description of a model",
        ),
        ({"1/saved_model.pb": b"x"}, "a SavedModel of something else"),
    ],
)
def test_what_is_no_export_is_refused_in_words(tmp_path, contents, words):
    for name, data in contents.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with pytest.raises(UserError, match=words):
        SavedModel(tmp_path)


def test_a_damaged_export_is_refused_in_words(real_export, tmp_path):
    copy = damaged_copy(real_export, tmp_path)
    with pytest.raises(DataError, match=r"damaged export.*Received: .*copy"):
        SavedModel(copy)
    (copy / "saved_model.pb").write_bytes(b"x")
    with pytest.raises(DataError, match="damaged export"):
        SavedModel(copy)


def damaged_copy(real_export, tmp_path):
    """Copies an export and flips bits in the middle of its weights."""
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", real_export / "1", copy], check=True)
    path = next((copy / "variables").glob("variables.data*"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    return copy


def test_a_model_is_opened_whatever_it_is(real_export, tmp_path):
    assert is_export(real_export) and is_export(real_export / "1")
    assert isinstance(open_source(real_export), SavedModel)
    with pytest.raises(UserError):
        open_source(tmp_path)


def test_the_card_has_what_validation_says_of_the_weights(tmp_path):
    about = make_generator().model_info
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
    figures = held_out(Workdir(tmp_path), about)
    # The newest of the autoencoder, the best of a prior, nothing after the checkpoint.
    assert figures["vqvae"]["loss"] == 0.5
    assert figures["top"]["loss"] == 3.0
    assert figures["bottom"] == {}
    card = model_card(about, figures)
    assert "3.000 bits per code" in card and "| bottom | 3 | not measured |" in card
    assert all(f"- {label}\n" in card for label in LABELS)


def run_export(*flags):
    return subprocess.run(
        [sys.executable, "export.py", *map(os.fspath, flags)],
        cwd=support.ROOT,
        env=support.environment(),
        capture_output=True,
        text=True,
    )


def test_help_teaches():
    result = run_export("--help")
    assert result.returncode == 0
    for word in ("--workdir", "--export_dir", "--version", "model_card.md", "verify"):
        assert word in result.stdout


def test_an_untrained_workdir_is_one_line_and_status_2(tmp_path):
    result = run_export("--workdir", tmp_path, "--export_dir", tmp_path / "export")
    assert result.returncode == 2
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert not (tmp_path / "export").exists()


def test_a_stage_that_is_not_trained_is_named(tmp_path, monkeypatch):
    def untrained(path):
        raise UserError("no checkpoint: expected a trained stage. Received: top")

    monkeypatch.setattr(Generator, "of_workdir", untrained)
    with pytest.raises(UserError, match="expected a trained stage"):
        exporting.export(tmp_path, tmp_path / "export")
    assert not (tmp_path / "export").exists()
