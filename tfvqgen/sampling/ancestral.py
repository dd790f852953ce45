"""Ancestral sampling from a prior that can be gone through position by position.

What is asked of the prior is no more than this, and no model is imported:

* ``code_shape`` (H, W) and ``num_embeddings`` K;
* ``incremental(maps, labels, condition)``, whose result has, all in graph,

  * ``before_first_row() -> history``;
  * ``start_row(history, row) -> (ready, state)``: what can be done for a whole row;
  * ``look_up(ready, column, count) -> places``, a list of what is known of so many
    positions from a column on;
  * ``step(place, state) -> (logits [B, K], draft)``;
  * ``accept(place, state, draft, codes [B]) -> state``;
  * ``end_row(history, state, codes [B, W]) -> history``.

History, ready, place, state and draft are any nested structures of tensors. A history's
may grow, but neither in their first nor in their last dimension. A state is used once,
so that parts of it may be overwritten.
"""

# Shapes: B maps, H x W positions, K codes, L labels; h x w codes of the condition.

from typing import Any

import tensorflow as tf

from tfvqgen.sampling.in_graph import in_graph
from tfvqgen.sampling.noise import row_noise
from tfvqgen.sampling.request import Request, make_request

# Positions in one turn of the inner loop: fewer turns, but a larger graph.
MOST_AT_ONCE = 4


@in_graph
def ancestral_sample(
    prior: Any,
    seeds: Any,
    labels: Any = None,
    condition: Any = None,
    temperature: Any = 1.0,
    top_p: Any = 1.0,
    guidance: Any = 0.0,
    given: Any = None,
    keep: Any = None,
) -> tf.Tensor:
    """Draws code maps, one position after another, reusing all that was computed.

    A map depends on its own row of the arguments alone. Equal seeds give equal codes,
    whatever the batch, and those of
    :func:`~tfvqgen.sampling.reference.ancestral_sample_reference`: the noise is equal
    to the last bit, the logits up to rounding.

    May be called in a ``tf.function``, which may be exported; called outside, it makes
    and keeps one for the prior.

    Args:
        prior: See the module's documentation.
        seeds: int64 [B].
        labels: Multi-hot, float [B, L]; None is unconditional.
        condition: Codes of the level above, int [B, h, w], if the prior wants them.
        temperature: Above 0, a number or [B].
        top_p: Above 0, at most 1 (off), a number or [B].
        guidance: At least 0 (off), a number or [B]; see
            :class:`~tfvqgen.sampling.choice.Choice`.
        given: Codes to start from, int [B, H, W].
        keep: Where `given` stays, bool [B, H, W]; elsewhere it is not looked at.

    Returns:
        int32 [B, H, W].

    Raises:
        ValueError: A shape is wrong, or one of `given` and `keep` is missing.
        tf.errors.InvalidArgumentError: A value is out of range; in a graph, when it
            runs.
    """
    request = make_request(
        prior, seeds, labels, condition, temperature, top_p, guidance, given, keep
    )
    height, width = prior.code_shape
    walk = prior.incremental(
        request.maps * request.choice.passes, request.labels, request.condition
    )
    rows = tf.TensorArray(tf.int32, height, element_shape=[None, width])
    history = walk.before_first_row()

    def sample_row(row, history, rows):
        noise = row_noise(request.seeds, row, width, prior.num_embeddings)
        state, codes = _sample_row(walk, request, history, row, noise)
        history = walk.end_row(history, state, request.choice.repeat(codes))
        return row + 1, history, rows.write(row, codes)

    _, _, rows = tf.while_loop(
        lambda row, *_: row < height,
        sample_row,
        [tf.constant(0), history, rows],
        shape_invariants=[
            tf.TensorShape([]),
            tf.nest.map_structure(_growing, history),
            tf.TensorShape(None),
        ],
        # What of later rows does not wait for this one takes much memory and is no
        # sooner done.
        parallel_iterations=1,
    )
    codes = tf.transpose(rows.stack(), [1, 0, 2])
    return tf.ensure_shape(codes, [request.seeds.shape[0], height, width])


def _sample_row(
    walk: Any, request: Request, history: Any, row: tf.Tensor, noise: tf.Tensor
) -> tuple[Any, tf.Tensor]:
    """Draws a row of every map; returns the last state and its codes, int32 [B, W]."""
    width = noise.shape[0]
    at_once = max(n for n in range(1, MOST_AT_ONCE + 1) if width % n == 0)
    ready, state = walk.start_row(history, row)
    noise = tf.reshape(noise, [-1, at_once, *tf.unstack(tf.shape(noise)[1:])])
    turns = tf.TensorArray(tf.int32, width // at_once, element_shape=[at_once, None])

    def sample_positions(turn, state, turns):
        column, drawn = turn * at_once, []
        places = walk.look_up(ready, column, at_once)
        for place, own_noise in zip(places, tf.unstack(noise[turn]), strict=True):
            logits, draft = walk.step(place, state)
            codes = request.choice(logits, own_noise)
            codes = request.settle(codes, row, column + len(drawn))
            state = walk.accept(place, state, draft, request.choice.repeat(codes))
            drawn.append(codes)
        return turn + 1, state, turns.write(turn, tf.stack(drawn))

    _, state, turns = tf.while_loop(
        lambda turn, *_: turn < width // at_once,
        sample_positions,
        [tf.constant(0), state, turns],
    )
    return state, tf.transpose(turns.concat())


def _growing(x):
    """Leaves the sizes open of all dimensions but the first and the last."""
    inner = [None] * (x.shape.rank - 2)
    return tf.TensorShape([x.shape[0], *inner, x.shape[-1]])
