"""Nothing reads what comes later: by gradient, at every position, of every layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.causality import earlier, embedded_dependence
from tests.priors import make_prior, random_inputs
from tfvqgen.layers import (
    CausalAttention,
    CausalConv2D,
    GatedCausalUnit,
    GatedPointwiseUnit,
)
from tfvqgen.layers.causal_attention import background

SHAPES = [(4, 6), (5, 3), (1, 4), (4, 1)]


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


def through(height, width):
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
@pytest.mark.parametrize("side", [3, 5])
@pytest.mark.parametrize("centre", [False, True])
def test_a_causal_kernel_reads_exactly_the_taps_it_says(shape, side, centre):
    layer = CausalConv2D(3, side, centre)
    found = dependence(layer, features(shape))
    np.testing.assert_array_equal(found, kernel_reach(*shape, side, centre))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_gated_residual_layer_reads_completed_positions_strictly_before(shape):
    layer = GatedCausalUnit(3, 5)
    context = features((1, 1))
    x, own = features(shape), features(shape, seed=1)
    found = dependence(lambda own: layer(x, own, context), own)
    assert not (found & ~earlier(*shape)).any()
    found = dependence(lambda x: layer(x, own, context), x)
    assert not (found & ~earlier(*shape)).any()


@pytest.mark.parametrize("shape", SHAPES)
def test_attention_reads_all_positions_strictly_before_and_its_own_features(shape):
    layer = CausalAttention(2, 3, 4)
    places = background(*shape)
    asking, x, own = (features(shape, seed=seed) for seed in range(3))
    found = dependence(lambda own: layer(asking, x, own, places), own)
    np.testing.assert_array_equal(found, earlier(*shape))
    found = dependence(lambda x: layer(asking, x, own, places), x)
    np.testing.assert_array_equal(found, earlier(*shape))
    found = dependence(lambda asking: layer(asking, x, own, places), asking)
    # The first position has one key to look at, whatever its query.
    expected = through(*shape)
    expected[0, 0] = False
    np.testing.assert_array_equal(found, expected)


def test_attention_at_the_first_position_finds_the_start_value():
    layer = CausalAttention(2, 3, 4)
    x = features((3, 2))
    found = layer(x, x, x, background(3, 2))
    np.testing.assert_allclose(
        found[:, 0, 0], np.tile(layer.start_value.numpy(), (2, 1)), rtol=1e-6
    )
    assert np.isfinite(found).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_pointwise_layer_reads_its_own_position_alone(shape):
    layer = GatedPointwiseUnit()
    found = dependence(lambda x: layer(x, features((1, 1)), x), features(shape))
    np.testing.assert_array_equal(found, through(*shape))


@pytest.mark.parametrize("noise", [0.0, 0.1], ids=["untrained", "trained"])
@pytest.mark.parametrize("attention", [False, True])
@pytest.mark.parametrize(
    "shape,condition", [((4, 6), (2, 3)), ((4, 6), (0, 0)), ((5, 3), (0, 0))]
)
def test_the_prior_reads_strictly_earlier_codes(shape, condition, attention, noise):
    keras.utils.set_random_seed(0)
    prior = make_prior(
        shape,
        noise,
        num_embeddings=shape[0] * shape[1],
        condition_shape=condition,
        attention=attention,
    )
    found = embedded_dependence(prior, random_inputs(prior, 1))
    assert not (found & ~earlier(*shape)).any()
    if attention:
        np.testing.assert_array_equal(found, earlier(*shape))


def test_logits_change_with_any_earlier_code_and_with_none_later():
    prior = make_prior((4, 5))
    inputs = random_inputs(prior, 1)
    codes = inputs.pop("codes").numpy()
    base = prior.logits(codes, **inputs).numpy()[0].reshape(20, -1)
    for place in range(20):
        changed = codes.copy()
        changed.reshape(-1)[place] = (changed.reshape(-1)[place] + 1) % 11
        logits = prior.logits(changed, **inputs).numpy()[0].reshape(20, -1)
        np.testing.assert_array_equal(logits[: place + 1], base[: place + 1])
        assert (np.abs(logits - base)[place + 1 :].max(axis=1) > 1e-6).all()
