"""Tiny priors for tests."""

import keras
import numpy as np
import tensorflow as tf

from tfvqgen.config import PriorConfig
from tfvqgen.models import PixelSNAIL

CODES = 11
LABELS = 3


def prior_config(code_shape=(5, 7), **keys) -> PriorConfig:
    """Returns sizes of which no two are equal, so that no mix-up fits."""
    sizes = {
        "num_embeddings": CODES,
        "num_labels": LABELS,
        "width": 8,
        "residual_width": 6,
        "blocks": 2,
        "layers": 3,
        "kernel": 5,
        "heads": 2,
        "key_dim": 4,
        "value_dim": 5,
        "output_layers": 1,
        "condition_layers": 1,
    }
    return PriorConfig(code_shape=tuple(code_shape), **{**sizes, **keys})


def make_prior(code_shape=(5, 7), noise=0.1, seed=0, **keys) -> PixelSNAIL:
    """Builds a prior, with weights moved off their first values as training would."""
    keras.utils.set_random_seed(seed)
    prior = PixelSNAIL(prior_config(code_shape, **keys))
    prior.build()
    rng = np.random.default_rng(seed)
    for variable in prior.trainable_variables:
        variable.assign(variable + noise * rng.normal(size=variable.shape))
    return prior


def random_inputs(prior, batch, seed=0) -> dict[str, tf.Tensor | None]:
    """Returns codes, labels and (if the prior wants one) the condition of a batch."""
    rng = np.random.default_rng(seed)
    config = prior.config

    def draw(shape):
        return tf.constant(
            rng.integers(config.num_embeddings, size=[batch, *shape]), tf.int32
        )

    labels = rng.integers(0, 2, size=[batch, config.num_labels])
    return {
        "codes": draw(config.code_shape),
        "labels": tf.constant(labels, tf.float32),
        "condition": draw(config.condition_shape) if config.conditioned else None,
    }
