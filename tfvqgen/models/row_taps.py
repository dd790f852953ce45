"""What causal convolutions of one shape take from the rows above, a row at a time."""

# Shapes: B maps, W positions of a row, C channels in, F filters, k the kernel's side, n
# layers; P = W + 2 (k // 2) columns of a padded row.

from collections.abc import Sequence

import tensorflow as tf

from tfvqgen.layers import CausalConv2D


class RowTaps:
    """Applies the taps above of several layers to whole rows.

    They are known when a row starts, for all its positions and layers. Columns come
    first, so that what a column of the kernel sees of a padded row is a slice without a
    copy: one matmul a layer and column of the kernel.

    Args:
        convs: n layers with equal shapes, built.
        width: W.
    """

    def __init__(self, convs: Sequence[CausalConv2D], width: int):
        self._kernels = []
        for conv in convs:
            above = tf.convert_to_tensor(conv.above)
            side, rows, channels, filters = above.shape
            self._kernels.append(tf.reshape(above, [side, rows * channels, filters]))
        self._bias = tf.stack([tf.convert_to_tensor(x.bias)[None] for x in convs])
        self._rows, self._width, self._side = rows, width, side
        self._channels, self._filters = channels, filters

    def before_first_row(self, maps: tf.Tensor) -> list[tf.Tensor]:
        """Returns the empty rows above the first, k - 1 times [n, P, B, C]."""
        padded = self._width + self._side - 1
        shape = [len(self._kernels), padded, maps, self._channels]
        return [tf.zeros(shape)] * self._rows

    def __call__(self, rows_above: Sequence[tf.Tensor], row: tf.Tensor) -> tf.Tensor:
        """Returns what a row takes from those above it, with the bias.

        Args:
            rows_above: k - 1 times [n, P, B, C], in order, with zeros on both sides.
            row: Its number, an int32 scalar: the first rows have fewer above.

        Returns:
            [W, n, B, F].
        """
        empty = tf.maximum(self._rows - row, 0) * self._channels
        inputs = tf.concat(rows_above, axis=-1)[..., empty:]
        inputs = tf.unstack(inputs, num=len(self._kernels))
        taken = [
            self._take(*pair, empty) for pair in zip(inputs, self._kernels, strict=True)
        ]
        return tf.stack(taken, axis=1) + self._bias

    def _take(self, rows, kernel, empty):
        """Applies a kernel but for what only reads empty rows."""
        shape = [-1, tf.shape(rows)[-1]]
        taken = [
            # Slices of first dimensions: no weight is copied.
            tf.matmul(
                tf.reshape(rows[column : column + self._width], shape), weights[empty:]
            )
            for column, weights in enumerate(tf.unstack(kernel))
        ]
        return tf.reshape(tf.add_n(taken), [self._width, -1, self._filters])
