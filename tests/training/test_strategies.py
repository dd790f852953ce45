import json
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests import support
from tests.training.runs import metrics_of, saved_values
from tfvqgen.errors import UserError
from tfvqgen.training.checkpoints import saved_checkpoints
from tfvqgen.training.distribution import make_strategy
from tfvqgen.training.train import train

OVERRIDES = [
    *support.TINY,
    "vqvae.residual_layers=0",
    "vqvae.texture_noise_weight=0",
    "vqvae.quantize_after=1",
    "vqvae.validate_every=4",
    "vqvae.checkpoint_every=2",
]
# A worker may be killed as soon as it has saved a checkpoint.
WORKER = """
import os, signal, sys
from tfvqgen.training import checkpoints, train
data, workdir, killed, *overrides = sys.argv[1:]
real = checkpoints.Checkpoints.save
def save(self, step):
    real(self, step)
    if killed == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
checkpoints.Checkpoints.save = save
train.train(data_dir=data, workdir=workdir, stage="vqvae", steps=4,
            strategy="multi_worker", overrides=overrides)
"""


def start_workers(data, workdir, *, killed=None):
    """Starts two workers; the one whose number is `killed` ends at its first save."""
    ports = []
    for _ in range(2):
        with socket.socket() as listener:
            listener.bind(("localhost", 0))
            ports.append(listener.getsockname()[1])
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    return [
        subprocess.Popen(
            [
                *(sys.executable, "-c", WORKER, data, workdir),
                *("killed" if number == killed else "", *OVERRIDES),
            ],
            env=support.environment(
                TF_CONFIG=json.dumps(
                    {"cluster": cluster, "task": {"type": "worker", "index": number}}
                )
            ),
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]


def test_two_workers_continue_after_one_was_lost_and_train_as_one_does(
    tiny_shards, tmp_path
):
    alone, pair = tmp_path / "alone", tmp_path / "pair"
    train(
        data_dir=tiny_shards,
        workdir=alone,
        stage="vqvae",
        steps=4,
        strategy="one_device",
        overrides=OVERRIDES,
    )
    for killed in (1, None):
        workers = start_workers(tiny_shards, pair, killed=killed)
        try:
            _, errors = workers[0].communicate(timeout=300)
        finally:
            for worker in workers:
                if killed is not None or workers[0].returncode:
                    worker.kill()
                worker.communicate()
        steps = [step for step, _ in saved_checkpoints(pair / "vqvae" / "checkpoints")]
        if killed is not None:
            assert "UserError: another worker has ended" in errors
            assert steps == [2]
        else:
            assert [worker.returncode for worker in workers] == [0, 0], errors
            assert steps == [2, 4]
    for line, other in zip(metrics_of(alone), metrics_of(pair), strict=True):
        assert other["loss"] == pytest.approx(line["loss"], abs=1e-3)
    found = saved_values(pair)
    for name, value in saved_values(alone).items():
        if name.startswith("model/"):
            np.testing.assert_allclose(found[name], value, atol=1e-5, err_msg=name)
    assert not [path for path in (pair / "vqvae").iterdir() if "worker" in path.name]


@pytest.mark.parametrize(
    "tf_config",
    [
        "",
        "{",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}',
    ],
)
def test_a_missing_or_wrong_cluster_is_refused(monkeypatch, tf_config):
    monkeypatch.setenv("TF_CONFIG", tf_config)
    with pytest.raises(UserError, match="needs a cluster in TF_CONFIG"):
        make_strategy("multi_worker")


def test_the_strategy_mirrored_uses_all_devices():
    strategy = make_strategy("mirrored")
    assert strategy.num_replicas_in_sync == len(tf.config.list_logical_devices("CPU"))
