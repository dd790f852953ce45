"""Samples a code for each map from logits: guidance, temperature, top_p and noise."""

# Shapes: B maps, P passes (1, or 2 with guidance), W positions of a row, K codes.

from typing import Any

import tensorflow as tf


class CodeSampler:
    """Samples codes from logits.

    Guidance g replaces the logits by (1 + g) * conditional - g * unconditional. Then
    they are divided by the temperature, and only the most likely codes that together
    reach the probability top_p are kept. A parameter that is switched off by a Python
    number is not part of the graph; if it is a tensor and off for all maps, its
    operations are skipped when the graph runs.

    Args:
        maps: B, an int32 scalar.
        temperature: Above 0; a number or float [B], as the next two.
        top_p: Above 0, at most 1; 1 disables it.
        guidance: 0 or more; 0 disables it.

    Attributes:
        passes: P, the number of rows of logits for each map.

    Raises:
        ValueError: A shape is wrong.
        tf.errors.InvalidArgumentError: A value is out of range; in a graph, when it
            runs.
    """

    def __init__(self, maps: tf.Tensor, temperature: Any, top_p: Any, guidance: Any):
        self._maps = maps
        self._has_temperature = not _is_number(temperature, 1)
        self._has_top_p = not _is_number(top_p, 1)
        self._has_guidance = not _is_number(guidance, 0)
        temperature = _column("temperature", temperature)
        self._top_p = _column("top_p", top_p)
        self._guidance = _column("guidance", guidance)
        # NaN fails every comparison.
        infinity, top_p, guidance = float("inf"), self._top_p, self._guidance
        valid = (temperature > 0) & (temperature < infinity)
        checks = [_check(valid, "temperature", "a finite number above 0", temperature)]
        valid = (top_p > 0) & (top_p <= 1)
        checks += [_check(valid, "top_p", "above 0, at most 1", top_p)]
        valid = (guidance >= 0) & (guidance < infinity)
        checks += [_check(valid, "guidance", "a finite number, 0 or more", guidance)]
        with tf.control_dependencies(checks):
            self._inverse_temperature = 1 / temperature
            guided = tf.reduce_any(self._guidance > 0)
        self._any_top_p = tf.reduce_any(self._top_p < 1)
        self.passes = tf.where(guided, 2, 1) if self._has_guidance else 1

    def repeat(self, x: tf.Tensor) -> tf.Tensor:
        """Repeats the maps of [B, ...] for each pass, [P * B, ...]."""
        if not self._has_guidance:
            return x
        return tf.tile(x, tf.concat([[self.passes], tf.ones_like(tf.shape(x)[1:])], 0))

    def labels_of_passes(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns the labels of each pass, [P * B, L]; the second pass has none."""
        if not self._has_guidance:
            return labels
        return tf.concat([labels, tf.zeros_like(labels)], 0)[: self.passes * self._maps]

    def __call__(self, logits: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Samples int32 [B] from float32 logits [P * B, K] with Gumbel noise [B, K]."""
        return tf.argmax(self.adjust(logits) + noise, axis=-1, output_type=tf.int32)

    def adjust(self, logits: tf.Tensor) -> tf.Tensor:
        """Applies guidance, temperature and top_p, [P * B, K] -> [B, K]."""
        if self._has_guidance:
            by_pass = tf.reshape(logits, [self.passes, self._maps, logits.shape[-1]])
            # With one pass, the first and the last are equal.
            logits = by_pass[0] + self._guidance * (by_pass[0] - by_pass[-1])
        if self._has_temperature:
            logits *= self._inverse_temperature
        if self._has_top_p:
            logits = tf.cond(
                self._any_top_p, lambda: keep_top(logits, self._top_p), lambda: logits
            )
        return logits


def keep_top(logits: tf.Tensor, top_p: tf.Tensor) -> tf.Tensor:
    """Removes all but the most likely codes that together reach a probability.

    A code is kept if the codes that are more likely do not reach top_p; the most likely
    code is always kept (nucleus sampling, Holtzman et al. 2020). `top_p` is float32
    [B, 1] or [1, 1], above 0; 1 keeps every code. The result is the logits, float32
    [B, K], with -inf for the removed codes.
    """
    ordered = tf.sort(logits, direction="DESCENDING")
    before = tf.cumsum(tf.nn.softmax(ordered), axis=-1, exclusive=True)
    kept = (before < top_p) | (top_p >= 1)
    lowest = tf.reduce_min(tf.where(kept, ordered, float("inf")), -1, keepdims=True)
    return tf.where(logits >= lowest, logits, float("-inf"))


def row_noise(
    seeds: tf.Tensor, row: tf.Tensor, width: int, num_codes: int
) -> tf.Tensor:
    """Returns Gumbel noise for one row of every map, float32 [W, B, K].

    The argmax of logits plus Gumbel noise is a sample from their softmax (the
    Gumbel-max trick). Rounding errors of the logits change the sampled code less often
    than with sampling by the cumulative distribution. The noise of a map is computed
    from its own seed alone, so that it is bit-identical at any batch size and position
    in the batch. `seeds` are int64 [B]; `row` is the index of the row, an int32 scalar.
    """
    row = tf.cast(row, tf.int64)

    def noise_of_map(seed):
        uniform = tf.random.stateless_uniform(
            [width, num_codes], tf.stack([seed, row]), alg="philox"
        )
        # The values are multiples of 2^-23; this moves them into the open interval.
        return -tf.math.log(-tf.math.log(uniform + 2.0**-24))

    noise = tf.map_fn(noise_of_map, seeds, fn_output_signature=tf.float32)
    return tf.transpose(noise, [1, 0, 2])


def _column(name, value):
    """Returns a number or [B] as float32 [1, 1] or [B, 1]."""
    value = tf.convert_to_tensor(value, tf.float32)
    if value.shape.rank not in (0, 1):
        raise ValueError(
            f"{name} has a wrong shape: expected a number or one for each map. "
            f"Received: shape={value.shape}"
        )
    return tf.reshape(value, [-1, 1])


def _is_number(value, number) -> bool:
    return isinstance(value, (int, float)) and value == number


def _check(condition, name, expected, value):
    # The raw operation: tf.debugging.Assert adds a branch of two functions to the
    # graph.
    return tf.raw_ops.Assert(
        condition=tf.reduce_all(condition),
        data=[f"{name} is out of range: expected {expected}. Received:", value],
    )
