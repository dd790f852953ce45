"""The noise that a map's codes are drawn with: a function of its seed and the place."""

# Shapes: B maps, W positions of a row, K codes.

import tensorflow as tf


def row_noise(
    seeds: tf.Tensor, row: tf.Tensor, width: int, num_codes: int
) -> tf.Tensor:
    """Returns Gumbel noise for one row of every map.

    The largest of logits plus Gumbel noise is a draw from their softmax (the Gumbel-max
    trick). Against a draw by the cumulative distribution, where a change of the last
    digits of the logits moves every boundary between codes, it is less often another
    code that comes out.

    Each map's noise is computed from its own seed alone, in a call of its own: it is
    the same to the last bit whatever the batch, and wherever in it the map is.

    Args:
        seeds: int64 [B].
        row: Its number, an int32 scalar.
        width: W.
        num_codes: K.

    Returns:
        Float32 [W, B, K].
    """
    row = tf.cast(row, tf.int64)

    def of_map(seed):
        uniform = tf.random.stateless_uniform(
            [width, num_codes], tf.stack([seed, row]), alg="philox"
        )
        # Multiples of 2^-23, moved into the open interval.
        return -tf.math.log(-tf.math.log(uniform + 2.0**-24))

    noise = tf.map_fn(of_map, seeds, fn_output_signature=tf.float32)
    return tf.transpose(noise, [1, 0, 2])
