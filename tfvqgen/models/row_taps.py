"""What causal convolutions of one shape take from the rows above, a row at a time."""

# Shapes: B maps, W positions of a row, C channels in, F filters, k the kernel's side, n
# layers.

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tfvqgen.layers import CausalConv2D


class RowTaps:
    """Applies the taps above of several layers to whole rows.

    They are known when a row starts, for all its positions and layers. One matmul a
    layer multiplies the k - 1 rows above, side by side, by all k columns of the kernel;
    one more with a constant of zeros and ones adds up, for each position, the products
    that lie k // 2 to the left up to k // 2 to the right of it.

    Args:
        convs: n layers with equal shapes, built.
        width: W.
    """

    def __init__(self, convs: Sequence[CausalConv2D], width: int):
        self._kernels = []
        for conv in convs:
            above = tf.convert_to_tensor(conv.above)
            rows, channels, side, filters = above.shape
            self._kernels.append(tf.reshape(above, [rows * channels, side * filters]))
        self._bias = tf.stack([tf.convert_to_tensor(conv.bias) for conv in convs])
        self._rows, self._channels = rows, channels
        self._side, self._filters = side, filters
        self._width = width
        self._gathering = _gathering(width, side)

    def before_first_row(self, maps: tf.Tensor) -> list[tf.Tensor]:
        """Returns the empty rows above the first, k - 1 times [n, B, W, C]."""
        shape = [len(self._kernels), maps, self._width, self._channels]
        return [tf.zeros(shape)] * self._rows

    def __call__(self, rows_above: Sequence[tf.Tensor]) -> tf.Tensor:
        """Returns what the next row takes from those above it, with the bias.

        Args:
            rows_above: k - 1 times [n, B, W, C], in order.

        Returns:
            [W, n, B, F].
        """
        inputs = tf.unstack(tf.concat(rows_above, axis=-1))
        products = tf.stack(
            [
                tf.matmul(tf.reshape(x, [-1, kernel.shape[0]]), kernel)
                for x, kernel in zip(inputs, self._kernels, strict=True)
            ]
        )
        products = tf.reshape(
            products,
            [len(inputs), -1, self._width * self._side, self._filters],
        )
        sums = tf.matmul(self._gathering, products) + self._bias[:, None, None]
        return tf.transpose(sums, [2, 0, 1, 3])


def _gathering(width: int, side: int) -> tf.Tensor:
    """Returns [W, W * k] with ones where a position takes a product of a column.

    Column c of the kernel, at position j, multiplies position j + c - k // 2.
    """
    matrix = np.zeros([width, width, side], np.float32)
    for position in range(width):
        for column in range(side):
            source = position + column - side // 2
            if 0 <= source < width:
                matrix[position, source, column] = 1
    return tf.constant(matrix.reshape(width, width * side))
