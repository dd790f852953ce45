import numpy as np
import pytest
import tensorflow as tf

from tfvqgen.training.stages.adversary import PatchCritic


def made(channels=3, **arguments):
    critic = PatchCritic(channels, **{"widths": (4, 6), **arguments})
    critic.build()
    return critic


def images_of(shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


@pytest.mark.parametrize(("size", "channels"), [((4, 4), 1), ((18, 25), 8)])
def test_any_size_and_channels_get_a_logit_for_each_patch(size, channels):
    logits = made(channels)(images_of((2, *size, channels)))
    assert logits.shape == (2, *(-(-side // 4) for side in size))
    assert logits.dtype == tf.float32


@pytest.mark.parametrize("widths,field", [((4, 4), 22), ((4, 4, 4), 46)])
def test_a_logit_sees_a_field_of_its_own_and_no_more(widths, field):
    critic = made(1, widths=widths)
    image = tf.Variable(images_of((1, 128, 128, 1)))
    with tf.GradientTape() as tape:
        logits = critic(image)
        middle = logits.shape[1] // 2
        logit = logits[0, middle, middle]
    seen = np.any(tape.gradient(logit, image)[0, ..., 0] != 0, axis=0)
    assert np.ptp(np.flatnonzero(seen)) + 1 == field


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_gradient_reaches_every_weight_and_the_image(precision):
    critic = made(precision=precision)
    image = tf.Variable(images_of((2, 16, 16, 3)))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(critic(image)))
    sources = [image, *(weight.value for weight in critic.trainable_weights)]
    for gradient in tape.gradient(loss, sources):
        assert gradient.dtype == tf.float32 and np.any(gradient.numpy())
