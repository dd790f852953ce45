import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests import support
from tests.training.runs import (
    OVERRIDES,
    assert_same_weights,
    metrics_of,
    run,
    saved_values,
)
from tfvqgen.config import VQVAEConfig
from tfvqgen.errors import UserError
from tfvqgen.files import read_sealed_json
from tfvqgen.training.checkpoints import saved_checkpoints
from tfvqgen.training.metrics_log import MetricsLog
from tfvqgen.training.stages.vqvae import AutoencoderStage
from tfvqgen.training.train import train

# A graph that is made in little time.
SMALLEST = (
    *OVERRIDES,
    "vqvae.residual_layers=0",
    "vqvae.texture_noise_weight=0",
    "vqvae.frequency_weight=0",
    "vqvae.adversarial_weight=0",
)


def checkpoints(workdir):
    return workdir / "vqvae" / "checkpoints"


def test_a_killed_run_continues_to_the_weights_of_an_uninterrupted_one(
    tiny_shards, tmp_path
):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    command = [
        *(sys.executable, "train.py", f"--data_dir={tiny_shards}", "--stage=vqvae"),
        *(f"--workdir={killed}", "--steps=6", "--strategy=one_device"),
        *(f"--set={override}" for override in SMALLEST),
    ]
    process = subprocess.Popen(
        command,
        cwd=support.ROOT,
        env=support.environment(),
        stderr=subprocess.DEVNULL,
    )
    small = {"steps": 6, "overrides": SMALLEST}
    with support.eagerly(False):
        run(tiny_shards, whole, **small)
    deadline = time.monotonic() + 300
    while not saved_checkpoints(checkpoints(killed)):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with support.eagerly(False):
        run(tiny_shards, killed, **small)
    assert_same_weights(whole, killed)
    assert metrics_of(whole) == metrics_of(killed)


@pytest.mark.parametrize(
    ("stage", "overrides"),
    [
        ("vqvae", ()),
        ("vqvae", ("vqvae.precision=bfloat16",)),
        ("top", ()),
        ("bottom", ("bottom.accumulation=2",)),
    ],
)
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(
    tiny_shards, finished, tmp_path, stage, overrides
):
    whole, parts = finished, tmp_path / "parts"
    last = 6 if overrides else 9
    for folder, ends in ((parts, (4, last)), (tmp_path / "whole", (last,))):
        if folder == parts or overrides:
            shutil.copytree(finished, folder)
            shutil.rmtree(folder / stage)
            for steps in ends:
                run(tiny_shards, folder, steps=steps, stage=stage, overrides=overrides)
            whole = finished if folder == parts else folder
    assert_same_weights(whole, parts, stage)
    # Lines that end earlier than others hold the means of other steps.
    assert metrics_of(whole, stage)[-1] == metrics_of(parts, stage)[-1]


def test_a_run_with_a_critic_has_its_weights_and_optimizer_in_the_checkpoint(finished):
    names = {name.partition("/")[0] for name in saved_values(finished)}
    assert {"critic", "critic_optimizer"} <= names
    assert metrics_of(finished)[-2]["effective_adversarial_weight"] > 0


def test_sigterm_saves_a_checkpoint(tiny_shards, finished, tmp_path, monkeypatch):
    real = MetricsLog.write

    def write(log, step, split, metrics):
        real(log, step, split, metrics)
        if step == 4:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched, pytest.raises(SystemExit) as ended:
        patched.setattr(MetricsLog, "write", write)
        run(tiny_shards, tmp_path, steps=9)
    assert ended.value.code == 128 + signal.SIGTERM
    assert [step for step, _ in saved_checkpoints(checkpoints(tmp_path))] == [3, 4]
    assert metrics_of(tmp_path) == metrics_of(finished)[:2]


def test_a_validation_that_was_interrupted_is_made_by_the_next_run(
    tiny_shards, finished, tmp_path, monkeypatch
):
    run(tiny_shards, tmp_path, steps=6)
    path = tmp_path / "vqvae" / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    assert '"split": "validation"' in lines[-1]
    path.write_text("".join(lines[:-1]) + lines[-1][:20])
    real = AutoencoderStage.validation_sums

    def interrupted(stage, batch):
        os.kill(os.getpid(), signal.SIGINT)
        return real(stage, batch)

    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(AutoencoderStage, "validation_sums", interrupted)
        run(tiny_shards, tmp_path, steps=9)
    run(tiny_shards, tmp_path, steps=9)
    assert metrics_of(tmp_path) == metrics_of(finished)


def test_a_damaged_checkpoint_is_skipped_with_a_warning(
    tiny_shards, finished, workdir, capsys
):
    newest = f"{saved_checkpoints(checkpoints(workdir))[-1][1]}.data-00000-of-00001"
    os.truncate(newest, os.path.getsize(newest) // 2)
    run(tiny_shards, workdir, steps=9)
    assert "skipped a damaged checkpoint" in capsys.readouterr().err
    assert_same_weights(finished, workdir)
    assert metrics_of(finished) == metrics_of(workdir)


def test_a_full_disk_at_a_checkpoint_is_reported_and_keeps_the_others(
    tiny_shards, workdir
):
    kept = support.digest_of_folder(checkpoints(workdir))
    largest = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, largest[1]))
    try:
        with pytest.raises(OSError, match="too large") as error:
            run(tiny_shards, workdir, steps=10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, largest)
    assert error.value.filename.endswith("checkpoints/step-10")
    assert support.digest_of_folder(checkpoints(workdir)) == kept


def test_a_loss_that_is_not_finite_names_the_batch_and_keeps_the_checkpoint(
    tiny_shards, workdir
):
    kept = support.digest_of_folder(checkpoints(workdir))
    config = read_sealed_json(workdir / "config.json")
    changes = {"learning_rate": 1e38, "clip_norm": 0.0, "warmup_steps": 0}
    config["config"]["vqvae"].update(changes)
    (workdir / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        UserError, match=r"not finite at step 1\d.*records train\d"
    ) as e:
        train(data_dir=tiny_shards, workdir=workdir, stage="vqvae", steps=14)
    assert len(set(str(e.value).rsplit("records ", 1)[1].split(", "))) == 4
    assert support.digest_of_folder(checkpoints(workdir)) == kept


def test_finished_stages_are_skipped(tiny_shards, finished, capsys):
    before = support.digest_of_folder(finished)
    run(tiny_shards, finished, steps=9, stage="all")
    assert support.digest_of_folder(finished) == before
    out = capsys.readouterr().out
    for stage in ("vqvae", "codes", "top", "bottom"):
        assert f"{stage}: done already" in out


def test_more_steps_leave_the_learning_rates_as_they_were(tiny_shards, tmp_path):
    for steps in (1, 2):
        overrides = ["vqvae.decay_steps=0", "vqvae.warmup_steps=0"]
        run(tiny_shards, tmp_path, steps=steps, overrides=overrides)
    last = [x for x in metrics_of(tmp_path) if x["split"] == "train"][-1]
    assert last["learning_rate"] == pytest.approx(
        VQVAEConfig.learning_rate * VQVAEConfig.final_learning_rate
    )
