"""Causality by gradient, at every position, of every layer and of the prior."""

import numpy as np
import pytest
import tensorflow as tf

from tests.priors import make_prior, random_inputs
from tfvqgen.layers import (
    CausalAttention,
    CausalConv2D,
    GatedCausalUnit,
    GatedPointwiseUnit,
)
from tfvqgen.layers.causal_attention import position_features

SHAPES = [(4, 6), (1, 4), (4, 1)]


def earlier(height, width):
    """Returns which positions come strictly before each, bool [H, W, H, W]."""
    order = np.arange(height * width)
    return (order[None, :] < order[:, None]).reshape([height, width] * 2)


def embedded_dependence(prior, inputs):
    """Returns which codes each position's logits depend on, through the embedding.

    One map in which every position has a code of its own: a code's row of the
    embeddings then stands for its position.
    """
    height, width = prior.code_shape
    codes = tf.reshape(tf.range(height * width), [1, height, width])
    embeddings = prior.embeddings.value
    found = np.zeros([height, width, height, width], bool)
    with tf.GradientTape(persistent=True) as tape:
        logits = prior.logits(codes, inputs["labels"], inputs["condition"])
        weights = tf.random.stateless_normal(logits.shape, [3, 4])
        outputs = tf.unstack(tf.reshape(tf.reduce_sum(logits * weights, [0, 3]), [-1]))
    for place, output in enumerate(outputs):
        gradient = tf.convert_to_tensor(tape.gradient(output, embeddings)).numpy()
        read = np.any(gradient[: height * width] != 0, axis=1)
        found[np.unravel_index(place, (height, width))] = read.reshape(height, width)
    return found


def dependence(function, x):
    """Returns which positions each position's output depends on, bool [H, W, H, W].

    Each output is weighted at random, so that no sum of gradients vanishes by chance.
    """
    height, width = x.shape[1:3]
    found = np.zeros([height, width, height, width], bool)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = function(x)
        y = tf.reduce_sum(y * tf.random.stateless_normal(tf.shape(y), [1, 2]), [0, 3])
        outputs = tf.unstack(tf.reshape(y, [-1]))
    for place, output in enumerate(outputs):
        gradient = tape.gradient(output, x)
        if gradient is not None:
            found[np.unravel_index(place, (height, width))] = np.any(
                gradient.numpy() != 0, axis=(0, 3)
            )
    return found


def features(shape, channels=4, seed=0):
    return tf.random.stateless_normal([2, *shape, channels], [seed, 1])


def same_position(height, width):
    return np.eye(height * width, dtype=bool).reshape([height, width] * 2)


def kernel_reach(height, width, side, centre):
    """Returns what a kernel may read, written down position by position."""
    reach = np.zeros([height, width, height, width], bool)
    for i, j, k, m in np.ndindex(reach.shape):
        above = 0 < i - k < side and abs(j - m) <= side // 2
        own = (j == m) if centre else 0 < j - m <= side // 2
        reach[i, j, k, m] = above or (i == k and own)
    return reach


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("side", "centre"), [(3, True), (5, False)])
def test_a_causal_kernel_reads_exactly_its_taps(shape, side, centre):
    layer = CausalConv2D(3, side, centre)
    found = dependence(layer, features(shape))
    np.testing.assert_array_equal(found, kernel_reach(*shape, side, centre))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_gated_unit_reads_strictly_earlier_positions(shape):
    layer = GatedCausalUnit(3, 5)
    context = features((1, 1))
    x, own = features(shape), features(shape, seed=1)
    found = dependence(lambda own: layer(x, own, context), own)
    assert not (found & ~earlier(*shape)).any()
    found = dependence(lambda x: layer(x, own, context), x)
    assert not (found & ~earlier(*shape)).any()


@pytest.mark.parametrize("shape", SHAPES)
def test_attention_reads_all_earlier_positions_and_its_own_query(shape):
    layer = CausalAttention(2, 3, 4)
    places = position_features(*shape)
    query, x, own = (features(shape, seed=seed) for seed in range(3))
    found = dependence(lambda own: layer(query, x, own, places), own)
    np.testing.assert_array_equal(found, earlier(*shape))
    found = dependence(lambda x: layer(query, x, own, places), x)
    np.testing.assert_array_equal(found, earlier(*shape))
    found = dependence(lambda query: layer(query, x, own, places), query)
    # The first position has only one key, whatever its query.
    expected = same_position(*shape)
    expected[0, 0] = False
    np.testing.assert_array_equal(found, expected)


def test_a_pointwise_unit_reads_only_its_own_position():
    layer = GatedPointwiseUnit()
    found = dependence(lambda x: layer(x, features((1, 1)), x), features((4, 6)))
    np.testing.assert_array_equal(found, same_position(4, 6))


@pytest.mark.parametrize(
    ("shape", "condition", "attention"),
    [((4, 4), (2, 2), True), ((4, 4), (2, 2), False), ((5, 3), (0, 0), True)],
)
def test_the_prior_reads_strictly_earlier_codes(shape, condition, attention):
    prior = make_prior(
        shape,
        num_embeddings=shape[0] * shape[1],
        condition_shape=condition,
        attention=attention,
    )
    found = embedded_dependence(prior, random_inputs(prior, 1))
    assert not (found & ~earlier(*shape)).any()
    if attention:
        np.testing.assert_array_equal(found, earlier(*shape))
