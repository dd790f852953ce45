import json
import socket
import subprocess
import sys

import pytest

from tests import support
from tfvqgen.errors import UserError
from tfvqgen.training.distribution import make_strategy
from tfvqgen.training.metrics_log import read_metrics

TINY = (
    *(
        f"{level}.{key}"
        for level in ("top", "bottom")
        for key in ("width=8", "blocks=1", "heads=2", "batch_size=4")
    ),
    "vqvae.image_shape=16,16,3",
    "vqvae.hidden=8",
    "vqvae.residual_width=4",
    "vqvae.num_embeddings=8",
    "vqvae.embedding_dim=4",
    "vqvae.quantize_after=1",
    "vqvae.batch_size=4",
    "vqvae.log_every=2",
    "vqvae.validate_every=4",
    "vqvae.checkpoint_every=2",
)
TRAIN = """
import sys
import tensorflow as tf
strategy, cpus, data, workdir, stage, steps, *overrides = sys.argv[1:]
cpu = tf.config.list_physical_devices("CPU")[0]
parts = [tf.config.LogicalDeviceConfiguration()] * int(cpus)
tf.config.set_logical_device_configuration(cpu, parts)
from tfvqgen.training.run import train
train(data_dir=data, workdir=workdir, stage=stage, steps=int(steps),
      strategy=strategy, overrides=overrides)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    support.make_dataset(folder, {"train": 12, "validation": 6}, shape=(16, 16, 3))
    return folder


def start(strategy, cpus, data, workdir, *, stage="vqvae", steps=4, **environment):
    command = [sys.executable, "-c", TRAIN, strategy, str(cpus), data, workdir, stage]
    return subprocess.Popen(
        [*command, str(steps), *TINY],
        env=support.environment(**environment),
        stderr=subprocess.PIPE,
        text=True,
    )


def succeed(*processes):
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-3000:]


def losses(workdir):
    lines = read_metrics(workdir / "vqvae" / "metrics.jsonl")
    return {(line["step"], line["split"]): line["loss"] for line in lines}


def assert_close(one, other):
    first, second = losses(one), losses(other)
    assert first.keys() <= second.keys()
    for key, loss in first.items():
        assert second[key] == pytest.approx(loss, abs=1e-3), key


@pytest.fixture(scope="module")
def alone(data, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("alone")
    succeed(start("one_device", 1, data, workdir))
    return workdir


def test_two_replicas_train_validate_save_and_encode_as_one_does(data, alone, tmp_path):
    succeed(start("mirrored", 2, data, tmp_path, steps=2))
    succeed(start("mirrored", 2, data, tmp_path, stage="all"))
    assert_close(alone, tmp_path)
    assert (tmp_path / "vqvae" / "reconstructions.png").is_file()
    assert (tmp_path / "codes" / "codes.json").is_file()


def test_two_workers_train_and_go_on_as_one_does(data, alone, tmp_path):
    for steps in (2, 4):
        ports = [free_port(), free_port()]
        cluster = {"worker": [f"localhost:{port}" for port in ports]}
        workers = []
        for index in range(2):
            task = {"type": "worker", "index": index}
            workers.append(
                start(
                    "multi_worker",
                    1,
                    data,
                    tmp_path,
                    steps=steps,
                    TF_CONFIG=json.dumps({"cluster": cluster, "task": task}),
                )
            )
        succeed(*workers)
    assert_close(alone, tmp_path)
    folders = sorted(path.name for path in (tmp_path / "vqvae").iterdir())
    assert not [name for name in folders if "worker" in name]


def free_port():
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize(
    "tf_config",
    [
        "",
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "chief", "index": 0}}',
    ],
)
def test_a_missing_or_wrong_cluster_is_refused_in_words(monkeypatch, tf_config):
    monkeypatch.setenv("TF_CONFIG", tf_config)
    with pytest.raises(UserError, match="needs the cluster in TF_CONFIG"):
        make_strategy("multi_worker")
