"""The noise that a map's codes are drawn with: a function of its seed and the place."""

import functools
import inspect
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from tfvqgen.sampling.choice import Choice

# Shapes: B maps, W positions of a row, K codes.


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


# Shapes: B maps, H x W positions, L labels; h x w codes of the condition; P passes.


class Request(NamedTuple):
    """What is asked of a sampler.

    Attributes:
        seeds: int64 [B].
        maps: B, an int32 scalar.
        labels: Multi-hot of each pass, float32 [P * B, L], or None.
        condition: Codes of the level above, int32 [P * B, h, w], or None.
        choice: How codes are chosen.
        given: Codes to keep, int32 [H, W, B], or None.
        keep: Where they are kept, bool [H, W, B], or None.
    """

    seeds: tf.Tensor
    maps: tf.Tensor
    labels: tf.Tensor | None
    condition: tf.Tensor | None
    choice: Choice
    given: tf.Tensor | None
    keep: tf.Tensor | None

    def settle(self, codes: tf.Tensor, row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        """Returns the codes of a position, int32 [B]: those given where they stay."""
        if self.keep is None:
            return codes
        return tf.where(self.keep[row, column], self.given[row, column], codes)


def make_request(
    prior: Any, seeds, labels, condition, temperature, top_p, guidance, given, keep
) -> Request:
    """Checks what :func:`tfvqgen.sampling.ancestral_sample` was called with.

    Raises:
        ValueError: A shape is wrong, or one of `given` and `keep` is missing.
        tf.errors.InvalidArgumentError: A value is out of range; in a graph, when it
            runs.
    """
    seeds = tf.convert_to_tensor(seeds, tf.int64)
    if seeds.shape.rank != 1:
        raise ValueError(
            f"seeds have a wrong shape: expected one a map. Received: {seeds.shape}"
        )
    if (given is None) != (keep is None):
        raise ValueError(
            "given and keep belong together: expected both or neither. "
            f"Received: given={given!r}, keep={keep!r}"
        )
    # Never a static number, so that shapes do not get less static from turn to turn of
    # a loop, which would be an error.
    maps = tf.raw_ops.PlaceholderWithDefault(input=tf.shape(seeds)[0], shape=[])
    # Without labels both passes of a guidance would be the same.
    choice = Choice(maps, temperature, top_p, 0 if labels is None else guidance)
    if labels is not None:
        labels = choice.conditional_first(tf.cast(labels, tf.float32))
    if condition is not None:
        condition = choice.repeat(tf.cast(condition, tf.int32))
    if given is not None:
        given = _by_place(prior, "given", tf.cast(given, tf.int32))
        keep = _by_place(prior, "keep", tf.cast(keep, tf.bool))
        known = (given >= 0) & (given < prior.num_embeddings)
        check = tf.raw_ops.Assert(
            condition=tf.reduce_all(known | ~keep),
            data=[
                f"given has unknown codes: expected 0 to {prior.num_embeddings - 1}. "
                "Received:",
                tf.boolean_mask(given, keep & ~known),
            ],
        )
        with tf.control_dependencies([check]):
            given = tf.identity(given)
    return Request(seeds, maps, labels, condition, choice, given, keep)


def _by_place(prior, name, x):
    if not x.shape[1:].is_compatible_with(prior.code_shape):
        raise ValueError(
            f"{name} has a wrong shape: expected [B, {prior.code_shape[0]}, "
            f"{prior.code_shape[1]}]. Received: {x.shape}"
        )
    return tf.transpose(x, [1, 2, 0])


# Settings that are numbers when they are off; any other number becomes a tensor, so
# that another value is not another graph.
OFF = {"temperature": 1.0, "top_p": 1.0, "guidance": 0.0}


def in_graph(sampler: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    """Makes a graph function of a sampler, one for each prior.

    Args:
        sampler: Takes a prior, seeds and the keyword arguments of a sampler. Called
            within a ``tf.function`` it becomes a part of that.
    """
    signature = inspect.signature(sampler)
    compiled: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()

    @functools.wraps(sampler)
    @tf.autograph.experimental.do_not_convert
    def call(prior: Any, seeds: Any, *arguments: Any, **named: Any) -> tf.Tensor:
        if tf.inside_function():
            return sampler(prior, seeds, *arguments, **named)
        bound = signature.bind(prior, seeds, *arguments, **named)
        if prior not in compiled:
            # What is kept as long as the prior must not keep the prior.
            reference = weakref.ref(prior)
            compiled[prior] = tf.function(
                lambda *args, **kwargs: sampler(reference(), *args, **kwargs),
                autograph=False,
            )
        tensors = {
            name: None if value is None else _tensor(name, value)
            for name, value in bound.arguments.items()
            if name not in ("prior", "seeds")
        }
        return compiled[prior](tf.convert_to_tensor(seeds, tf.int64), **tensors)

    return call


def _tensor(name, value):
    if name in OFF:
        is_off = isinstance(value, (int, float)) and value == OFF[name]
        return OFF[name] if is_off else tf.convert_to_tensor(value, tf.float32)
    return tf.convert_to_tensor(value)


# Shapes: B maps, H x W positions, K codes, L labels; h x w codes of the condition.


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
