"""The plain graph that training steps are measured against is the same network."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks import plain_pixelsnail
from tests.priors import make_prior, random_inputs
from tfvqgen.losses import nats_per_code
from tfvqgen.training.optimization import WarmupCosine, WeightAverages


@pytest.mark.parametrize(
    "keys",
    [{}, {"code_shape": (4, 6), "condition_shape": (2, 3), "attention": False}],
    ids=["attention", "conditioned"],
)
def test_the_plain_graph_has_the_same_losses_step_by_step(keys):
    prior = make_prior(**keys, dropout=0.2, label_dropout=0.5)
    config = dataclasses.replace(prior.config, steps=4, warmup_steps=2, clip_norm=0.1)
    inputs = random_inputs(prior, 3)
    plain = plain_pixelsnail.PlainPixelSNAIL(
        config, plain_pixelsnail.named_weights(prior)
    )
    averages = WeightAverages(prior, config.polyak)
    optimizer = keras.optimizers.Adam(
        WarmupCosine(
            config.learning_rate,
            config.warmup_steps,
            config.steps,
            config.final_learning_rate,
        )
    )
    optimizer.build(prior.trainable_variables)

    @tf.function
    def train_step(step):
        with tf.GradientTape() as tape:
            logits = prior.logits(**inputs, training=True)
            loss = tf.reduce_mean(nats_per_code(logits, inputs["codes"]))
        gradients = tape.gradient(loss, prior.trainable_variables)
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        gradients, _ = tf.clip_by_global_norm(gradients, config.clip_norm)
        optimizer.apply(gradients, prior.trainable_variables)
        averages.update(tf.constant(step))
        np.testing.assert_allclose(plain.train_step(*inputs.values()), loss, rtol=1e-4)

    names = list(plain_pixelsnail.named_weights(prior))
    for name, average, expected in zip(
        names, plain.averages, averages.values, strict=True
    ):
        if name.endswith("/above"):
            average = tf.transpose(average, [1, 0, 2, 3])
        np.testing.assert_allclose(average, expected, atol=1e-4, err_msg=name)
