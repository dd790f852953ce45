import json
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from tests import support
from tfvqgen.errors import UserError
from tfvqgen.training.checkpoints import saved_checkpoints
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
from tfvqgen.training.train import train
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


def start_workers(data, workdir, steps):
    ports = [free_port(), free_port()]
    cluster = {"worker": [f"localhost:{port}" for port in ports]}
    tasks = [{"type": "worker", "index": index} for index in range(2)]
    return [
        start(
            "multi_worker",
            1,
            data,
            workdir,
            steps=steps,
            TF_CONFIG=json.dumps({"cluster": cluster, "task": task}),
        )
        for task in tasks
    ]


def test_two_workers_train_and_go_on_as_one_does(data, alone, tmp_path):
    for steps in (2, 4):
        succeed(*start_workers(data, tmp_path, steps))
    assert_close(alone, tmp_path)
    for name, value in saved_values(alone).items():
        np.testing.assert_allclose(saved_values(tmp_path)[name], value, atol=1e-5)
    folders = sorted(path.name for path in (tmp_path / "vqvae").iterdir())
    assert not [name for name in folders if "worker" in name]


def saved_values(workdir):
    path = saved_checkpoints(workdir / "vqvae" / "checkpoints")[-1][1]
    reader = tf.train.load_checkpoint(path)
    names = [n for n in reader.get_variable_to_shape_map() if n.startswith("model/")]
    return {name: reader.get_tensor(name) for name in names}


def test_a_worker_whose_fellow_was_killed_ends_in_words(data, tmp_path):
    workers = start_workers(data, tmp_path, 100_000)
    try:
        deadline = time.monotonic() + 200
        while not saved_checkpoints(tmp_path / "vqvae" / "checkpoints"):
            assert time.monotonic() < deadline
            assert [worker.poll() for worker in workers] == [None, None]
            time.sleep(0.05)
        workers[1].kill()
        _, errors = workers[0].communicate(timeout=200)
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    assert "UserError: another worker has ended" in errors
    assert saved_checkpoints(tmp_path / "vqvae" / "checkpoints")


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
    with pytest.raises(UserError, match="needs a cluster in TF_CONFIG"):
        make_strategy("multi_worker")
