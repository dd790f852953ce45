"""Files of version 0.1 are read, trained further and sampled from.

make_golden.py made the files. The tests share one unpacked copy, except those that
train, which use their own.
"""

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from data_prep.commands import shard
from data_prep.embedding.crop_features import read_features
from data_prep.embedding.feature_learning import embed
from data_prep.screening.screening import open_decided
from tests import support
from tfvqgen.data import crops, images, schema
from tfvqgen.data.dataset_info import read_info
from tfvqgen.generation import open_source
from tfvqgen.training.metrics_log import read_metrics
from tfvqgen.training.train import train
from tfvqgen.training.trained_models import fingerprint, load_autoencoder, load_prior
from tfvqgen.training.workdir import Workdir

DATA = Path(__file__).parent / "data"
EXPECTED = json.loads((DATA / "expected.json").read_text(encoding="utf-8"))
ARRAYS = dict(np.load(DATA / "expected.npz"))
ASKED = [ARRAYS[x] for x in ("labels", "seeds", "temperature", "top_p", "guidance")]
# Key of the configuration in 0.1 -> its name now, both as section.key.
RENAMED = {
    "vqvae.codebook_rule": "vqvae.codebook_update",
    "vqvae.revive_below": "vqvae.dead_code_threshold",
    "vqvae.grain_weight": "vqvae.texture_noise_weight",
}
RENAMED_METRICS = {"grain_loss": "local_power_loss"}
# Other processors may round differently.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Returns a folder of crops, shards, workdir, export, samples and screened."""
    folder = tmp_path_factory.mktemp("written")
    with tarfile.open(DATA / "written.tar.xz") as file:
        file.extractall(folder, filter="data")
    for name in ("crops", "screened"):
        shutil.copytree(DATA / "crops", folder / name, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def generator(written):
    return open_source(written / "workdir")


def run_shard(source, output, *flags):
    where = ("--crops", source, "--output", output)
    vocabulary = ("--vocabulary", DATA / "labels.txt")
    support.run_command(shard, *where, *vocabulary, "--num_shards=1", *flags)
    return schema.open_dataset(output)


def as_json(values):
    """Returns what reading back gives: lists for tuples."""
    return json.loads(json.dumps(values))


def assert_same_cells(cells):
    np.testing.assert_array_equal(cells.top_codes, ARRAYS["generated_top"])
    np.testing.assert_array_equal(cells.bottom_codes, ARRAYS["generated_bottom"])
    assert_same_pixels(cells.image, ARRAYS["generated_image"])


def assert_same_pixels(found, expected):
    """Compares pixels; other processors may round to a neighboring value."""
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(np.int32(found), np.int32(expected), rtol=0, atol=1)


def test_shards_are_read_and_hold_the_crops(written):
    dataset = schema.open_dataset(written / "shards", verify=True)
    folder = crops.read_crops(DATA / "crops")
    rows = {row.crop_id: row for row in folder.rows}
    assert dataset.info.labels == tuple(EXPECTED["about"]["labels"])
    assert list(dataset.info.splits) == list(EXPECTED["splits"])
    for name, expected in EXPECTED["splits"].items():
        split = dataset.split(name)
        numbers = range(split.num_examples)
        assert split.crop_ids(numbers) == expected["crop_ids"]
        np.testing.assert_array_equal(split.read_labels(), expected["labels"])
        paths = [folder.image_path(rows[crop_id]) for crop_id in expected["crop_ids"]]
        pixels = [images.read_image(path, folder.channels) for path in paths]
        np.testing.assert_array_equal(schema.read_images(split, numbers), pixels)


def test_crops_become_the_same_shards_byte_by_byte(written, tmp_path):
    splits = "--splits=train=0.6,validation=0.2,test=0.2"
    made = run_shard(DATA / "crops", tmp_path / "shards", splits)
    old = read_info(written / "shards")
    assert made.info.splits == old.splits
    assert made.info.fingerprint() == old.fingerprint()


def test_generated_cells_become_shards(written, tmp_path):
    table = written / "samples" / "samples.csv"
    made = run_shard(table, tmp_path / "shards", "--splits=train=1").split("train")
    ids = ["00_golgi_apparatus_seed5", "01+02_mitochondria_nucleoli_seed5"]
    found = made.crop_ids(range(made.num_examples))
    assert sorted(found) == ids
    # They are the last two of the requests.
    places = [ids.index(name) - 2 for name in found]
    np.testing.assert_array_equal(made.read_labels(), ARRAYS["labels"][places])
    found = np.stack(schema.read_images(made, range(2)))
    np.testing.assert_array_equal(found, ARRAYS["generated_image"][places])


def test_decisions_are_applied(written, tmp_path):
    opened = open_decided(written / "screened")
    dropped = {
        crop.crop_id
        for crop, number in zip(opened.crops, opened.table.clusters, strict=True)
        if number == 0
    }
    assert 0 < len(dropped) < 40
    decisions = written / "screened" / "review" / "decisions.csv"
    flags = (f"--decisions={decisions}", "--splits=train=1")
    made = run_shard(DATA / "crops", tmp_path / "shards", *flags).split("train")
    kept = {crop.crop_id for crop in opened.crops} - dropped
    assert set(made.crop_ids(range(made.num_examples))) == kept


def test_a_network_of_crops_and_its_features_are_kept(written, capsys):
    before = read_features(written / "screened")
    embed(written / "screened")
    out = capsys.readouterr().out
    assert "inpainting: done already, at step 2" in out
    assert "features: done already" in out
    after = read_features(written / "screened")
    assert (after.sha256, after.model) == (before.sha256, before.model)


def test_every_setting_is_read_as_it_was_written(written):
    workdir = Workdir(written / "workdir")
    stored = json.loads(workdir.config_file.read_text(encoding="utf-8"))["config"]
    read = as_json(workdir.load_config().to_json())
    assert (read["preset"], read["seed"]) == (stored["preset"], stored["seed"])
    for section in ("vqvae", "codes", "top", "bottom"):
        for key, value in stored[section].items():
            name = f"{section}.{key}"
            now, _, key_now = RENAMED.get(name, name).partition(".")
            assert read[now][key_now] == value, name


def test_a_workdir_is_loaded_with_every_weight_and_generates_the_same_cells(generator):
    assert as_json(generator.model_info.to_json()) == EXPECTED["about"]
    assert generator.model_info.id == EXPECTED["model"]
    assert_same_cells(generator.generate(*ASKED))


def test_a_workdir_encodes_and_scores_as_before(generator):
    image, labels = ARRAYS["image"], ARRAYS["image_labels"]
    codes = generator.encode(image)
    np.testing.assert_array_equal(codes.top, ARRAYS["image_top"])
    np.testing.assert_array_equal(codes.bottom, ARRAYS["image_bottom"])
    assert_same_pixels(generator.decode(codes).numpy(), ARRAYS["reconstruction"])
    top_bits, bottom_bits = generator.score(image, labels)
    np.testing.assert_allclose(top_bits, ARRAYS["top_bits"], **CLOSE)
    np.testing.assert_allclose(bottom_bits, ARRAYS["bottom_bits"], **CLOSE)
    top = generator.top.logits(codes.top, labels)
    np.testing.assert_allclose(top, ARRAYS["top_logits"], **CLOSE)
    bottom = generator.bottom.logits(codes.bottom, labels, condition=codes.top)
    np.testing.assert_allclose(bottom, ARRAYS["bottom_logits"], **CLOSE)


def test_an_export_generates_the_same_cells(written):
    saved = open_source(written / "export")
    assert as_json(saved.model_info.to_json()) == EXPECTED["about"]
    assert_same_cells(saved.generate(*ASKED))
    rows = ARRAYS["exported_rows"]
    names = ("seed", "temperature", "top_p", "guidance")
    how = {name: x[rows] for name, x in zip(names, ASKED[1:], strict=True)}
    made = saved.ask("generate", class_id=ARRAYS["exported_class_id"], **how)
    np.testing.assert_array_equal(made["top_codes"], ARRAYS["exported_top"])
    np.testing.assert_array_equal(made["bottom_codes"], ARRAYS["exported_bottom"])


@pytest.mark.parametrize("stage", ["bottom", "vqvae"])
def test_training_continues_as_it_did(written, tmp_path, stage):
    workdir = Workdir(tmp_path / "workdir")
    shutil.copytree(written / "workdir", workdir.path)
    expected = EXPECTED["resumed"][stage]
    step, shards = expected["step"], written / "shards"
    train(data_dir=shards, workdir=workdir.path, stage=stage, steps=step)
    lines = read_metrics(workdir.stage(stage) / "metrics.jsonl")
    lines = {x["split"]: x for x in lines if x["step"] == step}
    for split in ("train", "validation"):
        found, metrics = lines[split], expected[split]
        assert found["loss"] == pytest.approx(metrics["loss"], rel=1e-4)
        found = {name: found[RENAMED_METRICS.get(name, name)] for name in metrics}
        assert found == pytest.approx(metrics, rel=1e-3, abs=1e-5)
    model, step = load_autoencoder(workdir)
    if stage != "vqvae":
        model, step = load_prior(workdir, stage, fingerprint(model))
    assert step == expected["step"]
    weights = model.trainable_variables if stage != "vqvae" else model.variables
    for weight, other in zip(weights, expected["weights"], strict=True):
        assert list(weight.shape) == other["shape"], other["path"]
        values = weight.numpy().astype(np.float64)
        sums = [values.sum(), np.linalg.norm(values)]
        near = pytest.approx([other["sum"], other["norm"]], rel=1e-3, abs=1e-3)
        assert sums == near, other["path"]
