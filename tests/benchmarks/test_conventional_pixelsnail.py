"""The conventional prior is causal, reads its centres, and is of the size asked for."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.conventional_pixelsnail import (
    CentredCausalConv2D,
    ConventionalPixelSNAIL,
    count,
    matched,
)
from tests.causality import earlier, embedded_dependence
from tests.priors import prior_config, random_inputs
from tfvqgen.config import Config
from tfvqgen.models import PixelSNAIL


def make_conventional(code_shape, **keys):
    keras.utils.set_random_seed(0)
    prior = ConventionalPixelSNAIL(prior_config(code_shape, **keys))
    prior.build()
    return prior


@pytest.mark.parametrize(
    "shape,condition", [((4, 6), (2, 3)), ((4, 6), (0, 0)), ((5, 3), (0, 0))]
)
def test_it_reads_all_strictly_earlier_codes_and_no_others(shape, condition):
    prior = make_conventional(
        shape, num_embeddings=shape[0] * shape[1], condition_shape=condition
    )
    found = embedded_dependence(prior, random_inputs(prior, 1))
    np.testing.assert_array_equal(found, earlier(*shape))


def test_its_kernels_read_the_rows_above_and_their_own_up_to_the_centre():
    layer = CentredCausalConv2D(1, 3)
    x = tf.Variable(tf.random.stateless_normal([1, 5, 5, 2], [0, 1]))
    with tf.GradientTape() as tape:
        centre = layer(x)[0, 3, 2, 0]
    read = np.any(tape.gradient(centre, x).numpy()[0] != 0, axis=-1)
    expected = np.zeros([5, 5], bool)
    expected[1:3, 1:4] = expected[3, 1:3] = True
    np.testing.assert_array_equal(read, expected)


def test_dropout_acts_in_training_only():
    prior = make_conventional((4, 6), dropout=0.5)
    inputs = random_inputs(prior, 2)
    quiet = prior.logits(**inputs).numpy()
    np.testing.assert_array_equal(quiet, prior.logits(**inputs))
    assert np.abs(prior.logits(**inputs, training=True) - quiet).max() > 0.01


@pytest.mark.parametrize("level", ["top", "bottom"])
def test_it_gets_as_many_parameters_as_ours(level):
    config = getattr(Config.from_preset("demo").settled(num_labels=24), level)
    ours = count(config, PixelSNAIL)
    found = matched(config, ours)
    assert abs(count(found) / ours - 1) < 0.01
    assert abs(found.residual_width / found.width - 0.5) < 0.02
