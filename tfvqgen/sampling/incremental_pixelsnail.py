"""Evaluates a PixelSNAIL position by position, with cached intermediate results.

The work for a position has three parts. The taps of the rows above are applied to a
whole row, for all layers, when the row starts. The taps to the left are applied in one
batched matrix product for all layers, because their inputs are completed before the
position's turn. So are the attention and the ends of all blocks, because none of them
reads another's result at the same position. Only the output stack runs layer by layer.
"""

import itertools
from typing import NamedTuple

import tensorflow as tf

from tfvqgen.config import PriorConfig
from tfvqgen.layers.causal_attention import position_features
from tfvqgen.layers.gated_units import elu_pair, gate
from tfvqgen.models import PixelSNAIL
from tfvqgen.sampling.incremental_layers import (
    AttentionRow,
    IncrementalAttention,
    Keys,
    RowTaps,
)

# Shapes: B maps, H x W positions, K codes, C channels, R channels inside gated units;
# S layers in a block, M blocks, n = S * M gated layers in the order (layer, block);
# r = k // 2 taps to the left; O output layers; P = W + 2 r columns of a padded row.

_tensor = tf.convert_to_tensor


class History(NamedTuple):
    """Kept from row to row."""

    embedded: list[tf.Tensor]  # Embedded codes of k - 1 rows, [1, P, B, C] each.
    completed: list[tf.Tensor]  # ELUs of completed features, [n, P, B, C] each.
    hidden: list[tf.Tensor]  # ELU pairs inside gated units, [n, P, B, 2R] each.
    attention: Keys | tuple[()]  # The keys so far; () without attention.


class RowTerms(NamedTuple):
    """Known for each position when its row starts; the column comes first."""

    inputs: tf.Tensor  # Terms of the input convolution, [W, B, C].
    narrow: tf.Tensor  # Terms of the units' first convolutions, [W, n, B, R].
    wide: tf.Tensor  # The same for the second, and the context, [W, n, B, 2C].
    ends: tf.Tensor  # Terms of queries and block ends, [1 or W, M, B, A + 2C].
    outputs: tf.Tensor  # Terms of the output stack, [1 or W, O, B, 2C].
    slots: tf.Tensor  # Index of the position's features in the row, int32 [W, n].
    attention: AttentionRow | tuple[()]


class State(NamedTuple):
    """Kept from position to position of a row; rows are written in place."""

    completed: list[tf.Tensor]  # ELUs of the last r positions, [n, B, C] each.
    inputs: list[tf.Tensor]  # Terms of the next r inputs from the codes, [B, C] each.
    completed_row: tf.Tensor  # [n * P, B, C].
    hidden_row: tf.Tensor  # [n * P, B, 2R].
    attention: Keys | tuple[()]  # The keys so far, flat.


class Draft(NamedTuple):
    """The features of a position, which its code will complete."""

    starts: tf.Tensor  # Features at the start of each block, [M, B, C].
    sums: list[tf.Tensor]  # Sums of the first layers of a block, S times [M, B, C].
    hidden: tf.Tensor  # ELU pairs inside gated units, [n, B, 2R].
    last: tf.Tensor  # The input of the logits, [B, C].


class IncrementalPixelSNAIL:
    """Visits the positions of B maps in raster order, in float32.

    Args:
        prior: A built prior.
        maps: B, an int32 scalar.
        labels: Multi-hot labels, float [B, L], or None.
        condition: Codes of the level above, int [B, H / 2, W / 2], or None.

    Raises:
        ValueError: A shape is wrong, or the condition is missing or not expected.
    """

    def __init__(
        self,
        prior: PixelSNAIL,
        maps: tf.Tensor,
        labels: tf.Tensor | None = None,
        condition: tf.Tensor | None = None,
    ):
        config = prior.config
        context = prior.context(maps, prior.code_shape, labels, condition)
        self._config, self._maps, self._context = config, maps, context
        self._width = config.code_shape[1]
        layers = [stack[i] for i in range(config.layers) for stack in prior.stacks]
        self._input_taps = RowTaps([prior.input_conv], self._width)
        self._narrow_taps = RowTaps([x.narrow for x in layers], self._width)
        self._wide_taps = RowTaps([x.wide for x in layers], self._width)
        left = [tf.unstack(_tensor(x.narrow.own_row)) for x in layers]
        self._left = tf.stack([tf.concat(taps, 0) for taps in left])
        self._centre = tf.stack([_tensor(x.wide.own_row)[0] for x in layers])
        pointwise = [*prior.block_ends, *prior.output_stack]
        kernels = [_tensor(x.context_kernel) for x in [*layers, *pointwise]]
        self._context_kernel = tf.concat(kernels, 1)
        self._pointwise_bias = tf.stack([_tensor(x.bias) for x in pointwise])
        self._end_kernel = tf.stack([_tensor(x.kernel) for x in prior.block_ends])
        self._output_kernels = [_tensor(x.kernel) for x in prior.output_stack]
        self._head = _tensor(prior.head)
        # Repeated for each map: a matmul plus a vector is fused to a slower operation.
        self._head_bias = tf.tile(_tensor(prior.head_bias)[None], [maps, 1])
        self._reach = config.kernel // 2
        self._padded = self._width + 2 * self._reach
        slots = tf.range(len(layers)) * self._padded + self._reach
        self._slots = slots + tf.range(self._width)[:, None]
        # If all positions have the same context, it is multiplied only once.
        self._all_rows = self._multiply(context) if context.shape[1] == 1 else None
        # A table of each code's terms for itself and for the next inputs. The taps of
        # the own row are in the order of columns; the last is the nearest.
        places = position_features(*config.code_shape)
        self._input_places = tf.tensordot(places, _tensor(prior.input_background), 1)
        self._embeddings = _tensor(prior.embeddings)
        taps = reversed(tf.unstack(_tensor(prior.input_conv.own_row)))
        taps = [tf.matmul(self._embeddings, tap) for tap in taps]
        self._code_table = tf.concat([self._embeddings, *taps], axis=-1)
        self._attention, self._key_size = None, 0
        if config.attention:
            self._attention = IncrementalAttention(
                prior.attentions, prior.block_ends, config.code_shape, maps
            )
            self._key_size = config.heads * config.key_dim
            kernels = [self._attention.query_kernel, self._end_kernel]
            self._end_kernel = tf.concat(kernels, axis=-1)

    def before_first_row(self) -> History:
        """Returns the history of empty maps."""
        taps = (self._input_taps, self._narrow_taps, self._wide_taps)
        keys = self._attention.before_first_row() if self._attention else ()
        return History(*(x.before_first_row(self._maps) for x in taps), keys)

    def start_row(self, history: History, row: tf.Tensor) -> tuple[RowTerms, State]:
        """Computes everything that is known for the whole row with this index."""
        gated, blocks = self._left.shape[0], self._config.blocks
        context = self._all_rows
        if context is None:
            context = self._multiply(self._context[:, row : row + 1])
        pointwise = context[:, gated:] + self._pointwise_bias[:, None]
        ends, attention_row, keys = pointwise[:, :blocks], (), ()
        if self._attention:
            attention_row, keys = self._attention.start_row(history.attention, row)
            ends = tf.tile(ends, [self._width // ends.shape[0], 1, 1, 1])
            ends = tf.concat([self._attention.query_biases(row), ends], axis=-1)
        ready = RowTerms(
            inputs=self._input_taps(history.embedded, row)[:, 0]
            + self._input_places[row][:, None],
            narrow=self._narrow_taps(history.completed, row),
            wide=self._wide_taps(history.hidden, row) + context[:, :gated],
            ends=ends,
            outputs=pointwise[:, blocks:],
            slots=self._slots,
            attention=attention_row,
        )
        width = self._config.width
        state = State(
            [tf.zeros([gated, self._maps, width])] * self._reach,
            [tf.zeros([self._maps, width])] * self._reach,
            self._empty_row(width),
            self._empty_row(2 * self._config.residual_width),
            keys,
        )
        return ready, state

    def look_up(self, row: RowTerms, column: tf.Tensor, count: int) -> list[RowTerms]:
        """Returns the row's entries for `count` positions from a column on."""

        def slices(x):
            if x.shape[0] == 1:
                return [x[0]] * count
            begin = tf.concat([[column], tf.zeros([x.shape.rank - 1], tf.int32)], 0)
            size = [count, *[-1] * (x.shape.rank - 1)]
            return tf.unstack(tf.slice(x, begin, size), num=count)

        parts = zip(*map(slices, tf.nest.flatten(row)), strict=True)
        return [tf.nest.pack_sequence_as(row, list(part)) for part in parts]

    def step(self, place: RowTerms, state: State) -> tuple[tf.Tensor, Draft]:
        """Returns the logits of a position, [B, K], and a draft for :meth:`accept`."""
        config = self._config
        left = tf.matmul(tf.concat(state.completed, axis=-1), self._left)
        hidden = elu_pair(left + place.narrow)
        updates = gate(tf.matmul(hidden, self._centre) + place.wide)
        sums = list(itertools.accumulate(tf.split(updates, config.layers)))
        x = place.inputs + state.inputs[0]
        added = tf.unstack(sums[-1], num=config.blocks)
        found = list(itertools.accumulate([x, *added]))
        ends = tf.matmul(tf.nn.elu(tf.stack(found[1:])), self._end_kernel) + place.ends
        if self._attention:
            queries, ends = tf.split(ends, [self._key_size, 2 * config.width], axis=-1)
            ends += self._attention.attend(place.attention, state.attention, queries)
        ends = itertools.accumulate(tf.unstack(gate(ends), num=config.blocks))
        starts = [x] + [a + b for a, b in zip(found[1:], ends, strict=True)]
        x = starts.pop()
        outputs = tf.unstack(place.outputs, num=config.output_layers)
        for kernel, added in zip(self._output_kernels, outputs, strict=True):
            x += gate(tf.matmul(tf.nn.elu(x), kernel) + added)
        logits = tf.matmul(tf.nn.elu(x), self._head) + self._head_bias
        return logits, Draft(tf.stack(starts), sums, hidden, x)

    def accept(
        self, place: RowTerms, state: State, draft: Draft, codes: tf.Tensor
    ) -> State:
        """Completes a position with its codes, int32 [B], and returns the next state.

        `state` is the argument of :meth:`step` and must not be used again.
        """
        terms = tf.gather(self._code_table, codes)
        own, *taps = tf.split(terms, self._reach + 1, axis=-1)
        first = draft.starts + own
        reached = [first] + [first + added for added in draft.sums]
        completed = tf.nn.elu(tf.concat(reached[:-1], axis=0))
        coming = [a + b for a, b in zip(state.inputs[1:], taps[:-1], strict=True)]
        keys = ()
        written = ((state.completed_row, completed), (state.hidden_row, draft.hidden))
        # The last features depend on everything that reads the tensors written here.
        with tf.control_dependencies([draft.last]):
            if self._attention:
                old = state.attention
                keys = self._attention.add(place.attention, old, reached[-1])
            rows = [
                tf.raw_ops.InplaceUpdate(x=row, i=place.slots, v=added)
                for row, added in written
            ]
        nearest = [*state.completed[1:], completed]
        return State(nearest, [*coming, taps[-1]], *rows, keys)

    def end_row(self, history: History, state: State, codes: tf.Tensor) -> History:
        """Adds a finished row with the codes int32 [B, W] to the history."""

        def by_layer(flat):
            gated = self._left.shape[0]
            return tf.reshape(flat, [gated, self._padded, self._maps, flat.shape[-1]])

        embedded = tf.gather(self._embeddings, tf.transpose(codes))[None]
        sides = [[0, 0], [self._reach] * 2, [0, 0], [0, 0]]
        return History(
            [*history.embedded[1:], tf.pad(embedded, sides)],
            [*history.completed[1:], by_layer(state.completed_row)],
            [*history.hidden[1:], by_layer(state.hidden_row)],
            self._attention.by_map(state.attention) if self._attention else (),
        )

    def _empty_row(self, channels):
        # zeros() may be one constant for all calls, but this tensor is written to.
        return tf.raw_ops.Empty(
            shape=[self._left.shape[0] * self._padded, self._maps, channels],
            dtype=tf.float32,
            init=True,
        )

    def _multiply(self, context):
        """Returns the terms of all units from the context of a row, [B, 1, W, C].

        They are [1 or W, n + M + O, B, 2C].
        """
        columns, width = context.shape[2], 2 * self._config.width
        context = tf.tensordot(context, self._context_kernel, 1)
        context = tf.reshape(context, [self._maps, columns, -1, width])
        context = tf.transpose(context, [1, 2, 0, 3])
        return tf.ensure_shape(context, [columns, None, None, width])


def kept_numbers(config: PriorConfig) -> dict[str, int]:
    """Returns the size of the history of one map after its last row, by field.

    ``context`` is the input of the gated units, which is kept as well.
    """
    height, width = config.code_shape
    gated = config.blocks * config.layers
    rows = (config.kernel - 1) * (width + 2 * (config.kernel // 2))
    keys = config.blocks * config.heads * (config.key_dim + config.value_dim)
    return {
        "embedded": rows * config.width,
        "completed": rows * gated * config.width,
        "hidden": rows * gated * 2 * config.residual_width,
        "attention": keys * (height * width + 1) * config.attention,
        "context": config.width * (height * width if config.conditioned else 1),
    }


def memory_per_map(config: PriorConfig) -> int:
    """Returns the bytes that are kept for one map after its last row."""
    return 4 * sum(kept_numbers(config).values())
