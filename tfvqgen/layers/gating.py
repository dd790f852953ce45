"""The two nonlinearities of PixelSNAIL (Chen et al. 2017), as van den Oord's nets."""

# Shapes: C channels.

import tensorflow as tf


def elu_pair(x: tf.Tensor) -> tf.Tensor:
    """Returns ELU of x and of -x side by side, [..., C] -> [..., 2C].

    Nothing of x is lost, as half of it is in a single ELU. In the order (x, -x).
    """
    return tf.nn.elu(tf.concat([x, -x], axis=-1))


def gate(x: tf.Tensor) -> tf.Tensor:
    """Returns the first half of the channels times the sigmoid of the second.

    [..., 2C] -> [..., C].
    """
    values, gates = tf.split(x, 2, axis=-1)
    return values * tf.sigmoid(gates)
