import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.priors import CODES, make_prior, prior_config, random_inputs
from tfvqgen import losses
from tfvqgen.config import Config
from tfvqgen.models import PixelSNAIL
from tfvqgen.presets import PRESETS


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_is_built(preset):
    config = Config.from_preset(preset).settled(num_labels=24)
    for section in (config.top, config.bottom):
        prior = PixelSNAIL(section)
        prior.build()
        condition = np.zeros([1, 2, 2], np.int32) if section.conditioned else None
        logits = prior.logits(np.zeros([1, 4, 4], np.int32), condition=condition)
        assert logits.shape == [1, 4, 4, section.num_embeddings]
        assert logits.dtype == tf.float32


def test_an_untrained_prior_with_twenty_layers_is_nearly_uniform():
    keras.utils.set_random_seed(1)
    prior = PixelSNAIL(prior_config((4, 4), blocks=5, layers=4, width=32))
    prior.build()
    inputs = random_inputs(prior, 8)
    nats = losses.nats_per_code(prior.logits(**inputs), inputs["codes"]).numpy()
    assert abs(nats.mean() - np.log(CODES)) < 0.3


def test_no_labels_and_a_row_of_zeros_are_the_same():
    prior = make_prior()
    codes = random_inputs(prior, 3)["codes"]
    zeros = np.zeros([3, prior.config.num_labels])
    np.testing.assert_allclose(
        prior.logits(codes), prior.logits(codes, zeros), atol=1e-6
    )


def test_every_set_of_labels_gives_other_logits():
    prior = make_prior()
    codes = np.repeat(random_inputs(prior, 1)["codes"], 4, axis=0)
    labels = np.array([[0, 0, 0], [1, 0, 0], [0, 0, 1], [1, 0, 1]])
    logits = prior.logits(codes, labels).numpy()
    for one in range(4):
        for other in range(one):
            assert np.abs(logits[one] - logits[other]).max() > 0.01


def test_the_condition_reaches_every_position():
    prior = make_prior((4, 6), condition_shape=(2, 3))
    inputs = random_inputs(prior, 1)
    base = prior.logits(**inputs).numpy()
    inputs["condition"] = (inputs["condition"] + 1) % CODES
    changed = np.abs(prior.logits(**inputs) - base).max(axis=-1)
    assert (changed > 1e-4).all()


def test_dropout_is_active_in_training_only_and_depends_on_the_step():
    prior = make_prior(dropout=0.5, label_dropout=0.5)
    inputs = random_inputs(prior, 2)
    plain = prior.logits(**inputs).numpy()
    np.testing.assert_array_equal(plain, prior.logits(**inputs))
    first = prior.logits(**inputs, training=True).numpy()
    second = prior.logits(**inputs, training=True).numpy()
    assert int(prior.steps) == 2
    assert np.abs(first - second).max() > 0.01 < np.abs(first - plain).max()
    prior.steps.assign(0)
    np.testing.assert_array_equal(first, prior.logits(**inputs, training=True))


def test_label_dropout_of_one_is_unconditional():
    prior = make_prior(dropout=0.0, label_dropout=1.0)
    inputs = random_inputs(prior, 2)
    np.testing.assert_allclose(
        prior.logits(**inputs, training=True), prior.logits(inputs["codes"]), atol=1e-5
    )


def test_bfloat16_is_used_in_training_only_and_logits_are_float32():
    kept = make_prior(dropout=0.0, label_dropout=0.0)
    half = PixelSNAIL(dataclasses.replace(kept.config, precision="bfloat16"))
    half.build()
    half.set_weights(kept.get_weights())
    inputs = random_inputs(kept, 2)
    full = kept.logits(**inputs).numpy()
    np.testing.assert_array_equal(half.logits(**inputs), full)
    trained = half.logits(**inputs, training=True)
    assert trained.dtype == tf.float32
    assert 1e-3 < np.abs(trained - full).max() < 0.3 * full.std()


def test_every_weight_has_a_gradient():
    prior = make_prior((4, 6), condition_shape=(2, 3))
    inputs = random_inputs(prior, 3)
    with tf.GradientTape() as tape:
        logits = prior.logits(**inputs, training=True)
        loss = tf.reduce_mean(losses.nats_per_code(logits, inputs["codes"]))
    for variable, gradient in zip(
        prior.trainable_variables,
        tape.gradient(loss, prior.trainable_variables),
        strict=True,
    ):
        assert gradient is not None, variable.path
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, variable.path


def test_inputs_with_wrong_shapes_are_refused():
    codes = np.zeros([1, 4, 6], np.int32)
    prior = make_prior((4, 6), blocks=1, layers=1)
    with pytest.raises(ValueError, match=r"labels have a wrong length: .*\[B, 3\]"):
        prior.logits(codes, labels=np.zeros([1, 4]))
    with pytest.raises(ValueError, match=r"expected None. Received: \[B, 2, 3\]"):
        prior.logits(codes, condition=np.zeros([1, 2, 3]))
    prior = make_prior((4, 6), condition_shape=(2, 3), blocks=1, layers=1)
    for condition in (None, np.zeros([1, 2, 2], np.int32)):
        with pytest.raises(ValueError, match=r"expected \[B, 2, 3\]"):
            prior.logits(codes, condition=condition)
