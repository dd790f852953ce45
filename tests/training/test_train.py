import shutil

import numpy as np
import pytest

from tests import support
from tests.training.runs import flip_bit, metrics_of, run, saved_values
from tfvqgen.errors import DataError, UserError
from tfvqgen.training.checkpoints import saved_checkpoints
from tfvqgen.training.train import train
from tfvqgen.training.trained_models import fingerprint, load_autoencoder, load_prior
from tfvqgen.training.workdir import Workdir

LEVELS = ("top", "bottom")


def held_out_images(count):
    images = [support.random_image((16, 16, 3), seed=i) for i in range(count)]
    return np.array(images, np.float32) / 255


def test_metrics_have_their_names_for_both_splits(finished):
    lines = metrics_of(finished)
    levels = [f"{x}_{y}" for x in LEVELS for y in ("usage", "codebook_perplexity")]
    names = {"loss", "reconstruction_mse", *levels}
    validation = {"top_only_mse", "bottom_only_mse", "mean_image_mse"}
    validation.add("reconstruction_mse/red")
    for line in lines:
        quantized = line["step"] > 2 or line["split"] == "validation"
        assert (names if quantized else {"loss", "reconstruction_mse"}) <= line.keys()
        assert line["split"] == "train" or validation <= line.keys()
    assert [x["step"] for x in lines if x["split"] == "train"] == [2, 4, 6, 8, 9]
    assert [x["step"] for x in lines if x["split"] == "validation"] == [6, 9]
    path = finished / "vqvae" / "reconstructions.png"
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_validation_metrics_are_those_of_the_saved_autoencoder(finished):
    autoencoder, _ = load_autoencoder(Workdir(finished))
    images = held_out_images(6)
    levels = autoencoder.reconstruct_levels(images)
    last = metrics_of(finished)[-1]
    names = ("reconstruction_mse", "top_only_mse", "bottom_only_mse")
    for name, reconstruction in zip(names, levels[:3], strict=True):
        expected = np.mean((images - reconstruction.numpy()) ** 2)
        assert last[name] == pytest.approx(expected, rel=1e-5)
    spread = np.mean(np.var(images, axis=0))
    assert last["mean_image_mse"] == pytest.approx(spread, rel=1e-4)
    used = len(np.unique(levels.codes.top))
    assert last["top_usage"] == pytest.approx(used / 8)


def test_a_part_of_the_validation_examples_is_used_in_whole_batches(
    tiny_shards, workdir
):
    path = workdir / "vqvae" / "metrics.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    run(tiny_shards, workdir, steps=9, overrides=["vqvae.validation_examples=3"])
    autoencoder, _ = load_autoencoder(Workdir(workdir))
    images = held_out_images(4)
    full = autoencoder.reconstruct_levels(images).full.numpy()
    last = metrics_of(workdir)[-1]
    assert (last["step"], last["split"]) == (9, "validation")
    expected = np.mean((images - full) ** 2)
    assert last["reconstruction_mse"] == pytest.approx(expected, rel=1e-5)


def test_a_critic_does_not_change_the_autoencoder_before_it_is_active(
    tiny_shards, tmp_path
):
    for name, weight in (("off", 0), ("on", 0.5)):
        overrides = [f"vqvae.adversarial_weight={weight}"]
        run(tiny_shards, tmp_path / name, steps=2, overrides=overrides)
    off, on = (load_autoencoder(Workdir(tmp_path / x))[0] for x in ("off", "on"))
    assert fingerprint(off) == fingerprint(on)
    assert not [v for v in on.variables if "critic" in v.path]
    values = saved_values(tmp_path / "on")
    moved = [v for n, v in values.items() if n.startswith("critic_optimizer/values/")]
    assert any(np.any(value) for value in moved), "the critic was trained"


def test_accumulated_gradients_are_those_of_the_whole_batch(
    tiny_shards, finished, tmp_path
):
    losses = []
    for parts in (1, 4):
        workdir = shutil.copytree(finished, tmp_path / str(parts))
        shutil.rmtree(workdir / "top")
        keys = [f"accumulation={parts}", "dropout=0", "label_dropout=0"]
        overrides = [f"top.{key}" for key in keys]
        run(tiny_shards, workdir, steps=2, stage="top", overrides=overrides)
        losses.append(metrics_of(workdir, "top")[-1]["loss"])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_training_stops_when_the_validation_loss_no_longer_falls(
    tiny_shards, workdir, capsys
):
    shutil.rmtree(workdir / "top")
    keys = ("patience=2", "validate_every=1", "learning_rate=0.5", "polyak=0")
    overrides = [f"top.{key}" for key in (*keys, "clip_norm=0")]
    run(tiny_shards, workdir, steps=40, stage="top", overrides=overrides)
    assert saved_checkpoints(workdir / "top" / "checkpoints")[-1][0] < 40
    run(tiny_shards, workdir, steps=40, stage="top", overrides=overrides)
    assert "top: done already" in capsys.readouterr().out


def test_stages_start_from_the_weights_of_another_workdir(
    tiny_shards, finished, workdir
):
    def weights(folder, stage):
        model, _ = load_autoencoder(Workdir(folder))
        if stage == "bottom":
            model, _ = load_prior(Workdir(folder), stage, fingerprint(model))
        return [variable.numpy() for variable in model.trainable_variables]

    # The prior comes first, since its codes are those of the autoencoder.
    for stage, overrides in (("bottom", ()), ("vqvae", ("vqvae.decay=0.999",))):
        shutil.rmtree(workdir / stage)
        overrides = [f"{stage}.learning_rate=0", *overrides]
        changed = {"stage": stage, "overrides": overrides, "init_from": finished}
        run(tiny_shards, workdir, steps=1, **changed)
        pairs = zip(weights(workdir, stage), weights(finished, stage), strict=True)
        for ours, theirs in pairs:
            np.testing.assert_array_equal(ours, theirs)
    # The critic is not taken over.
    assert metrics_of(workdir)[0]["effective_adversarial_weight"] == 0


def test_wrong_weights_to_start_from_are_refused(tiny_shards, finished, tmp_path):
    half, new = shutil.copytree(finished, tmp_path / "half"), tmp_path / "new"
    shutil.rmtree(half / "bottom")
    for arguments, words in (
        ({"stage": "all"}, r"bottom: no weights to start from.*half"),
        ({"stage": "codes"}, "--stage=codes --init_from="),
        ({"overrides": ["vqvae.hidden=16"]}, "does not fit the configuration"),
    ):
        with pytest.raises(UserError, match=words):
            run(tiny_shards, new, steps=1, init_from=half, **arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"overrides": ["vqvae.hidden=16"]}, "hidden: 8 -> 16"),
        ({"seed": 7}, "seed: 0 -> 7"),
        ({"stage": "top", "overrides": ["top.width=16"]}, "width: 8 -> 16"),
        (
            {"stage": "codes", "overrides": ["codes.symmetries=8"]},
            r"top.*different settings.*symmetries: 1 -> 8",
        ),
    ],
)
def test_a_request_that_would_change_a_trained_stage_is_refused(
    tiny_shards, finished, arguments, words
):
    before = support.digest_of_folder(finished)
    with pytest.raises(UserError, match=words):
        run(tiny_shards, finished, steps=9, **arguments)
    assert support.digest_of_folder(finished) == before


def test_a_refused_request_does_not_affect_the_next(tiny_shards, workdir):
    shutil.rmtree(workdir / "top")
    refused = {"stage": "top", "overrides": ["top.accumulation=3"]}
    with pytest.raises(UserError):
        run(tiny_shards, workdir, steps=1, **refused)
    train(data_dir=tiny_shards, workdir=workdir, stage="top", steps=1)


def test_other_data_and_images_of_another_size_are_refused(
    tiny_shards, finished, tmp_path
):
    other = tmp_path / "other"
    support.make_dataset(other, {"train": 9, "validation": 6}, shape=(16, 16, 3))
    with pytest.raises(UserError, match="data: "):
        run(other, finished, steps=9)
    with pytest.raises(UserError, match=r"128 x 128.*image_shape=16,16,3.*16 x 16"):
        train(data_dir=tiny_shards, workdir=tmp_path, preset="hpa128")
    only_train = tmp_path / "only_train"
    support.make_dataset(only_train, {"train": 10}, shape=(16, 16, 3))
    with pytest.raises(UserError, match="split='validation'"):
        run(only_train, tmp_path / "workdir", steps=4)
    assert not (tmp_path / "workdir").exists()


def test_a_batch_that_replicas_cannot_share_is_refused(tiny_shards, tmp_path):
    wrong = {"overrides": ["vqvae.batch_size=3"], "strategy": "mirrored"}
    with pytest.raises(UserError, match=r"multiple of 2\. Received: batch_size=3"):
        run(tiny_shards, tmp_path, steps=1, **wrong)


def test_two_runs_on_one_workdir_are_refused(tiny_shards, finished):
    with Workdir(finished).locked(), pytest.raises(UserError, match="another run"):
        run(tiny_shards, finished, steps=9)


def test_a_path_that_tensorflow_cannot_read_from_is_refused(tiny_shards, tmp_path):
    with pytest.raises(UserError, match=r"cannot read from such a path.*run\[1\]"):
        run(tiny_shards, tmp_path / "run[1]", steps=1)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_or_damaged_configuration_is_reported(tiny_shards, workdir):
    path = workdir / "config.json"
    # A key that may change, so that only the hash shows the damage.
    path.write_text(path.read_text().replace('"log_every": 2', '"log_every": 3'))
    with pytest.raises(DataError, match=r"damaged file.*config\.json"):
        run(tiny_shards, workdir, steps=9)
    path.unlink()
    with pytest.raises(UserError, match="checkpoints without their configuration"):
        run(tiny_shards, workdir, steps=9)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_damaged_record_is_named_and_no_training_is_lost(
    tiny_shards, tmp_path, split
):
    data = shutil.copytree(tiny_shards, tmp_path / "data")
    flip_bit(data / f"{split}-00001-of-00003.tfrecord")
    with pytest.raises(DataError, match=rf"{split}-00001-of-00003\.tfrecord.*record"):
        run(data, tmp_path / "workdir", steps=2)
    saved = saved_checkpoints(tmp_path / "workdir" / "vqvae" / "checkpoints")
    assert [step for step, _ in saved] == ([2] if split == "validation" else [])
