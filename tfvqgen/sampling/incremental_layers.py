"""What causal convolutions of one shape take from the rows above, a row at a time."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfvqgen.layers import CausalAttention, CausalConv2D, GatedPointwiseUnit
from tfvqgen.layers.causal_attention import MASKED, background

# Shapes: B maps, W positions of a row, C channels in, F filters, k the kernel's side, n
# layers; P = W + 2 (k // 2) columns of a padded row.


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


# Shapes: B maps, W positions of a row, C channels, M blocks; h heads; T keys so far; A,
# V lengths of all heads' keys and values.


class Keys(NamedTuple):
    """What is attended to: [M, B, T, A] and [M, B, T, V], the start first.

    Within a row, flat: [M * B * T, A] and [M * B * T, V], with room for the row,
    written in place.
    """

    keys: tf.Tensor
    values: tf.Tensor


class AttentionRow(NamedTuple):
    """What is known of each position when its row starts; the column comes first.

    Attributes:
        key_values: What the place adds to keys and values, [W, M, 1, A + V].
        masks: Added to the scores, [W, T].
        slots: Where the position's keys go in the flat keys, int32 [W, M * B].
    """

    key_values: tf.Tensor
    masks: tf.Tensor
    slots: tf.Tensor


class IncrementalAttention:
    """Attends in all blocks at once, because no query waits for another block's.

    Args:
        layers: Of each block, built.
        ends: The units that take what each block's attention finds.
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
        heads, key_dim, value_dim = (
            layers[0].heads,
            layers[0].key_dim,
            layers[0].value_dim,
        )
        self._maps, self._width = maps, code_shape[1]
        self._blocks = len(layers)
        self._sizes = [heads * key_dim, heads * value_dim]
        places = background(*code_shape)
        scale = key_dim**-0.5

        def stack(*names):
            return tf.stack(
                [
                    tf.concat([tf.convert_to_tensor(getattr(x, n)) for n in names], -1)
                    for x in layers
                ]
            )

        def by_place(kernels):
            return tf.tensordot(places, kernels, [2, 1])

        self.query_kernel = stack("query_kernel") * scale
        self._queries = by_place(stack("query_background") * scale)
        self._key_value_kernel = stack("key_kernel", "value_kernel")
        self._key_values = by_place(stack("key_background", "value_background"))
        self._starts = Keys(stack("start_key"), stack("start_value"))
        self._attended_kernel = tf.stack(
            [tf.convert_to_tensor(x.attended_kernel) for x in ends]
        )
        self._heads = heads
        # Shapes are put together here, once, and not at every position.
        self._map_shapes = [
            tf.stack([self._blocks, maps, -1, size]) for size in self._sizes
        ]
        self._head_shape = tf.stack([self._blocks, maps, heads, self._sizes[0]])
        self._key_heads = self._own_parts(key_dim)
        self._value_heads = self._own_parts(value_dim)

    def before_first_row(self) -> Keys:
        """Returns the start keys and values."""
        return Keys(
            *(tf.tile(x[:, None, None], [1, self._maps, 1, 1]) for x in self._starts)
        )

    def start_row(self, old: Keys, row: tf.Tensor) -> tuple[AttentionRow, Keys]:
        """Makes room for a row's keys."""
        seen, width = tf.shape(old.keys)[2], self._width

        def longer(x):
            room = tf.zeros([self._blocks, self._maps, width, x.shape[-1]])
            # What is written in place has to be a tensor of its own.
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
        """Returns what the places of a row add to queries, [W, M, B, A]."""
        return tf.tile(self._queries[row][:, :, None], [1, 1, self._maps, 1])

    def attend(self, place: AttentionRow, flat: Keys, queries: tf.Tensor) -> tf.Tensor:
        """Returns what the ends of blocks take from what is found.

        The heads are taken apart by zeros, not by moving them: a head's query is zero
        where the others' keys are, and of what it finds only its own part is kept.

        Args:
            place: The position's part of its row.
            flat: All before the position.
            queries: [M, B, A].

        Returns:
            [M, B, 2C].
        """
        queries = tf.concat([queries] * self._heads, axis=-1)
        queries = tf.reshape(queries, self._head_shape) * self._key_heads
        keys, values = self.by_map(flat)
        scores = tf.matmul(queries, keys, transpose_b=True)
        shares = tf.nn.softmax(scores + place.masks)
        found = tf.matmul(shares, values) * self._value_heads
        return tf.matmul(tf.reduce_sum(found, axis=2), self._attended_kernel)

    def add(self, place: AttentionRow, flat: Keys, completed: tf.Tensor) -> Keys:
        """Writes a position's keys and values in place; `flat` may not be read again.

        Args:
            place: The position's part of its row.
            flat: All before the position.
            completed: Its completed features at the end of each block, [M, B, C].
        """
        added = tf.matmul(tf.nn.elu(completed), self._key_value_kernel)
        added = tf.reshape(added + place.key_values, [-1, sum(self._sizes)])
        return Keys(
            *(
                tf.raw_ops.InplaceUpdate(x=x, i=place.slots, v=v)
                for x, v in zip(
                    flat, tf.split(added, self._sizes, axis=-1), strict=True
                )
            )
        )

    def _own_parts(self, size):
        """Returns ones where a head's own part is, [M, B, h, h * size].

        For each block and map, because a product of equal shapes is the fastest.
        """
        own = np.kron(np.eye(self._heads), np.ones([1, size])).astype(np.float32)
        return tf.tile(own[None, None], [self._blocks, self._maps, 1, 1])
