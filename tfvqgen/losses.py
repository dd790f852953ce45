"""Reconstruction losses."""

# Shapes: images [B, H, W, C] in [0, 1].

import tensorflow as tf


def mean_squared_error(images: tf.Tensor, reconstruction: tf.Tensor) -> tf.Tensor:
    """Returns mean ||x - D(e)||^2 over all pixels and channels, float32 scalar."""
    return tf.reduce_mean(tf.math.squared_difference(images, reconstruction))
