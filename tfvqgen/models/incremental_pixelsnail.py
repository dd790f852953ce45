"""A PixelSNAIL position by position, exactly, with everything kept that can be.

What a position costs is split in three. The taps above its row are applied to the row
as a whole, for all layers, when the row starts. The taps left of it are applied in one
batched matmul for all layers, because what they read is completed before the position's
turn; attention asks for all blocks at once. Only pointwise layers remain to be done one
after another.
"""

# Shapes: B maps, H x W positions, K codes, C channels, R channels inside gated units;
# S layers in a block, M blocks, n = S * M gated layers in the order (layer, block);
# r = k // 2 taps to the left; O output layers; P = W + 2 r columns of a padded row.

from typing import Any, NamedTuple

import tensorflow as tf

from tfvqgen.layers.background import background
from tfvqgen.layers.gating import elu_pair, gate
from tfvqgen.models.incremental_attention import (
    AttentionRow,
    IncrementalAttention,
    Keys,
)
from tfvqgen.models.row_taps import RowTaps


class History(NamedTuple):
    """What is kept from row to row.

    Attributes:
        embedded: The codes of the last k - 1 rows, embedded, [1, B, P, C] each.
        completed: Pairs of completed features, [n, B, P, 2C] each.
        hidden: Pairs inside gated units, [n, B, P, 2R] each.
        attention: Keys so far; () without attention.
    """

    embedded: list[tf.Tensor]
    completed: list[tf.Tensor]
    hidden: list[tf.Tensor]
    attention: Keys | tuple[()]


class Row(NamedTuple):
    """What is known of each position when its row starts; the column comes first.

    Attributes:
        inputs: Of the input convolution, [W, B, C].
        narrow: Of gated units' first convolutions, [W, n, B, R].
        wide: Of their second, with the context, [W, n, B, 2C].
        ends: Of the units that end blocks, [1 or W, M, B, 2C].
        outputs: Of the output stack, [1 or W, O, B, 2C].
        attention: See there; () without attention.
    """

    inputs: tf.Tensor
    narrow: tf.Tensor
    wide: tf.Tensor
    ends: tf.Tensor
    outputs: tf.Tensor
    attention: AttentionRow | tuple[()]


class State(NamedTuple):
    """What is kept from position to position of a row.

    Attributes:
        completed: Pairs of completed features of the last r positions, [n, B, 2C] each.
        inputs: What the codes so far add to the next r inputs, [B, C] each.
        completed_row: Those of the row, [n * B * P, 2C], written in place.
        hidden_row: Pairs inside gated units, [n * B * P, 2R], written in place.
        attention: Keys so far, flat; () without attention.
    """

    completed: list[tf.Tensor]
    inputs: list[tf.Tensor]
    completed_row: tf.Tensor
    hidden_row: tf.Tensor
    attention: Keys | tuple[()]


class Draft(NamedTuple):
    """A position's features, to be completed by its code.

    Attributes:
        starts: Features at the start of each block, M times [B, C].
        sums: What a block's first layers add up to, S times [M, B, C].
        hidden: Pairs inside gated units, [n, B, 2R].
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
        context: What the gated units are fed, [B, H, W, C] or [B, 1, 1, C].
    """

    def __init__(self, prior: Any, maps: tf.Tensor, context: tf.Tensor):
        config = prior.config
        self._config, self._maps, self._context = config, maps, context
        self._width = config.code_shape[1]
        layers = [stack[i] for i in range(config.layers) for stack in prior.stacks]
        self._input_taps = RowTaps([prior.input_conv], self._width)
        self._narrow_taps = RowTaps([x.narrow for x in layers], self._width)
        self._wide_taps = RowTaps([x.wide for x in layers], self._width)
        self._left = tf.stack(
            [tf.concat(tf.unstack(_tensor(x.narrow.own_row)), 0) for x in layers]
        )
        self._centre = tf.stack([_tensor(x.wide.own_row)[0] for x in layers])
        pointwise = [*prior.block_ends, *prior.output_stack]
        self._context_kernel = tf.concat(
            [_tensor(x.context_kernel) for x in [*layers, *pointwise]], 1
        )
        self._pointwise_kernels = [_tensor(x.kernel) for x in pointwise]
        self._pointwise_bias = tf.stack([_tensor(x.bias) for x in pointwise])
        # A matrix, because a matmul and a vector are fused to something slower.
        self._head, self._head_bias = (
            _tensor(prior.head),
            _tensor(prior.head_bias)[None],
        )
        self._reach = config.kernel // 2
        self._padded = self._width + 2 * self._reach
        self._row_slots = tf.range(len(layers) * maps) * self._padded + self._reach
        self._prepare_inputs(prior)
        self._attention = None
        if config.attention:
            self._attention = IncrementalAttention(
                prior.attentions, prior.block_ends, config.code_shape, maps
            )

    def before_first_row(self) -> History:
        """Returns the history of empty maps."""
        return History(
            self._input_taps.before_first_row(self._maps),
            self._narrow_taps.before_first_row(self._maps),
            self._wide_taps.before_first_row(self._maps),
            self._attention.before_first_row() if self._attention else (),
        )

    def start_row(self, history: History, row: tf.Tensor) -> tuple[Row, State]:
        """Does what can be done for a row as a whole.

        Args:
            history: After the rows above.
            row: Its number, an int32 scalar.
        """
        width, gated = self._config.width, self._left.shape[0]
        blocks = self._config.blocks
        context = self._context[:, tf.minimum(row, self._context.shape[1] - 1)]
        context = tf.tensordot(context, self._context_kernel, 1)
        units = gated + len(self._pointwise_kernels)
        context = tf.reshape(
            context, [self._maps, self._context.shape[2], units, 2 * width]
        )
        context = tf.transpose(context, [1, 2, 0, 3])
        pointwise = context[:, gated:] + self._pointwise_bias[:, None]
        attention_row, keys = (), ()
        if self._attention:
            attention_row, keys = self._attention.start_row(history.attention, row)
        ready = Row(
            inputs=self._input_taps(history.embedded)[:, 0]
            + self._input_places[row][:, None],
            narrow=self._narrow_taps(history.completed),
            wide=self._wide_taps(history.hidden) + context[:, :gated],
            ends=pointwise[:, :blocks],
            outputs=pointwise[:, blocks:],
            attention=attention_row,
        )
        state = State(
            [tf.zeros([gated, self._maps, 2 * width])] * self._reach,
            [tf.zeros([self._maps, width])] * self._reach,
            self._empty_row(2 * width),
            self._empty_row(2 * self._config.residual_width),
            keys,
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
        sums = tf.split(updates, config.layers)
        for layer in range(1, config.layers):
            sums[layer] += sums[layer - 1]
        x = row.inputs[column] + state.inputs[0]
        ends = row.ends[self._place(row.ends, column)]
        if self._attention:
            asking = tf.cumsum(sums[-1]) + x
            ends += self._attention.attend(
                row.attention, state.attention, column, asking
            )
        starts = []
        for kernel, update, end in zip(
            self._pointwise_kernels,
            tf.unstack(sums[-1]),
            tf.unstack(ends),
            strict=False,
        ):
            starts.append(x)
            x += update
            x += gate(tf.matmul(tf.nn.elu(x), kernel) + end)
        outputs = row.outputs[self._place(row.outputs, column)]
        for kernel, added in zip(
            self._pointwise_kernels[config.blocks :], tf.unstack(outputs), strict=True
        ):
            x += gate(tf.matmul(tf.nn.elu(x), kernel) + added)
        logits = tf.matmul(tf.nn.elu(x), self._head) + self._head_bias
        return logits, Draft(starts, sums, hidden, x)

    def accept(
        self, row: Row, state: State, draft: Draft, column: tf.Tensor, codes: tf.Tensor
    ) -> State:
        """Completes a position by its codes, int32 [B]."""
        own, *taps = tf.split(
            tf.gather(self._code_table, codes), self._reach + 1, axis=-1
        )
        first = tf.stack(draft.starts) + own
        reached = [first] + [first + added for added in draft.sums]
        completed = elu_pair(tf.concat(reached[:-1], axis=0))
        coming = [a + b for a, b in zip(state.inputs[1:], taps[:-1], strict=True)]
        slots = self._row_slots + column
        keys = ()
        # What is overwritten here has been read when the last features are there.
        with tf.control_dependencies([draft.last]):
            if self._attention:
                keys = self._attention.add(
                    row.attention, state.attention, column, reached[-1]
                )
            return State(
                [*state.completed[1:], completed],
                [*coming, taps[-1]],
                _write(state.completed_row, slots, completed),
                _write(state.hidden_row, slots, draft.hidden),
                keys,
            )

    def end_row(self, history: History, state: State, codes: tf.Tensor) -> History:
        """Adds a finished row, its codes int32 [B, W], to the history."""

        def by_layer(flat):
            gated = self._left.shape[0]
            return tf.reshape(flat, [gated, self._maps, self._padded, flat.shape[-1]])

        embedded = tf.gather(self._embeddings, codes)[None]
        sides = [[0, 0], [0, 0], [self._reach] * 2, [0, 0]]
        return History(
            [*history.embedded[1:], tf.pad(embedded, sides)],
            [*history.completed[1:], by_layer(state.completed_row)],
            [*history.hidden[1:], by_layer(state.hidden_row)],
            self._attention.end_row(state.attention) if self._attention else (),
        )

    def _prepare_inputs(self, prior):
        """Makes the table of all that a code adds to itself and to the next inputs."""
        places = background(*self._config.code_shape)
        self._input_places = tf.tensordot(places, _tensor(prior.input_background), 1)
        self._embeddings = _tensor(prior.embeddings)
        # The own row's taps are in the order of columns: the last is the nearest's.
        taps = [
            tf.matmul(self._embeddings, tap)
            for tap in reversed(tf.unstack(_tensor(prior.input_conv.own_row)))
        ]
        self._code_table = tf.concat([self._embeddings, *taps], axis=-1)

    def _empty_row(self, channels):
        # Not zeros(), which may be one constant for all calls: this is written to.
        return tf.raw_ops.Empty(
            shape=[tf.size(self._row_slots) * self._padded, channels],
            dtype=tf.float32,
            init=True,
        )

    def _place(self, x, column):
        """Returns the index of a column in [1 or W, ...]."""
        return 0 if x.shape[0] == 1 else column


def _tensor(weight) -> tf.Tensor:
    return tf.convert_to_tensor(weight)


def _write(flat, slots, x):
    """Writes [n, B, C] into the rows of [N, C], in place."""
    x = tf.reshape(x, [-1, x.shape[-1]])
    return tf.raw_ops.InplaceUpdate(x=flat, i=slots, v=x)
