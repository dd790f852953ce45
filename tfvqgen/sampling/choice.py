"""From a position's logits to its code: guidance, temperature, top_p and the draw."""

# Shapes: B maps, P passes (1, or 2 with guidance), K codes.

import tensorflow as tf


class Choice:
    """How codes are chosen.

    Guidance g draws from the logits (1 + g) * conditional - g * unconditional; they are
    divided by the temperature; of the codes only the likeliest stay that together reach
    the probability top_p. What is off for all maps costs nothing: as a Python number it
    is left out of the graph, as a tensor it is skipped when the graph runs.

    Args:
        maps: B, an int32 scalar.
        temperature: Above 0; a number or float [B], as the next two.
        top_p: Above 0, at most 1 (off).
        guidance: At least 0 (off).

    Raises:
        tf.errors.InvalidArgumentError: A value is out of range; in a graph, when it
            runs.
    """

    def __init__(self, maps, temperature, top_p, guidance):
        self._maps = maps
        self._off = {
            "temperature": _is_number(temperature, 1),
            "top_p": _is_number(top_p, 1),
            "guidance": _is_number(guidance, 0),
        }
        temperature = self._by_map("temperature", temperature)
        self._top_p = self._by_map("top_p", top_p)
        self._guidance = self._by_map("guidance", guidance)
        # Not "at most 0": that is false for what is not a number.
        checks = [
            _check(temperature > 0, "temperature", "above 0", temperature),
            _check(
                (self._top_p > 0) & (self._top_p <= 1),
                "top_p",
                "above 0, at most 1",
                self._top_p,
            ),
            _check(self._guidance >= 0, "guidance", "at least 0", self._guidance),
            _check(
                tf.math.is_finite(temperature), "temperature", "finite", temperature
            ),
            _check(
                tf.math.is_finite(self._guidance), "guidance", "finite", self._guidance
            ),
        ]
        with tf.control_dependencies(checks):
            self._coldness = 1 / temperature
            guided = tf.reduce_any(self._guidance > 0)
        self._cut = tf.reduce_any(self._top_p < 1)
        self.passes = 1 if self._off["guidance"] else tf.where(guided, 2, 1)

    def repeat(self, x: tf.Tensor) -> tf.Tensor:
        """Repeats the maps of [B, ...] for each pass, [P * B, ...]."""
        if self._off["guidance"]:
            return x
        return tf.tile(x, tf.concat([[self.passes], tf.ones_like(tf.shape(x)[1:])], 0))

    def conditional_first(self, labels: tf.Tensor) -> tf.Tensor:
        """Returns the labels of each pass, [P * B, L]: the second has none."""
        if self._off["guidance"]:
            return labels
        return tf.concat([labels, tf.zeros_like(labels)], 0)[: self.passes * self._maps]

    def __call__(self, logits: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
        """Draws a code for each map.

        Args:
            logits: Float32 [P * B, K].
            noise: Gumbel noise, float32 [B, K].

        Returns:
            int32 [B].
        """
        logits = self.adjust(logits)
        return tf.argmax(logits + noise, axis=-1, output_type=tf.int32)

    def adjust(self, logits: tf.Tensor) -> tf.Tensor:
        """Returns the logits that are drawn from, [P * B, K] -> [B, K]."""
        if not self._off["guidance"]:
            by_pass = tf.reshape(logits, [self.passes, self._maps, logits.shape[-1]])
            # In one pass first and last are the same, and the difference is nothing.
            logits = by_pass[0] + self._guidance * (by_pass[0] - by_pass[-1])
        if not self._off["temperature"]:
            logits *= self._coldness
        if not self._off["top_p"]:
            logits = tf.cond(
                self._cut, lambda: keep_top(logits, self._top_p), lambda: logits
            )
        return logits

    def _by_map(self, name, value):
        value = tf.convert_to_tensor(value, tf.float32)
        if value.shape.rank not in (0, 1):
            raise ValueError(
                f"{name} has a wrong shape: expected a number or one a map. "
                f"Received: shape={value.shape}"
            )
        return tf.reshape(value, [-1, 1])


def keep_top(logits: tf.Tensor, top_p: tf.Tensor) -> tf.Tensor:
    """Leaves the likeliest codes that together reach a probability.

    A code stays if those likelier than it do not reach top_p; the likeliest always does
    (nucleus sampling, Holtzman et al. 2020).

    Args:
        logits: Float32 [B, K].
        top_p: Float32 [B, 1] or [1, 1], above 0; at 1 every code stays.

    Returns:
        The logits, -inf where a code is left out.
    """
    ordered = tf.sort(logits, direction="DESCENDING")
    likelier = tf.cumsum(tf.nn.softmax(ordered), axis=-1, exclusive=True)
    stays = (likelier < top_p) | (top_p >= 1)
    lowest = tf.reduce_min(tf.where(stays, ordered, float("inf")), -1, keepdims=True)
    return tf.where(logits >= lowest, logits, float("-inf"))


def _is_number(value, number) -> bool:
    return isinstance(value, (int, float)) and value == number


def _check(condition, name, expected, value):
    # The plain operation: tf.debugging's adds a branch of two functions to the graph.
    return tf.raw_ops.Assert(
        condition=tf.reduce_all(condition),
        data=[f"{name} is out of range: expected {expected}. Received:", value],
    )
