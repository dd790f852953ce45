"""What causal convolutions of one shape take from the rows above, a row at a time."""

# Shapes: B maps, W positions of a row, C channels in, F filters, k the kernel's side, n
# layers; P = W + 2 (k // 2) columns of a padded row.

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfvqgen.layers import CausalConv2D


class RowTaps:
    """Applies the taps above of several layers to whole rows.

    They are known when a row starts, for all its positions and layers: one matmul a
    layer, of the k x (k - 1) positions above each position of the row.

    Args:
        convs: n layers with equal shapes, built.
        width: W.
    """

    def __init__(self, convs: Sequence[CausalConv2D], width: int):
        self._kernels = []
        for conv in convs:
            above = tf.convert_to_tensor(conv.above)
            side, rows, channels, filters = above.shape
            self._kernels.append(tf.reshape(above, [side * rows * channels, filters]))
        self._bias = tf.stack([tf.convert_to_tensor(conv.bias) for conv in convs])
        self._rows, self._width, self._side = rows, width, side
        self._channels, self._filters = channels, filters
        self._columns = np.arange(width)[:, None] + np.arange(side)

    def before_first_row(self, maps: tf.Tensor) -> list[tf.Tensor]:
        """Returns the empty rows above the first, k - 1 times [n, B, P, C]."""
        padded = self._width + self._side - 1
        shape = [len(self._kernels), maps, padded, self._channels]
        return [tf.zeros(shape)] * self._rows

    def __call__(self, rows_above: Sequence[tf.Tensor]) -> tf.Tensor:
        """Returns what the next row takes from those above it, with the bias.

        Args:
            rows_above: k - 1 times [n, B, P, C], in order, with zeros on both sides.

        Returns:
            [W, n, B, F].
        """
        inputs = tf.unstack(tf.concat(rows_above, axis=-1), num=len(self._kernels))
        taken = [self._take(*pair) for pair in zip(inputs, self._kernels, strict=True)]
        return tf.transpose(tf.stack(taken, axis=2) + self._bias, [1, 2, 0, 3])

    def _take(self, rows, kernel):
        seen = tf.gather(rows, self._columns, axis=1)
        taken = tf.matmul(tf.reshape(seen, [-1, kernel.shape[0]]), kernel)
        return tf.reshape(taken, [-1, self._width, self._filters])
