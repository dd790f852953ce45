"""What is asked of a sampler, checked and brought into one form."""

# Shapes: B maps, H x W positions, L labels; h x w codes of the condition; P passes.

from typing import Any, NamedTuple

import tensorflow as tf

from tfvqgen.sampling.choice import Choice


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
