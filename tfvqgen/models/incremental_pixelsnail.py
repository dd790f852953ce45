"""A PixelSNAIL position by position, exactly, with everything kept that can be.

What a position costs is split in three. The taps above its row are applied to the row
as a whole, for all layers, when the row starts. The taps left of it are applied in one
batched matmul for all layers, because what they read is completed before the position's
turn. Only pointwise layers and attention remain to be done one after another.
"""

# Shapes: B maps, H x W positions, K codes, C channels, R channels inside gated layers;
# S layers in a block, M blocks, n = S * M gated layers in the order (layer, block);
# r = k // 2 taps to the left; O output layers; T keys so far; A, V lengths of all
# heads' keys and values.

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfvqgen.layers.background import background
from tfvqgen.layers.causal_attention import MASKED
from tfvqgen.layers.gating import elu_pair, gate
from tfvqgen.models.row_taps import RowTaps


class History(NamedTuple):
    """What is kept from row to row.

    Attributes:
        embedded: The codes of the last k - 1 rows, embedded, [1, B, W, C] each.
        completed: Pairs of completed features that gated layers read, [n, B, W, 2C].
        hidden: Pairs inside gated layers, [n, B, W, 2R] each.
        keys: [M, B, T, A]; the start key first.
        values: [M, B, T, V].
    """

    embedded: list[tf.Tensor]
    completed: list[tf.Tensor]
    hidden: list[tf.Tensor]
    keys: tf.Tensor
    values: tf.Tensor


class Row(NamedTuple):
    """What is known of each position when its row starts; the column comes first.

    Attributes:
        inputs: Of the input convolution, [W, B, C].
        narrow: Of gated layers' first convolutions, [W, n, B, R].
        wide: Of their second, with the context, [W, n, B, 2C].
        ends: Of queries and the pointwise layers that end blocks, [W, M, B, A + 2C].
        outputs: Of the output stack, [W, O, B, 2C].
        key_values: Of keys and values, [W, M, 1, A + V].
        masks: Added to the scores, [W, T].
        slots: Where column 0's keys go in the flat keys, int32 [M * B].
    """

    inputs: tf.Tensor
    narrow: tf.Tensor
    wide: tf.Tensor
    ends: tf.Tensor
    outputs: tf.Tensor
    key_values: tf.Tensor
    masks: tf.Tensor
    slots: tf.Tensor


class State(NamedTuple):
    """What is kept from position to position of a row.

    Attributes:
        completed: Of the last r positions, [n, B, 2C] each.
        inputs: What the codes so far add to the next r inputs, [B, C] each.
        completed_row: TensorArray of [n, B, 2C].
        hidden_row: TensorArray of [n, B, 2R].
        keys: [M * B * T, A], written in place.
        values: [M * B * T, V], written in place.
    """

    completed: list[tf.Tensor]
    inputs: list[tf.Tensor]
    completed_row: tf.TensorArray
    hidden_row: tf.TensorArray
    keys: tf.Tensor
    values: tf.Tensor


class Draft(NamedTuple):
    """A position's features, to be completed by its code.

    Attributes:
        starts: Features at the start of each block, M times [B, C].
        sums: What the gated layers before each add to them, S + 1 times [M, B, C].
        hidden: Pairs inside gated layers, [n, B, 2R].
        last: The features that the logits were made of, [B, C].
    """

    starts: list[tf.Tensor]
    sums: list[tf.Tensor]
    hidden: tf.Tensor
    last: tf.Tensor


class IncrementalPixelSNAIL:
    """Goes through the positions of B maps; float32.

    Args:
        prior: A built :class:`~tfvqgen.models.pixelsnail.PixelSNAIL`.
        maps: B, an int32 scalar.
        context: What the gated layers are fed, [B, H, W, C] or [B, 1, 1, C].
    """

    def __init__(self, prior: Any, maps: tf.Tensor, context: tf.Tensor):
        config = prior.config
        self._config = config
        self._maps = maps
        self._context = context
        self._height, self._width = config.code_shape
        layers = [stack[i] for i in range(config.layers) for stack in prior.stacks]
        self._input_taps = RowTaps([prior.input_conv], self._width)
        self._narrow_taps = RowTaps([x.narrow for x in layers], self._width)
        self._wide_taps = RowTaps([x.wide for x in layers], self._width)
        self._left = _stack(tf.concat(list(_rows(x.narrow.own_row)), 0) for x in layers)
        self._centre = _stack(x.wide.own_row[0] for x in layers)
        gated = [*layers, *prior.block_ends, *prior.output_stack]
        self._context_kernel = tf.concat([_tensor(x.context_kernel) for x in gated], 1)
        self._prepare_embeddings(prior)
        self._prepare_attention(prior)
        self._output_kernels = [_tensor(x.kernel) for x in prior.output_stack]
        self._output_bias = [_tensor(x.bias) for x in prior.output_stack]
        self._head, self._head_bias = _tensor(prior.head), _tensor(prior.head_bias)

    def before_first_row(self) -> History:
        """Returns the history of empty maps."""

        def start(vectors):
            return tf.tile(vectors[:, None, None], [1, self._maps, 1, 1])

        return History(
            self._input_taps.before_first_row(self._maps),
            self._narrow_taps.before_first_row(self._maps),
            self._wide_taps.before_first_row(self._maps),
            start(self._start_keys),
            start(self._start_values),
        )

    def start_row(self, history: History, row: tf.Tensor) -> tuple[Row, State]:
        """Does what can be done for a row as a whole.

        Args:
            history: After the rows above.
            row: Its number, an int32 scalar.
        """
        config = self._config
        width, blocks = config.width, config.blocks
        gated = config.layers * blocks
        context = self._context[:, tf.minimum(row, self._context.shape[1] - 1)]
        context = tf.tensordot(context, self._context_kernel, 1)
        context = tf.reshape(
            context, [self._maps, -1, context.shape[-1] // (2 * width), 2 * width]
        )
        context = tf.transpose(context, [1, 2, 0, 3])
        wide, ends, outputs = tf.split(
            context, [gated, blocks, config.output_layers], axis=1
        )
        keys, values, masks, slots = self._make_room(history)
        ready = Row(
            inputs=self._input_taps(history.embedded)[:, 0]
            + self._input_places[row][:, None],
            narrow=self._narrow_taps(history.completed),
            wide=self._wide_taps(history.hidden) + wide,
            ends=self._ends(ends, row),
            outputs=self._spread(
                outputs + tf.reshape(self._output_bias, [-1, 1, 2 * width])
            ),
            key_values=self._key_value_places[row],
            masks=masks,
            slots=slots,
        )
        reach = config.kernel // 2
        state = State(
            [tf.zeros([gated, self._maps, 2 * width])] * reach,
            [tf.zeros([self._maps, width])] * reach,
            self._row_array(gated, 2 * width),
            self._row_array(gated, 2 * config.residual_width),
            keys,
            values,
        )
        return ready, state

    def step(
        self, row: Row, state: State, column: tf.Tensor
    ) -> tuple[tf.Tensor, Draft]:
        """Returns the logits of a position, [B, K], and what :meth:`accept` needs."""
        config = self._config
        left = tf.matmul(tf.concat(state.completed, axis=-1), self._left)
        hidden = elu_pair(left + row.narrow[column])
        updates = gate(tf.matmul(hidden, self._centre) + row.wide[column])
        sums = [tf.zeros([])]
        for update in tf.split(updates, config.layers):
            sums.append(sums[-1] + update if len(sums) > 1 else update)
        x = row.inputs[column] + state.inputs[0]
        starts = []
        ends = tf.unstack(row.ends[column])
        keys, values, mask = self._seen(row, state, column)
        for block, (end, added) in enumerate(
            zip(ends, tf.unstack(sums[-1]), strict=True)
        ):
            starts.append(x)
            x += added
            update = tf.matmul(tf.nn.elu(x), self._end_kernels[block]) + end
            if config.attention:
                query, update = tf.split(
                    update, [self._key_size, 2 * config.width], axis=-1
                )
                found = self._attend(query, keys[block], values[block], mask)
                update += tf.matmul(found, self._attended_kernels[block])
            x += gate(update)
        for kernel, added in zip(
            self._output_kernels, tf.unstack(row.outputs[column]), strict=True
        ):
            x += gate(tf.matmul(tf.nn.elu(x), kernel) + added)
        logits = tf.matmul(tf.nn.elu(x), self._head) + self._head_bias
        return logits, Draft(starts, sums, hidden, x)

    def accept(
        self, row: Row, state: State, draft: Draft, column: tf.Tensor, codes: tf.Tensor
    ) -> State:
        """Completes a position by its codes, int32 [B]."""
        config = self._config
        own, *taps = tf.split(
            tf.gather(self._code_table, codes), config.kernel // 2 + 1, axis=-1
        )
        first = tf.stack(draft.starts) + own
        reached = [first] + [first + added for added in draft.sums[1:]]
        completed = elu_pair(tf.concat(reached[:-1], axis=0))
        coming = [a + b for a, b in zip(state.inputs[1:], taps[:-1], strict=True)]
        keys, values = state.keys, state.values
        if config.attention:
            keys, values = self._add_keys(row, state, draft, column, reached[-1])
        return State(
            [*state.completed[1:], completed],
            [*coming, taps[-1]],
            state.completed_row.write(column, completed),
            state.hidden_row.write(column, draft.hidden),
            keys,
            values,
        )

    def end_row(self, history: History, state: State, codes: tf.Tensor) -> History:
        """Adds a finished row, its codes int32 [B, W], to the history."""

        def push(rows, row):
            return [*rows[1:], row]

        def by_layer(array):
            return tf.transpose(array.stack(), [1, 2, 0, 3])

        def by_block(flat, old):
            return tf.reshape(flat, [old.shape[0], self._maps, -1, old.shape[-1]])

        return History(
            push(history.embedded, tf.gather(self._embeddings, codes)[None]),
            push(history.completed, by_layer(state.completed_row)),
            push(history.hidden, by_layer(state.hidden_row)),
            by_block(state.keys, history.keys),
            by_block(state.values, history.values),
        )

    def _prepare_embeddings(self, prior):
        """Makes the table of all that a code adds to itself and to the next inputs."""
        places = background(self._height, self._width)
        self._input_places = tf.tensordot(places, _tensor(prior.input_background), 1)
        self._embeddings = _tensor(prior.embeddings)
        # The own row's taps are in the order of columns: the last is the nearest's.
        taps = [
            tf.matmul(self._embeddings, tap)
            for tap in reversed(_rows(prior.input_conv.own_row))
        ]
        self._code_table = tf.concat([self._embeddings, *taps], axis=-1)

    def _prepare_attention(self, prior):
        config = self._config
        self._end_kernels = [_tensor(x.kernel) for x in prior.block_ends]
        self._end_bias = tf.stack([_tensor(x.bias) for x in prior.block_ends])
        self._key_size = config.heads * config.key_dim * config.attention
        value_size = config.heads * config.value_dim * config.attention
        shape = [self._height, self._width, config.blocks, 1, 0]
        self._query_places = tf.zeros(shape)
        self._key_value_places = tf.zeros(shape)
        self._start_keys = tf.zeros([config.blocks, self._key_size])
        self._start_values = tf.zeros([config.blocks, value_size])
        if not config.attention:
            return
        layers = prior.attentions
        places = background(self._height, self._width)
        scale = config.key_dim**-0.5
        self._end_kernels = [
            tf.concat([_tensor(layer.query_kernel) * scale, kernel], axis=1)
            for layer, kernel in zip(layers, self._end_kernels, strict=True)
        ]
        self._attended_kernels = [_tensor(x.attended_kernel) for x in prior.block_ends]

        def by_place(kernels):
            return tf.stack([tf.tensordot(places, x, 1) for x in kernels], 2)[
                ..., None, :
            ]

        self._query_places = by_place(
            [_tensor(layer.query_background) * scale for layer in layers]
        )
        self._key_value_kernel = _stack(
            tf.concat([_tensor(layer.key_kernel), _tensor(layer.value_kernel)], 1)
            for layer in layers
        )
        self._key_value_places = by_place(
            [
                tf.concat(
                    [_tensor(layer.key_background), _tensor(layer.value_background)], 1
                )
                for layer in layers
            ]
        )
        self._start_keys = _stack(layer.start_key for layer in layers)
        self._start_values = _stack(layer.start_value for layer in layers)
        self._key_heads = _heads(config.heads, config.key_dim)
        self._value_heads = _heads(config.heads, config.value_dim)

    def _row_array(self, *shape):
        layers, features = shape
        return tf.TensorArray(
            tf.float32, self._width, element_shape=[layers, None, features]
        )

    def _spread(self, x):
        """Repeats [1 or W, ...] to [W, ...]."""
        return tf.broadcast_to(x, tf.concat([[self._width], tf.shape(x)[1:]], 0))

    def _ends(self, context, row):
        """Puts queries' biases beside those of the layers that end blocks."""
        ends = self._spread(context + self._end_bias[:, None])
        queries = tf.tile(self._query_places[row], [1, 1, self._maps, 1])
        return tf.concat([queries, ends], axis=-1)

    def _make_room(self, history):
        """Returns fresh keys and values with room for a row, its masks and slots."""
        blocks, width = self._config.blocks, self._width
        seen = tf.shape(history.keys)[2]

        def longer(x):
            room = tf.zeros([blocks, self._maps, width, x.shape[-1]])
            # What is written in place has to be a tensor of its own.
            return tf.reshape(tf.concat([x, room], axis=2), [-1, x.shape[-1]])

        visible = tf.sequence_mask(seen + tf.range(width), seen + width)
        masks = tf.where(visible, 0.0, MASKED)
        slots = tf.range(blocks * self._maps) * (seen + width) + seen
        return longer(history.keys), longer(history.values), masks, slots

    def _seen(self, row, state, column):
        """Returns each block's keys [B, T, A] and values [B, T, V], and the mask."""
        if not self._config.attention:
            return None, None, None
        length = tf.shape(row.masks)[1]

        def by_block(x):
            blocks = self._config.blocks
            return tf.unstack(tf.reshape(x, [blocks, self._maps, length, x.shape[-1]]))

        return by_block(state.keys), by_block(state.values), row.masks[column]

    def _attend(self, query, keys, values, mask):
        """Returns what all heads find, [B, A] -> [B, V].

        The heads are taken apart by zeros, not by moving them: a head's query is zero
        where the others' keys are, and of what it finds only its own part is kept.
        """
        queries = query[:, None] * self._key_heads
        scores = tf.matmul(queries, keys, transpose_b=True) + mask
        found = tf.matmul(tf.nn.softmax(scores), values)
        return tf.reduce_sum(found * self._value_heads, axis=1)

    def _add_keys(self, row, state, draft, column, completed):
        """Writes a position's keys and values in place, once nobody reads them."""
        added = tf.matmul(tf.nn.elu(completed), self._key_value_kernel)
        added += row.key_values[column]
        sizes = [state.keys.shape[-1], state.values.shape[-1]]
        keys, values = tf.split(tf.reshape(added, [-1, sum(sizes)]), sizes, axis=-1)
        slots = row.slots + column
        with tf.control_dependencies([draft.last]):
            return (
                tf.raw_ops.InplaceUpdate(x=state.keys, i=slots, v=keys),
                tf.raw_ops.InplaceUpdate(x=state.values, i=slots, v=values),
            )


def _tensor(weight) -> tf.Tensor:
    return tf.convert_to_tensor(weight)


def _rows(weight) -> list[tf.Tensor]:
    return tf.unstack(_tensor(weight))


def _stack(weights) -> tf.Tensor:
    return tf.stack([_tensor(weight) for weight in weights])


def _heads(heads: int, size: int) -> tf.Tensor:
    """Returns [heads, heads * size] with ones where a head's part is."""
    return tf.constant(np.kron(np.eye(heads), np.ones([1, size])), tf.float32)
