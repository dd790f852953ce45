import importlib.util
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from tests import support
from tests.support import TINY
from tfvqgen.config import VQVAEConfig
from tfvqgen.data import codes
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import read_sealed_json
from tfvqgen.training.checkpoints import saved_checkpoints
from tfvqgen.training.loop import Loop
from tfvqgen.training.metrics_log import read_metrics
from tfvqgen.training.train import train
from tfvqgen.training.trained_models import (
    fingerprint,
    load_autoencoder,
    load_prior,
)
from tfvqgen.training.workdir import Workdir

LEVELS = ("top", "bottom")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    support.make_dataset(folder, {"train": 10, "validation": 6}, shape=(16, 16, 3))
    return folder


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A run of all stages, 9 steps each, that nothing interrupted."""
    workdir = tmp_path_factory.mktemp("finished") / "workdir"
    run(data, workdir, steps=9, stage="all")
    return workdir


def run(data, workdir, *, steps, stage="vqvae", overrides=(), **arguments):
    train(
        data_dir=data,
        workdir=workdir,
        stage=stage,
        steps=steps,
        overrides=[*TINY, *overrides],
        strategy="one_device",
        **arguments,
    )


def saved_values(workdir, stage="vqvae"):
    _, path = saved_checkpoints(Workdir(workdir).checkpoints(stage))[-1]
    reader = tf.train.load_checkpoint(path)
    return {
        name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
    }


def assert_same_weights(one, other, stage="vqvae"):
    """Compares everything in the checkpoints: weights, optimizer, step, epoch."""
    first, second = saved_values(one, stage), saved_values(other, stage)
    assert first.keys() == second.keys()
    for name, value in first.items():
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH" and "save_counter" not in name:
            np.testing.assert_array_equal(value, second[name], err_msg=name)


def figures(workdir, stage="vqvae"):
    return [
        {name: value for name, value in line.items() if "per_second" not in name}
        for line in read_metrics(workdir / stage / "metrics.jsonl")
    ]


def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(
    data, finished, tmp_path
):
    for steps in (3, 4, 9):
        run(data, tmp_path, steps=steps)
    assert_same_weights(finished, tmp_path)
    ends = [line for line in figures(finished) if line["split"] == "validation"]
    assert all(line in figures(tmp_path) for line in ends)


CRITIC = (
    "vqvae.frequency_weight=0.1",
    "vqvae.adversarial_weight=0.5",
    "vqvae.adversarial_after=3",
    "vqvae.adversarial_ramp=2",
    "vqvae.critic_width=4",
)


@pytest.fixture(scope="module")
def with_critic(data, tmp_path_factory):
    """A run of 9 steps, 6 of them with a critic's pull."""
    workdir = tmp_path_factory.mktemp("with_critic") / "workdir"
    run(data, workdir, steps=9, overrides=CRITIC)
    return workdir


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_run_with_a_critic_resumes_bit_for_bit(
    data, with_critic, tmp_path, precision
):
    overrides = [*CRITIC, f"vqvae.precision={precision}"]
    whole = with_critic
    if precision == "bfloat16":
        whole = tmp_path / "whole"
        run(data, whole, steps=9, overrides=overrides)
    for steps in (2, 4, 9):
        run(data, tmp_path / "parts", steps=steps, overrides=overrides)
    names = {name.partition("/")[0] for name in saved_values(whole)}
    assert {"critic", "critic_optimizer"} <= names
    assert_same_weights(whole, tmp_path / "parts")
    last = figures(whole)[-2]
    assert last["effective_adversarial_weight"] > 0
    assert figures(tmp_path / "parts")[-1] == figures(whole)[-1]


def test_a_critic_does_not_touch_the_autoencoder_before_it_pulls(data, tmp_path):
    overrides = (
        "adversarial_weight=0.5",
        "adversarial_after=4",
        "adversarial_ramp=4",
        "critic_width=4",
    )
    run(data, tmp_path / "off", steps=4)
    run(data, tmp_path / "on", steps=4, overrides=[f"vqvae.{x}" for x in overrides])
    off, on = (load_autoencoder(Workdir(tmp_path / x))[0] for x in ("off", "on"))
    assert fingerprint(off) == fingerprint(on)
    values = saved_values(tmp_path / "on")
    moved = [v for n, v in values.items() if n.startswith("critic_optimizer/values/")]
    assert any(np.any(value) for value in moved), "the critic has learnt"


def test_another_workdirs_weights_are_taken_over_beside_a_new_critic(
    data, with_critic, tmp_path
):
    run(data, tmp_path, steps=2, overrides=CRITIC, init_from=with_critic)
    step = saved_values(tmp_path)["step/.ATTRIBUTES/VARIABLE_VALUE"]
    assert step == 2
    assert figures(tmp_path)[0]["effective_adversarial_weight"] == 0


def test_codes_and_the_autoencoder_know_nothing_of_the_critic(
    data, with_critic, tmp_path
):
    shutil.copytree(with_critic, tmp_path / "workdir")
    run(data, tmp_path / "workdir", steps=9, stage="codes", overrides=CRITIC)
    assert (tmp_path / "workdir" / "codes" / "codes.json").is_file()
    autoencoder, step = load_autoencoder(Workdir(with_critic))
    assert step == 9
    assert not [v for v in autoencoder.variables if "critic" in v.path]


def test_a_run_killed_at_any_moment_goes_on_to_the_same_weights(
    data, finished, tmp_path
):
    command = [
        sys.executable,
        "train.py",
        f"--data_dir={data}",
        f"--workdir={tmp_path}",
        "--stage=vqvae",
        "--steps=9",
        "--strategy=one_device",
        *(f"--set={override}" for override in TINY),
    ]
    process = subprocess.Popen(
        command,
        cwd=support.ROOT,
        env=support.environment(),
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not saved_checkpoints(tmp_path / "vqvae" / "checkpoints"):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run(data, tmp_path, steps=9)
    assert_same_weights(finished, tmp_path)
    assert figures(finished) == figures(tmp_path)


def test_a_finished_stage_is_skipped(data, finished, capsys):
    before = support.digest_of_folder(finished)
    run(data, finished, steps=9, stage="all")
    assert support.digest_of_folder(finished) == before
    out = capsys.readouterr().out
    for stage in ("vqvae", "codes", *LEVELS):
        assert f"{stage}: done already" in out


@pytest.mark.parametrize("level", LEVELS)
def test_a_resumed_prior_equals_the_uninterrupted_one_bit_for_bit(
    data, finished, tmp_path, level
):
    workdir = tmp_path / "workdir"
    shutil.copytree(finished, workdir)
    shutil.rmtree(workdir / level)
    for steps in (4, 9):
        run(data, workdir, steps=steps, stage=level)
    assert_same_weights(finished, workdir, level)
    ends = [x for x in figures(finished, level) if x["split"] == "validation"]
    assert all(line in figures(workdir, level) for line in ends)


@pytest.mark.parametrize("level", LEVELS)
def test_priors_write_their_likelihood_beside_the_unigrams(finished, level):
    info = codes.read_codes_info(finished / "codes")
    counts = {}
    for name in ("train", "validation"):
        batches = codes.CodeSplit(finished / "codes", name, info).batches()
        every = np.concatenate([batch[level].ravel() for batch in batches])
        counts[name] = np.bincount(every, minlength=8).astype(float)
    shares = (counts["train"] + 1) / (counts["train"] + 1).sum()
    held_out = counts["validation"] / counts["validation"].sum()
    last = figures(finished, level)[-1]
    assert last["split"] == "validation"
    expected = -np.sum(held_out * np.log2(shares))
    assert last["unigram_bits_per_code"] == pytest.approx(expected, rel=1e-5)
    assert last["bits_per_code"] == pytest.approx(last["nats_per_code"] / np.log(2))
    assert (finished / level / "samples.png").is_file()
    line = read_metrics(finished / level / "metrics.jsonl")[0]
    assert line["codes_per_second"] > 0


def test_a_prior_does_not_go_on_with_other_codes(data, finished, tmp_path):
    workdir = tmp_path / "workdir"
    shutil.copytree(finished, workdir)
    run(data, workdir, steps=10)
    with pytest.raises(DataError, match="codes are stale"):
        run(data, workdir, steps=12, stage="top")
    run(data, workdir, steps=10, stage="codes")
    with pytest.raises(UserError, match="was trained on other codes"):
        run(data, workdir, steps=12, stage="top")


def test_gradients_added_up_over_parts_are_those_of_the_whole_batch(
    data, finished, tmp_path
):
    losses = {}
    for parts in (1, 4):
        workdir = tmp_path / str(parts)
        shutil.copytree(finished, workdir)
        shutil.rmtree(workdir / "top")
        run(
            data,
            workdir,
            steps=4,
            stage="top",
            overrides=[
                f"top.accumulation={parts}",
                "top.dropout=0",
                "top.label_dropout=0",
            ],
        )
        losses[parts] = figures(workdir, "top")[-1]["loss"]
    assert losses[1] == pytest.approx(losses[4], abs=1e-5)


def test_training_stops_when_the_held_out_loss_no_longer_falls(
    data, finished, tmp_path, capsys
):
    workdir = tmp_path / "workdir"
    shutil.copytree(finished, workdir)
    shutil.rmtree(workdir / "top")
    overrides = [
        "top.patience=2",
        "top.validate_every=1",
        "top.learning_rate=0.5",
        "top.polyak=0",
        "top.clip_norm=0",
    ]
    run(data, workdir, steps=60, stage="top", overrides=overrides)
    ended = saved_checkpoints(workdir / "top" / "checkpoints")[-1][0]
    assert ended < 60
    run(data, workdir, steps=60, stage="top", overrides=overrides)
    assert "top: done already" in capsys.readouterr().out


def test_symmetries_of_training_images_are_encoded_too(data, finished, tmp_path):
    workdir = tmp_path / "workdir"
    shutil.copytree(finished, workdir)
    for level in LEVELS:
        shutil.rmtree(workdir / level)
    run(data, workdir, steps=9, stage="codes", overrides=["codes.symmetries=8"])
    info = codes.read_codes_info(workdir / "codes")
    train_split = codes.CodeSplit(workdir / "codes", "train", info)
    assert train_split.num_examples == 80
    assert codes.CodeSplit(workdir / "codes", "validation", info).num_examples == 6
    autoencoder, _ = load_autoencoder(Workdir(finished))
    image = support.random_image((16, 16, 3), seed=0) / np.float32(255)
    turned = [np.rot90(image, k) for k in range(4)]
    turned += [np.fliplr(each) for each in turned]
    expected = autoencoder.encode(np.array(turned, np.float32)).top.numpy()
    (batch,) = train_split.batches(100)
    ids = train_split.crop_ids(range(80))
    found = batch["top"][[i for i in range(80) if ids[i] == "train0"]]
    assert sorted(map(str, found)) == sorted(map(str, expected))


def test_a_prior_does_not_learn_from_codes_in_fewer_symmetries_than_asked_for(
    data, finished, tmp_path
):
    workdir = tmp_path / "workdir"
    shutil.copytree(finished, workdir)
    for level in LEVELS:
        shutil.rmtree(workdir / level)
    with pytest.raises(UserError, match=r"symmetries=8.*--stage=codes.*symmetries=1"):
        run(data, workdir, steps=9, stage="top", overrides=["codes.symmetries=8"])


@pytest.mark.parametrize("stage", ["all", "codes"])
def test_codes_that_a_prior_has_learnt_from_are_not_replaced_by_other_symmetries(
    data, finished, stage
):
    before = support.digest_of_folder(finished)
    with pytest.raises(UserError, match=r"top prior was trained.*symmetries=1"):
        run(data, finished, steps=9, stage=stage, overrides=["codes.symmetries=8"])
    assert support.digest_of_folder(finished) == before


def test_a_request_that_is_refused_is_not_in_the_way_of_the_next(
    data, finished, tmp_path
):
    workdir = tmp_path / "workdir"
    shutil.copytree(finished, workdir)
    shutil.rmtree(workdir / "top")
    before = support.digest_of_folder(workdir)
    for refused in ("codes.symmetries=8", "top.accumulation=3"):
        with pytest.raises(UserError):
            run(data, workdir, steps=1, stage="top", overrides=[refused])
        assert support.digest_of_folder(workdir) == before
    train(data_dir=data, workdir=workdir, stage="top", steps=1)


def test_a_part_of_the_held_out_examples_is_used_in_whole_batches(
    data, finished, tmp_path
):
    workdir = tmp_path / "workdir"
    shutil.copytree(finished, workdir)
    line = figures(finished)[-1]
    path = workdir / "vqvae" / "metrics.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    run(data, workdir, steps=9, overrides=["vqvae.validation_examples=3"])
    autoencoder, _ = load_autoencoder(Workdir(workdir))
    images = [support.random_image((16, 16, 3), seed=i) / 255.0 for i in range(4)]
    full = autoencoder.reconstruct_levels(np.array(images, np.float32)).full.numpy()
    last = figures(workdir)[-1]
    assert last["step"] == line["step"] and last["split"] == "validation"
    expected = np.mean((np.array(images) - full) ** 2)
    assert last["reconstruction_mse"] == pytest.approx(expected, rel=1e-5)


def test_metrics_have_their_names_for_both_splits(finished):
    lines = figures(finished)
    names = {
        "loss",
        "reconstruction_mse",
        "top_usage",
        "bottom_usage",
        "top_codebook_perplexity",
        "bottom_codebook_perplexity",
    }
    validation = {
        "top_only_mse",
        "bottom_only_mse",
        "reconstruction_mse/red",
        "mean_image_mse",
    }
    for line in lines:
        quantized = line["step"] > 2 or line["split"] == "validation"
        assert (names if quantized else {"loss", "reconstruction_mse"}) <= line.keys()
        assert line["split"] == "train" or validation <= line.keys()
    assert [x["step"] for x in lines if x["split"] == "train"] == [2, 4, 6, 8, 9]
    assert [x["step"] for x in lines if x["split"] == "validation"] == [6, 9]


def test_validation_figures_are_those_of_the_saved_autoencoder(data, finished):
    autoencoder, _ = load_autoencoder(Workdir(finished))
    images = [support.random_image((16, 16, 3), seed=i) / 255.0 for i in range(6)]
    levels = autoencoder.reconstruct_levels(np.array(images, np.float32))
    last = figures(finished)[-1]
    for name, reconstruction in (
        ("reconstruction_mse", levels.full),
        ("top_only_mse", levels.top_only),
        ("bottom_only_mse", levels.bottom_only),
    ):
        expected = np.mean((np.array(images) - reconstruction.numpy()) ** 2)
        assert last[name] == pytest.approx(expected, rel=1e-5)
    spread = np.mean(np.var(images, axis=0))
    assert last["mean_image_mse"] == pytest.approx(spread, rel=1e-4)
    used = len(np.unique(levels.codes.top))
    assert last["top_usage"] == pytest.approx(used / 8)


def test_reconstructions_are_pictured(finished):
    assert (finished / "vqvae" / "reconstructions.png").read_bytes()[:4] == b"\x89PNG"


def test_what_is_frozen_is_refused_with_the_difference(data, finished):
    with pytest.raises(UserError, match="hidden: 8 -> 16"):
        run(data, finished, steps=9, overrides=["vqvae.hidden=16"])
    with pytest.raises(UserError, match="seed: 0 -> 7"):
        run(data, finished, steps=9, seed=7)


def test_other_data_are_refused(finished, tmp_path):
    other = tmp_path / "other"
    support.make_dataset(other, {"train": 9, "validation": 6}, shape=(16, 16, 3))
    with pytest.raises(UserError, match="data: "):
        run(other, finished, steps=9)


def test_images_of_another_size_are_refused_with_the_way_out(data, tmp_path):
    with pytest.raises(UserError, match=r"128 x 128.*image_shape=16,16,3.*16 x 16"):
        train(data_dir=data, workdir=tmp_path, preset="hpa128")


def test_two_runs_on_one_workdir_are_refused(data, finished):
    with (
        Workdir(finished).locked(),
        pytest.raises(UserError, match="in use by another run"),
    ):
        run(data, finished, steps=9)


def test_a_stage_starts_from_another_workdirs_weights(data, finished, tmp_path):
    run(
        data,
        tmp_path,
        steps=1,
        overrides=["vqvae.learning_rate=0", "vqvae.decay=0.999"],
        init_from=finished,
    )
    other, _ = load_autoencoder(Workdir(tmp_path))
    source, _ = load_autoencoder(Workdir(finished))
    for new, old in zip(
        other.trainable_variables, source.trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(new.numpy(), old.numpy())


def test_a_prior_starts_from_another_workdirs_averaged_weights(
    data, finished, tmp_path
):
    still = [f"{level}.learning_rate=0" for level in LEVELS]
    run(data, tmp_path, stage="all", steps=1, overrides=still, init_from=finished)
    for level in LEVELS:
        new, old = (
            load_prior(workdir, level, fingerprint(load_autoencoder(workdir)[0]))[0]
            for workdir in (Workdir(tmp_path), Workdir(finished))
        )
        for ours, theirs in zip(
            new.trainable_variables, old.trainable_variables, strict=True
        ):
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_a_workdir_without_a_stage_to_start_from_is_refused_before_any_is_trained(
    data, finished, tmp_path
):
    half, new = tmp_path / "half", tmp_path / "new"
    shutil.copytree(finished, half)
    shutil.rmtree(half / "bottom")
    with pytest.raises(UserError, match=r"bottom: no weights to start from.*half"):
        train(data_dir=data, workdir=new, steps=1, init_from=half)
    assert not new.exists()


def test_weights_to_start_from_are_refused_for_codes_which_take_none(
    data, finished, tmp_path
):
    with pytest.raises(UserError, match="--stage=codes --init_from="):
        run(data, tmp_path, steps=1, stage="codes", init_from=finished)


def test_weights_of_another_architecture_are_refused(data, finished, tmp_path):
    with pytest.raises(UserError, match="does not fit the configuration"):
        run(
            data,
            tmp_path,
            steps=1,
            overrides=["vqvae.hidden=16"],
            init_from=finished,
        )


def test_a_loss_that_is_not_finite_names_the_batch_and_keeps_the_checkpoint(
    data, tmp_path
):
    run(data, tmp_path, steps=3)
    kept = support.digest_of_folder(tmp_path / "vqvae" / "checkpoints")
    config = read_sealed_json(tmp_path / "config.json")
    config["config"]["vqvae"]["learning_rate"] = 1e38
    config["config"]["vqvae"]["clip_norm"] = 0.0
    config["config"]["vqvae"]["warmup_steps"] = 0
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"not finite at step \d.*records train\d") as e:
        train(data_dir=data, workdir=tmp_path, stage="vqvae", steps=9)
    assert len(set(str(e.value).rsplit("records ", 1)[1].split(", "))) == 4
    assert support.digest_of_folder(tmp_path / "vqvae" / "checkpoints") == kept


def test_a_damaged_record_ends_training_with_its_name(data, tmp_path):
    damaged = tmp_path / "data"
    shutil.copytree(data, damaged)
    shard = damaged / "train-00001-of-00003.tfrecord"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match=r"train-00001-of-00003\.tfrecord.*record 1"):
        run(damaged, tmp_path / "workdir", steps=9)


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(
    data, finished, tmp_path, capsys
):
    shutil.copytree(finished, tmp_path / "workdir")
    steps = saved_checkpoints(tmp_path / "workdir" / "vqvae" / "checkpoints")
    newest = f"{steps[-1][1]}.data-00000-of-00001"
    os.truncate(newest, os.path.getsize(newest) // 2)
    run(data, tmp_path / "workdir", steps=9)
    assert "skipped a damaged checkpoint" in capsys.readouterr().err
    assert_same_weights(finished, tmp_path / "workdir")
    assert figures(finished) == figures(tmp_path / "workdir")


def test_a_disk_that_is_full_at_a_checkpoint_is_told_and_gone_on_from(
    data, finished, tmp_path
):
    run(data, tmp_path, steps=3)
    kept = support.digest_of_folder(tmp_path / "vqvae" / "checkpoints")
    largest = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, largest[1]))
    try:
        with pytest.raises(OSError, match="too large") as error:
            run(data, tmp_path, steps=9)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, largest)
    assert error.value.filename.endswith("checkpoints/step-6")
    assert support.digest_of_folder(tmp_path / "vqvae" / "checkpoints") == kept
    run(data, tmp_path, steps=9)
    assert_same_weights(finished, tmp_path)


def test_codes_are_those_of_the_autoencoder_in_the_order_of_the_images(finished):
    info = codes.read_codes_info(finished / "codes")
    autoencoder, _ = load_autoencoder(Workdir(finished))
    split = codes.CodeSplit(finished / "codes", "train", info)
    read, parse = split.records.reader(), codes.codes_parser(info)
    assert split.num_examples == 10
    for i in range(10):
        found = parse(read(tf.constant(i, tf.int64)))
        image = support.random_image((16, 16, 3), seed=i)[None] / 255.0
        expected = autoencoder.encode(image.astype(np.float32))
        np.testing.assert_array_equal(found["top"], expected.top[0])
        np.testing.assert_array_equal(found["bottom"], expected.bottom[0])
        np.testing.assert_array_equal(np.flatnonzero(found["labels"]), [i % 3])


def test_stale_codes_are_refused_and_written_again(data, finished, tmp_path):
    workdir = tmp_path / "workdir"
    shutil.copytree(finished, workdir)
    run(data, workdir, steps=12)
    info = codes.read_codes_info(workdir / "codes")
    current = fingerprint(load_autoencoder(Workdir(workdir))[0])
    expected = {
        "dataset_fingerprint": info.dataset_fingerprint,
        "autoencoder_fingerprint": current,
    }
    with pytest.raises(DataError, match=r"stale.*autoencoder"):
        codes.require_current(info, **expected)
    run(data, workdir, steps=12, stage="codes")
    codes.require_current(codes.read_codes_info(workdir / "codes"), **expected)


def test_codes_go_on_after_an_interruption_with_the_shards_that_are_done(
    data, finished, tmp_path, monkeypatch
):
    workdir = tmp_path / "workdir"
    shutil.copytree(finished, workdir)
    shutil.rmtree(workdir / "codes")
    real, written = codes.serialize_codes, []

    def interrupted(*arguments):
        written.append(arguments[-1])
        if len(written) == 5:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(codes, "serialize_codes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(data, workdir, steps=9, stage="codes")
    assert not (workdir / "codes").exists()
    run(data, workdir, steps=9, stage="codes")
    assert written.count(written[0]) == 1
    expected = support.digest_of_folder(finished / "codes")
    assert support.digest_of_folder(workdir / "codes") == expected


def test_codes_before_the_autoencoder_are_refused_in_words(data, tmp_path):
    with pytest.raises(UserError, match="no checkpoint"):
        run(data, tmp_path, steps=9, stage="codes")


def test_a_batch_that_does_not_divide_is_refused(data, tmp_path):
    command = [
        sys.executable,
        "-c",
        "import tensorflow as tf\n"
        "cpu = tf.config.list_physical_devices('CPU')[0]\n"
        "two = [tf.config.LogicalDeviceConfiguration()] * 2\n"
        "tf.config.set_logical_device_configuration(cpu, two)\n"
        "from tfvqgen.training.train import train\n"
        f"train(data_dir={str(data)!r}, workdir={str(tmp_path)!r}, "
        f"strategy='mirrored', overrides={[*TINY, 'vqvae.batch_size=3']!r})",
    ]
    result = subprocess.run(
        command, env=support.environment(), capture_output=True, text=True
    )
    assert "to be a multiple of 2. Received: batch_size=3" in result.stderr


def test_a_damaged_validation_shard_costs_no_training(data, tmp_path):
    damaged = tmp_path / "data"
    shutil.copytree(data, damaged)
    shard = damaged / "validation-00000-of-00003.tfrecord"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match=r"validation-00000-of-00003\.tfrecord"):
        run(damaged, tmp_path / "workdir", steps=4)
    saved = saved_checkpoints(tmp_path / "workdir" / "vqvae" / "checkpoints")
    assert saved[-1][0] == 4


def test_a_validation_that_was_interrupted_is_made_up_for(data, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "workdir")
    path = tmp_path / "workdir" / "vqvae" / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    assert '"split": "validation"' in lines[-1]
    path.write_text("".join(lines[:-1]) + lines[-1][:20])
    run(data, tmp_path / "workdir", steps=9)
    assert figures(tmp_path / "workdir") == figures(finished)


def test_a_validation_interrupted_while_it_is_made_up_for_is_not_forgotten(
    data, finished, tmp_path, monkeypatch
):
    run(data, tmp_path, steps=6)
    path = tmp_path / "vqvae" / "metrics.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    real = Loop._validation_sums

    def interrupted(loop, interruption):
        os.kill(os.getpid(), signal.SIGINT)
        return real(loop, interruption)

    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(Loop, "_validation_sums", interrupted)
        run(data, tmp_path, steps=9)
    run(data, tmp_path, steps=9)
    assert figures(tmp_path) == figures(finished)


def test_more_steps_later_leave_the_schedule_as_it_was(data, tmp_path):
    overrides = ["vqvae.decay_steps=0"]
    run(data, tmp_path, steps=6, overrides=overrides)
    run(data, tmp_path, steps=8, overrides=overrides)
    last = [x for x in figures(tmp_path) if x["split"] == "train"][-1]
    assert last["learning_rate"] == pytest.approx(
        VQVAEConfig.learning_rate * VQVAEConfig.final_learning_rate
    )


def test_a_first_run_that_failed_leaves_nothing_that_counts(data, tmp_path):
    only_train = tmp_path / "only_train"
    support.make_dataset(only_train, {"train": 10}, shape=(16, 16, 3))
    with pytest.raises(UserError, match="split='validation'"):
        run(only_train, tmp_path / "workdir", steps=4)
    assert not (tmp_path / "workdir" / "config.json").exists()


def test_a_workdir_that_tensorflow_cannot_read_from_is_refused_before_the_work(
    data, tmp_path
):
    with pytest.raises(UserError, match=r"cannot read from such a path.*run\[1\]"):
        run(data, tmp_path / "run[1]", steps=1)
    assert list(tmp_path.iterdir()) == []


def test_checkpoints_without_their_configuration_are_refused(data, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "workdir")
    (tmp_path / "workdir" / "config.json").unlink()
    with pytest.raises(UserError, match="checkpoints without their configuration"):
        run(data, tmp_path / "workdir", steps=9)


def test_a_flipped_bit_in_the_configuration_is_told(data, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "workdir")
    path = tmp_path / "workdir" / "config.json"
    # Of what may change without a word, so that nothing else would tell.
    path.write_text(path.read_text().replace('"log_every": 2', '"log_every": 3'))
    with pytest.raises(DataError, match=r"damaged file.*config\.json"):
        run(data, tmp_path / "workdir", steps=9)


def test_a_damaged_line_of_figures_is_named(finished, tmp_path):
    lines = (finished / "vqvae" / "metrics.jsonl").read_text().splitlines()
    path = tmp_path / "metrics.jsonl"
    path.write_text("\n".join([lines[0], "garbage", lines[1]]))
    with pytest.raises(DataError, match="line 2"):
        read_metrics(path)


def test_damaged_codes_are_written_again(data, finished, tmp_path, capsys):
    workdir = tmp_path / "workdir"
    shutil.copytree(finished, workdir)
    (workdir / "codes" / "codes.json").write_text("{")
    run(data, workdir, steps=9, stage="codes")
    assert "codes are written again" in capsys.readouterr().err
    expected = support.digest_of_folder(finished / "codes")
    assert support.digest_of_folder(workdir / "codes") == expected


def test_a_damaged_code_shard_is_named_and_written_again(
    data, finished, tmp_path, capsys
):
    workdir = tmp_path / "workdir"
    shutil.copytree(finished, workdir)
    shard = workdir / "codes" / "train-00001-of-00003.tfrecord"
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match=r"train-00001-of-00003\.tfrecord record 1"):
        run(data, workdir, steps=10, stage="top")
    run(data, workdir, steps=9, stage="codes")
    assert "codes are written again" in capsys.readouterr().err
    expected = support.digest_of_folder(finished / "codes")
    assert support.digest_of_folder(workdir / "codes") == expected


def test_metrics_are_written_where_tensorboard_is_not_installed(
    data, tmp_path, monkeypatch
):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n: None if n == "tensorboard" else real(n)
    )
    run(data, tmp_path, steps=2)
    assert figures(tmp_path)
    assert not (tmp_path / "vqvae" / "tensorboard").exists()
