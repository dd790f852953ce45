"""Ancestral sampling of code maps, with cached computations and without (reference)."""

# Shapes: B maps, H x W positions, K codes, L labels; h x w codes of the condition; P
# passes (1, or 2 with guidance).

import weakref
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfvqgen.models import PixelSNAIL
from tfvqgen.sampling.code_sampler import CodeSampler, row_noise
from tfvqgen.sampling.incremental_pixelsnail import IncrementalPixelSNAIL

# Positions in one iteration of the inner loop: more need fewer iterations but make the
# graph larger.
_MAX_UNROLLED = 4
# Values of `labels` to `keep` that switch an argument off.
_OFF = (None, None, 1.0, 1.0, 0.0, None, None)


def ancestral_sample(
    prior: PixelSNAIL,
    seeds: Any,
    labels: Any = None,
    condition: Any = None,
    temperature: Any = 1.0,
    top_p: Any = 1.0,
    guidance: Any = 0.0,
    given: Any = None,
    keep: Any = None,
) -> tf.Tensor:
    """Samples code maps position by position and reuses earlier computations.

    A map depends only on its own row of the arguments. Equal seeds give equal codes at
    any batch size, and the same codes as :func:`ancestral_sample_reference`: the noise
    is bit-identical, the logits are equal up to rounding.

    Within a ``tf.function`` the sampler becomes part of its graph, which can be
    exported. Otherwise it runs in a graph that is kept for the prior.

    Args:
        prior: A built prior.
        seeds: int64 [B].
        labels: Multi-hot labels, float [B, L]. Defaults to none (unconditional).
        condition: Codes of the level above, int [B, h, w], if the prior has a
            condition.
        temperature: Above 0, a number or [B].
        top_p: Above 0, at most 1 (off), a number or [B].
        guidance: 0 (off) or more, a number or [B]; see
            :class:`~tfvqgen.sampling.code_sampler.CodeSampler`.
        given: Codes to start from, int [B, H, W].
        keep: Where the codes of `given` are kept, bool [B, H, W].

    Returns:
        int32 [B, H, W].

    Raises:
        ValueError: A shape is wrong, or only one of `given` and `keep` is there.
        tf.errors.InvalidArgumentError: A value is out of range; in a graph, when it
            runs.
    """
    arguments = (labels, condition, temperature, top_p, guidance, given, keep)
    return _run(_sample_with_cache, prior, seeds, arguments)


def ancestral_sample_reference(
    prior: PixelSNAIL,
    seeds: Any,
    labels: Any = None,
    condition: Any = None,
    temperature: Any = 1.0,
    top_p: Any = 1.0,
    guidance: Any = 0.0,
    given: Any = None,
    keep: Any = None,
) -> tf.Tensor:
    """Samples the codes of :func:`ancestral_sample` by a full pass for each position.

    It is slow and simple. Only ``logits(codes, labels, condition)``, ``code_shape`` and
    ``num_embeddings`` of the prior are used.
    """
    arguments = (labels, condition, temperature, top_p, guidance, given, keep)
    return _run(_sample_with_full_passes, prior, seeds, arguments)


class SamplerInputs:
    """The checked arguments of :func:`ancestral_sample`, whose errors it raises.

    Attributes:
        seeds: int64 [B].
        maps: B, an int32 scalar.
        labels: Labels of each pass, multi-hot float32 [P * B, L], or None.
        condition: Codes of the level above, int32 [P * B, h, w], or None.
        code_sampler: Samples codes from logits.
    """

    def __init__(
        self,
        prior: PixelSNAIL,
        seeds: Any,
        labels: Any = None,
        condition: Any = None,
        temperature: Any = 1.0,
        top_p: Any = 1.0,
        guidance: Any = 0.0,
        given: Any = None,
        keep: Any = None,
    ):
        self.seeds = tf.convert_to_tensor(seeds, tf.int64)
        if self.seeds.shape.rank != 1:
            raise ValueError(
                "seeds have a wrong shape: expected one for each map. "
                f"Received: {self.seeds.shape}"
            )
        if (given is None) != (keep is None):
            raise ValueError(
                "given and keep belong together: expected both or neither. "
                f"Received: given={given!r}, keep={keep!r}"
            )
        # This is never a static number, because shapes in a loop must not become less
        # static from one iteration to the next.
        maps = tf.shape(self.seeds)[0]
        self.maps = tf.raw_ops.PlaceholderWithDefault(input=maps, shape=[])
        # Without labels both passes of guidance are equal.
        guidance = 0 if labels is None else guidance
        self.code_sampler = CodeSampler(self.maps, temperature, top_p, guidance)
        self.labels = self.condition = self._given = self._keep = None
        if labels is not None:
            labels = tf.cast(labels, tf.float32)
            self.labels = self.code_sampler.labels_of_passes(labels)
        if condition is not None:
            self.condition = self.code_sampler.repeat(tf.cast(condition, tf.int32))
        if given is not None:
            given = _positions_first(prior, "given", tf.cast(given, tf.int32))
            self._keep = _positions_first(prior, "keep", tf.cast(keep, tf.bool))
            last = prior.num_embeddings - 1
            unknown = self._keep & ((given < 0) | (given > last))
            sentence = f"given has unknown codes: expected 0 to {last}. Received:"
            check = tf.raw_ops.Assert(
                condition=~tf.reduce_any(unknown),
                data=[sentence, tf.boolean_mask(given, unknown)],
            )
            with tf.control_dependencies([check]):
                self._given = tf.identity(given)

    def sample(self, logits, noise, row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        """Samples the codes of a position, int32 [B], or returns the codes to keep."""
        codes = self.code_sampler(logits, noise)
        if self._keep is None:
            return codes
        return tf.where(self._keep[row, column], self._given[row, column], codes)


def sample_positions(
    prior: PixelSNAIL, inputs: SamplerInputs, codes: tf.Tensor, positions: tf.Tensor
) -> tf.Tensor:
    """Samples the codes of some positions by full forward passes.

    `codes` are the maps so far, int32 [B, H, W]; the result is like them. `positions`
    are indices in raster order, int32 [n], ascending.
    """
    height, width = prior.code_shape

    def sample_position(number, codes):
        position = positions[number]
        row, column = position // width, position % width
        repeated = inputs.code_sampler.repeat(codes)
        logits = prior.logits(repeated, inputs.labels, inputs.condition)
        noise = row_noise(inputs.seeds, row, width, prior.num_embeddings)
        sampled = inputs.sample(logits[:, row, column], noise[column], row, column)
        place = tf.one_hot(position, height * width, True, False, dtype=tf.bool)
        place = tf.reshape(place, [1, height, width])
        return number + 1, tf.where(place, sampled[:, None, None], codes)

    _, codes = tf.while_loop(
        lambda number, _: number < tf.shape(positions)[0],
        sample_position,
        [tf.constant(0), codes],
    )
    return codes


# For each sampler, the graphs of the priors that it was called with.
_GRAPHS: dict[Callable, weakref.WeakKeyDictionary] = {}


@tf.autograph.experimental.do_not_convert
def _run(sampler: Callable, prior: PixelSNAIL, seeds: Any, arguments: tuple):
    if tf.inside_function():
        return sampler(prior, SamplerInputs(prior, seeds, *arguments))
    graphs = _GRAPHS.setdefault(sampler, weakref.WeakKeyDictionary())
    if prior not in graphs:
        # The graph is kept as long as the prior, and must not keep the prior.
        reference = weakref.ref(prior)

        def run(*arguments):
            prior = reference()
            return sampler(prior, SamplerInputs(prior, *arguments))

        graphs[prior] = tf.function(run, autograph=False)
    seeds = tf.convert_to_tensor(seeds, tf.int64)
    return graphs[prior](seeds, *map(_tensor_or_off, arguments, _OFF))


def _tensor_or_off(value, off):
    """Returns a tensor, because every other Python number needs a graph of its own."""
    if value is None or (isinstance(value, (int, float)) and value == off):
        return off
    return tf.convert_to_tensor(value, None if off is None else tf.float32)


def _sample_with_full_passes(prior: PixelSNAIL, inputs: SamplerInputs) -> tf.Tensor:
    height, width = prior.code_shape
    codes = tf.zeros([inputs.maps, height, width], tf.int32)
    codes = sample_positions(prior, inputs, codes, tf.range(height * width))
    return tf.ensure_shape(codes, [inputs.seeds.shape[0], height, width])


def _sample_with_cache(prior: PixelSNAIL, inputs: SamplerInputs) -> tf.Tensor:
    height, width = prior.code_shape
    repeat = inputs.code_sampler.repeat
    maps = inputs.maps * inputs.code_sampler.passes
    incremental = IncrementalPixelSNAIL(prior, maps, inputs.labels, inputs.condition)
    rows = tf.TensorArray(tf.int32, height, element_shape=[None, width])
    history = incremental.before_first_row()

    def sample_row(row, history, rows):
        noise = row_noise(inputs.seeds, row, width, prior.num_embeddings)
        state, codes = _sample_row(incremental, inputs, history, row, noise)
        history = incremental.end_row(history, state, repeat(codes))
        return row + 1, history, rows.write(row, codes)

    def outer_sizes(x):
        return tf.TensorShape([x.shape[0], *[None] * (x.shape.rank - 2), x.shape[-1]])

    _, _, rows = tf.while_loop(
        lambda row, *_: row < height,
        sample_row,
        [tf.constant(0), history, rows],
        shape_invariants=[
            tf.TensorShape([]),
            tf.nest.map_structure(outer_sizes, history),
            tf.TensorShape(None),
        ],
        # Work for later rows in parallel would take much memory and save no time.
        parallel_iterations=1,
    )
    codes = tf.transpose(rows.stack(), [1, 0, 2])
    return tf.ensure_shape(codes, [inputs.seeds.shape[0], height, width])


def _sample_row(
    incremental: IncrementalPixelSNAIL, inputs: SamplerInputs, history, row, noise
):
    """Samples a row of every map; returns the last state and codes, int32 [B, W]."""
    width = noise.shape[0]
    unrolled = max(n for n in range(1, _MAX_UNROLLED + 1) if width % n == 0)
    ready, state = incremental.start_row(history, row)
    noise = tf.reshape(noise, [-1, unrolled, *tf.unstack(tf.shape(noise)[1:])])
    turns = tf.TensorArray(tf.int32, width // unrolled, element_shape=[unrolled, None])

    def sample_turn(turn, state, turns):
        column, sampled = turn * unrolled, []
        places = incremental.look_up(ready, column, unrolled)
        for place, own_noise in zip(places, tf.unstack(noise[turn]), strict=True):
            logits, draft = incremental.step(place, state)
            codes = inputs.sample(logits, own_noise, row, column + len(sampled))
            sampled.append(codes)
            codes = inputs.code_sampler.repeat(codes)
            state = incremental.accept(place, state, draft, codes)
        return turn + 1, state, turns.write(turn, tf.stack(sampled))

    _, state, turns = tf.while_loop(
        lambda turn, *_: turn < width // unrolled,
        sample_turn,
        [tf.constant(0), state, turns],
    )
    return state, tf.transpose(turns.concat())


def _positions_first(prior: PixelSNAIL, name: str, x: tf.Tensor) -> tf.Tensor:
    if not x.shape[1:].is_compatible_with(prior.code_shape):
        height, width = prior.code_shape
        raise ValueError(
            f"{name} has a wrong shape: expected [B, {height}, {width}]. "
            f"Received: {x.shape}"
        )
    return tf.transpose(x, [1, 2, 0])
