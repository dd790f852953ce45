"""The likelihood of codes under a prior."""

# Shapes: codes [B, H, W], their logits [B, H, W, K].

import math
from typing import Any

import tensorflow as tf


def map_distribution(logits: tf.Tensor) -> Any:
    """Returns the distribution of whole code maps, a TensorFlow Probability object.

    Given the codes before it, each code is a draw of its own: ``log_prob(codes)`` is
    the log likelihood of a map, float32 [B], in nats.

    Args:
        logits: Float32 [B, H, W, K].
    """
    return _probability().Independent(_by_position(logits), 2)


def nats_map(logits: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
    """Returns what each code costs, -log p(code) in nats, float32 [B, H, W]."""
    return -_by_position(logits).log_prob(codes)


def nats_per_code(logits: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
    """Returns what the codes of each map cost on average, in nats, float32 [B]."""
    positions = tf.cast(tf.reduce_prod(tf.shape(logits)[1:3]), tf.float32)
    return -map_distribution(logits).log_prob(codes) / positions


def entropy_map(logits: tf.Tensor) -> tf.Tensor:
    """Returns what each code may be expected to cost, in nats, float32 [B, H, W]."""
    return _by_position(logits).entropy()


def to_bits(nats: Any) -> Any:
    """Turns nats into bits."""
    return nats / math.log(2)


def _by_position(logits):
    return _probability().Categorical(logits=logits)


def _probability():
    # Takes seconds to import, and only priors need it.
    import tensorflow_probability

    return tensorflow_probability.distributions
