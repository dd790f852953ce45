"""What the tests of causality share."""

import numpy as np
import tensorflow as tf


def earlier(height, width):
    """Returns which positions come strictly before each, bool [H, W, H, W]."""
    order = np.arange(height * width)
    return (order[None, :] < order[:, None]).reshape([height, width] * 2)


def embedded_dependence(prior, inputs):
    """Returns which codes each position's logits depend on, through the embedding.

    One map in which every position has a code of its own: a code's row of the
    embeddings then stands for its position.
    """
    height, width = prior.code_shape
    codes = tf.reshape(tf.range(height * width), [1, height, width])
    embeddings = prior.embeddings.value
    found = np.zeros([height, width, height, width], bool)
    with tf.GradientTape(persistent=True) as tape:
        logits = prior.logits(codes, inputs["labels"], inputs["condition"])
        weights = tf.random.stateless_normal(logits.shape, [3, 4])
        outputs = tf.unstack(tf.reshape(tf.reduce_sum(logits * weights, [0, 3]), [-1]))
    for place, output in enumerate(outputs):
        gradient = tf.convert_to_tensor(tape.gradient(output, embeddings)).numpy()
        read = np.any(gradient[: height * width] != 0, axis=1)
        found[np.unravel_index(place, (height, width))] = read.reshape(height, width)
    return found
