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
from tfvqgen.sampling import ancestral_sample

KINDS = {
    "attention": {},
    "no attention": {"attention": False},
    "conditioned": {"condition_shape": (3, 4), "code_shape": (6, 8)},
    "small kernel": {"kernel": 3, "layers": 1, "output_layers": 0},
    "more rows than columns": {"code_shape": (7, 2), "blocks": 1},
    "one row": {"code_shape": (1, 9)},
    "one column": {"code_shape": (9, 1), "kernel": 7},
}


def teacher_forced(prior, codes, labels, condition):
    """Returns the logits that a sampler sees on its way through given codes."""
    height, width = prior.code_shape
    walk = prior.incremental(tf.shape(codes)[0], labels, condition)
    history = walk.before_first_row()
    logits = []
    for i in range(height):
        ready, state = walk.start_row(history, tf.constant(i))
        places = walk.look_up(ready, tf.constant(0), width)
        for j, place in enumerate(places):
            found, draft = walk.step(place, state)
            logits.append(found)
            state = walk.accept(place, state, draft, codes[:, i, j])
        history = walk.end_row(history, state, codes[:, i])
    return tf.reshape(tf.stack(logits, axis=1), [-1, height, width, CODES])


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_cached_logits_equal_those_of_a_full_pass_at_every_position(kind, batch):
    prior = make_prior(**kind)
    inputs = random_inputs(prior, batch)
    parallel = prior.logits(**inputs).numpy()
    cached = teacher_forced(prior, *inputs.values()).numpy()
    assert parallel.std() > 0.3
    np.testing.assert_allclose(cached, parallel, rtol=0, atol=1e-4 * parallel.std())


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


def test_an_untrained_prior_is_nearly_undecided_at_twenty_layers():
    keras.utils.set_random_seed(1)
    prior = PixelSNAIL(prior_config((8, 8), blocks=5, layers=4, width=32))
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


def test_labels_are_a_set_and_each_counts():
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


def test_dropout_and_label_dropout_act_in_training_only_and_follow_the_step():
    prior = make_prior(dropout=0.5, label_dropout=0.5)
    inputs = random_inputs(prior, 2)
    quiet = prior.logits(**inputs).numpy()
    np.testing.assert_array_equal(quiet, prior.logits(**inputs))
    first = prior.logits(**inputs, training=True).numpy()
    second = prior.logits(**inputs, training=True).numpy()
    assert int(prior.steps) == 2
    assert np.abs(first - second).max() > 0.01 < np.abs(first - quiet).max()
    prior.steps.assign(0)
    np.testing.assert_array_equal(first, prior.logits(**inputs, training=True))


def test_label_dropout_of_one_is_unconditional():
    prior = make_prior(dropout=0.0, label_dropout=1.0)
    inputs = random_inputs(prior, 2)
    np.testing.assert_allclose(
        prior.logits(**inputs, training=True),
        prior.logits(inputs["codes"]),
        atol=1e-5,
    )


def test_bfloat16_is_for_training_and_logits_stay_float32():
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


def test_every_weight_learns():
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


def train(prior, steps, inputs, labels=None, rate=1e-2):
    """Takes Adam steps on one batch; returns the last mean loss in nats per code."""
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(rate, steps)
    )
    optimizer.build(prior.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            logits = prior.logits(
                inputs["codes"], inputs["labels"] if labels is None else labels
            )
            loss = tf.reduce_mean(losses.nats_per_code(logits, inputs["codes"]))
        gradients = tape.gradient(loss, prior.trainable_variables)
        gradients = [tf.convert_to_tensor(g) for g in gradients]
        gradients, _ = tf.clip_by_global_norm(gradients, 1.0)
        optimizer.apply(gradients, prior.trainable_variables)
        return loss

    for _ in range(steps):
        loss = step()
    return float(loss)


def test_a_tiny_prior_memorises_sixteen_maps_and_reproduces_them():
    keras.utils.set_random_seed(0)
    prior = PixelSNAIL(prior_config((4, 4), width=32, residual_width=16, layers=1))
    prior.build()
    inputs = random_inputs(prior, 16)
    # The first code tells the maps apart, given away by distinct label sets or not.
    codes = inputs["codes"].numpy()
    codes[:, 0, 0], codes[:, 0, 1] = np.arange(16) % CODES, np.arange(16) // CODES
    inputs["codes"] = tf.constant(codes)
    train(prior, 250, inputs)
    logits = prior.logits(codes, inputs["labels"])
    nats = losses.nats_map(logits, codes).numpy()
    assert nats[:, 1:].mean() < 0.01
    keep = np.zeros(codes.shape, bool)
    keep[:, 0, :2] = True
    again = ancestral_sample(
        prior, np.arange(16), inputs["labels"], given=codes, keep=keep
    )
    np.testing.assert_array_equal(again, codes)


def test_labels_are_used_where_they_tell_and_not_where_they_are_shuffled():
    rng = np.random.default_rng(0)
    kinds = rng.integers(3, size=64)
    codes = tf.constant(kinds[:, None, None] + 3 * rng.integers(2, size=[64, 3, 3]))
    told = tf.one_hot(kinds, 3)
    nats = {}
    for name, labels in (("true", told), ("shuffled", rng.permutation(told))):
        keras.utils.set_random_seed(0)
        prior = PixelSNAIL(prior_config((3, 3), width=8, blocks=1, layers=1))
        prior.build()
        train(prior, 60, {"codes": codes, "labels": tf.constant(labels)}, rate=2e-2)
        fresh = codes[::-1]
        logits = prior.logits(fresh, told[::-1])
        nats[name] = float(tf.reduce_mean(losses.nats_map(logits, fresh)[:, 0, 0]))
    # Given the label two codes are equally likely; without it six are.
    assert nats["true"] < np.log(2) + 0.15
    assert nats["shuffled"] > nats["true"] + 0.5


@pytest.mark.parametrize(
    "arguments,message",
    [
        (
            {"labels": np.zeros([1, 4])},
            r"labels have a wrong length: expected \[B, 3\]",
        ),
        ({"condition": np.zeros([1, 2, 3])}, r"expected None. Received: \[B, 2, 3\]"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_in_words(arguments, message):
    prior = make_prior((4, 6))
    with pytest.raises(ValueError, match=message):
        prior.logits(np.zeros([1, 4, 6], np.int32), **arguments)


@pytest.mark.parametrize("condition", [None, np.zeros([1, 2, 2], np.int32)])
def test_a_condition_that_does_not_fit_is_refused_in_words(condition):
    prior = make_prior((4, 6), condition_shape=(2, 3))
    with pytest.raises(ValueError, match=r"expected \[B, 2, 3\]"):
        prior.logits(np.zeros([1, 4, 6], np.int32), condition=condition)
