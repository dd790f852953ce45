"""Convolutions and attention of several layers, by rows and by positions."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfvqgen.layers import CausalAttention, CausalConv2D, GatedPointwiseUnit
from tfvqgen.layers.causal_attention import MASKED, position_features

# Shapes: B maps, W positions of a row, C input channels, F filters, k side of the
# kernel, n layers; P = W + 2 (k // 2) columns of a padded row; M blocks; h heads; T
# keys so far; A, V sizes of the keys and values of all heads.


class RowTaps:
    """Applies the taps above of several convolutions to whole rows.

    Tensors have the column first, so that the columns under a column of the kernel are
    a slice without a copy: there is one matrix product for each layer and kernel
    column. `convs` are n built layers with equal shapes; `width` is W.
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
        """Convolves the rows above a row, with the bias, [W, n, B, F].

        `rows_above` are k - 1 times [n, P, B, C], in order and padded with zeros. `row`
        is an index, an int32 scalar; the first rows have fewer above.
        """
        empty = tf.maximum(self._rows - row, 0) * self._channels
        inputs = tf.concat(rows_above, axis=-1)[..., empty:]
        inputs = tf.unstack(inputs, num=len(self._kernels))
        pairs = zip(inputs, self._kernels, strict=True)
        outputs = [self._convolve(*pair, empty) for pair in pairs]
        return tf.stack(outputs, axis=1) + self._bias

    def _convolve(self, rows, kernel, empty):
        """Applies one kernel without its weights for the empty rows."""
        shape = [-1, tf.shape(rows)[-1]]
        products = []
        for column, weights in enumerate(tf.unstack(kernel)):
            inputs = tf.reshape(rows[column : column + self._width], shape)
            # Slices along the first dimension do not copy the weights.
            products.append(tf.matmul(inputs, weights[empty:]))
        return tf.reshape(tf.add_n(products), [self._width, -1, self._filters])


class Keys(NamedTuple):
    """Keys [M, B, T, A] and values [M, B, T, V]; the first are the start key and value.

    Within a row they are flat, [M * B * T, A] and [M * B * T, V], with room for the
    positions of the row, which are written in place.
    """

    keys: tf.Tensor
    values: tf.Tensor


class AttentionRow(NamedTuple):
    """Known for each position when its row starts; the column comes first."""

    key_values: tf.Tensor  # Terms of keys and values, [W, M, 1, A + V].
    masks: tf.Tensor  # Added to the scores, [W, T].
    slots: tf.Tensor  # Index of the position in the flat keys, int32 [W, M * B].


class IncrementalAttention:
    """Computes the attention of all blocks at once; no query needs another block's.

    Args:
        layers: The built layer of each block.
        ends: The units that read the attention of each block.
        code_shape: (H, W).
        maps: B, an int32 scalar.
    """

    def __init__(
        self,
        layers: Sequence[CausalAttention],
        ends: Sequence[GatedPointwiseUnit],
        code_shape: tuple[int, int],
        maps: tf.Tensor,
    ):
        first = layers[0]
        self._maps, self._width, self._blocks = maps, code_shape[1], len(layers)
        self._heads = first.heads
        self._sizes = [first.heads * first.key_dim, first.heads * first.value_dim]
        places = position_features(*code_shape)
        scale = first.key_dim**-0.5

        def joined(layer, names):
            weights = [tf.convert_to_tensor(getattr(layer, name)) for name in names]
            return tf.concat(weights, -1)

        def stack(*names):
            return tf.stack([joined(layer, names) for layer in layers])

        def at_positions(kernels):
            return tf.tensordot(places, kernels, [2, 1])

        self.query_kernel = stack("query_kernel") * scale
        self._queries = at_positions(stack("query_background") * scale)
        self._key_value_kernel = stack("key_kernel", "value_kernel")
        self._key_values = at_positions(stack("key_background", "value_background"))
        self._starts = Keys(stack("start_key"), stack("start_value"))
        kernels = [tf.convert_to_tensor(x.attended_kernel) for x in ends]
        self._attended_kernel = tf.stack(kernels)
        # Shapes are computed once here and not at every position.
        self._map_shapes = [tf.stack([self._blocks, maps, -1, x]) for x in self._sizes]
        self._head_shape = tf.stack([self._blocks, maps, self._heads, self._sizes[0]])
        self._key_heads = self._head_masks(first.key_dim)
        self._value_heads = self._head_masks(first.value_dim)

    def before_first_row(self) -> Keys:
        """Returns the start keys and values."""
        repeats = [1, self._maps, 1, 1]
        return Keys(*(tf.tile(x[:, None, None], repeats) for x in self._starts))

    def start_row(self, old: Keys, row: tf.Tensor) -> tuple[AttentionRow, Keys]:
        """Makes room for the keys of a row."""
        seen, width = tf.shape(old.keys)[2], self._width

        def longer(x):
            room = tf.zeros([self._blocks, self._maps, width, x.shape[-1]])
            # What is written in place must be a tensor of its own.
            return tf.reshape(tf.concat([x, room], axis=2), [-1, x.shape[-1]])

        visible = tf.sequence_mask(seen + tf.range(width), seen + width)
        slots = tf.range(self._blocks * self._maps) * (seen + width) + seen
        ready = AttentionRow(
            self._key_values[row][:, :, None],
            tf.where(visible, 0.0, MASKED),
            slots + tf.range(width)[:, None],
        )
        return ready, Keys(*(longer(x) for x in old))

    def by_map(self, flat: Keys) -> Keys:
        """Returns the keys of all rows so far, no longer flat."""
        return Keys(*map(tf.reshape, flat, self._map_shapes))

    def query_biases(self, row: tf.Tensor) -> tf.Tensor:
        """Returns the terms of queries from the positions of a row, [W, M, B, A]."""
        return tf.tile(self._queries[row][:, :, None], [1, 1, self._maps, 1])

    def attend(self, place: AttentionRow, flat: Keys, queries: tf.Tensor) -> tf.Tensor:
        """Returns the attention of one position, times the kernels of the block ends.

        Heads are separated by zeros instead of a transposition: the query of a head is
        zero at the keys of other heads, and only its own part of the result is kept.
        With queries [M, B, A] the result is [M, B, 2C].
        """
        queries = tf.concat([queries] * self._heads, axis=-1)
        queries = tf.reshape(queries, self._head_shape) * self._key_heads
        keys, values = self.by_map(flat)
        scores = tf.matmul(queries, keys, transpose_b=True)
        weights = tf.nn.softmax(scores + place.masks)
        attended = tf.matmul(weights, values) * self._value_heads
        return tf.matmul(tf.reduce_sum(attended, axis=2), self._attended_kernel)

    def add(self, place: AttentionRow, flat: Keys, completed: tf.Tensor) -> Keys:
        """Writes the keys of a position in place; `flat` must not be read afterwards.

        `completed` has the features at the end of each block, [M, B, C].
        """
        added = tf.matmul(tf.nn.elu(completed), self._key_value_kernel)
        added = tf.reshape(added + place.key_values, [-1, sum(self._sizes)])
        parts = zip(flat, tf.split(added, self._sizes, axis=-1), strict=True)
        return Keys(
            *(tf.raw_ops.InplaceUpdate(x=x, i=place.slots, v=v) for x, v in parts)
        )

    def _head_masks(self, size):
        """Returns ones in the own part of each head, [M, B, h, h * size].

        They are repeated for blocks and maps, since products of equal shapes are
        faster.
        """
        own = np.kron(np.eye(self._heads), np.ones([1, size])).astype(np.float32)
        return tf.tile(own[None, None], [self._blocks, self._maps, 1, 1])
