"""Runs of training that tests compare."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from tests import support
from tfvqgen.training.checkpoints import saved_checkpoints
from tfvqgen.training.metrics_log import read_metrics
from tfvqgen.training.stages import prior
from tfvqgen.training.train import train
from tfvqgen.training.workdir import Workdir

# The critic is active from the fifth step on.
OVERRIDES = (
    *support.TINY,
    "vqvae.frequency_weight=0.1",
    "vqvae.adversarial_weight=0.5",
    "vqvae.adversarial_after=3",
    "vqvae.adversarial_ramp=2",
    "vqvae.critic_width=4",
)


@functools.cache
def two_replicas():
    """Returns the strategy on two logical CPUs.

    The collective operations of a second one in the same process would be mixed up
    with those of the first.
    """
    return tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])


def run(data, workdir, *, steps, stage="vqvae", overrides=(), **arguments):
    with pytest.MonkeyPatch.context() as patch:
        # Sampling without graphs is slow.
        patch.setattr(prior, "LABELS_SHOWN", 1)
        patch.setattr(prior, "SAMPLES_SHOWN", 2)
        train(
            data_dir=data,
            workdir=workdir,
            stage=stage,
            steps=steps,
            overrides=[*OVERRIDES, *overrides],
            **{"strategy": "one_device", **arguments},
        )


def saved_values(workdir, stage="vqvae"):
    """Returns everything in the newest checkpoint except for its bookkeeping."""
    _, path = saved_checkpoints(Workdir(workdir).checkpoints(stage))[-1]
    reader = tf.train.load_checkpoint(path)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name != "_CHECKPOINTABLE_OBJECT_GRAPH" and "save_counter" not in name
    }


def assert_same_weights(one, other, stage="vqvae"):
    """Compares weights, optimizer, critic, averages, sums and step."""
    first, second = saved_values(one, stage), saved_values(other, stage)
    assert first.keys() == second.keys()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def metrics_of(workdir, stage="vqvae"):
    """Returns the lines of ``metrics.jsonl`` without the speed."""
    return [
        {name: value for name, value in line.items() if "per_second" not in name}
        for line in read_metrics(workdir / stage / "metrics.jsonl")
    ]


def flip_bit(path):
    """Changes one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
