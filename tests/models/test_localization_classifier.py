import numpy as np
import pytest
import tensorflow as tf

from tfvqgen.models import LocalizationClassifier


def images(number=4, shape=(32, 32, 3), seed=0):
    return np.random.default_rng(seed).random((number, *shape), np.float32)


def make(**arguments):
    arguments = {"num_labels": 5, "image_shape": (32, 32, 3), "width": 4, **arguments}
    model = LocalizationClassifier(**arguments)
    model.build()
    return model


@pytest.mark.parametrize("side", [16, 24, 96])
def test_the_last_map_has_eight_to_fifteen_positions_a_side(side):
    model = make(image_shape=(side, side, 2))
    x = model.stem(images(1, (side, side, 2)))
    for stage in model.stages:
        x = stage(x)
    assert 8 <= x.shape[1] < 16
    assert model.num_features == 2 * x.shape[-1]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_gradient_reaches_every_weight(precision):
    model = make(precision=precision)
    with tf.GradientTape() as tape:
        logits = model(images(8), training=True)
        loss = tf.reduce_sum(logits * images(8, (5,), seed=1))
    assert logits.dtype == tf.float32
    weights = model.trainable_weights
    for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
        assert gradient is not None and np.any(gradient.numpy()), weight.path


def test_dropout_depends_on_seed_and_step():
    def two_steps(seed):
        model = make(seed=seed, dropout=0.5)
        kernels = [np.full(w.shape, 0.01, np.float32) for w in model.get_weights()[:-1]]
        model.set_weights([*kernels, model.get_weights()[-1]])
        return [model(images(), training=True).numpy() for _ in range(2)]

    first, again, other = two_steps(0), two_steps(0), two_steps(1)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first[0], first[1])
    assert not np.allclose(first[0], other[0])
