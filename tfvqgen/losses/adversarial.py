"""Both sides of an adversarial loss."""

# Shapes: logits of patches [B, h, w], high where the critic takes them for real.

import tensorflow as tf


def hinge_loss(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """Returns what a critic minimises, float32 scalar: 2 if it says nothing, 0 at best.

    mean(max(0, 1 - real)) + mean(max(0, 1 + fake)); "Geometric GAN", Lim and Ye 2017.
    """
    return tf.reduce_mean(tf.nn.relu(1 - real_logits)) + tf.reduce_mean(
        tf.nn.relu(1 + fake_logits)
    )


def realism_loss(fake_logits: tf.Tensor) -> tf.Tensor:
    """Returns what the critic's opponent minimises, -mean(fake), float32 scalar."""
    return -tf.reduce_mean(fake_logits)
