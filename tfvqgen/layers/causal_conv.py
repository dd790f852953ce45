"""Causal convolution: a position reads only what comes before it in raster order."""

# Shapes: B maps, H x W positions, C channels in, F filters, k the kernel's side.

import math

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfvqgen")
class CausalConv2D(keras.layers.Layer):
    """A convolution over the rows above and a part of the position's own row.

    ``[B, H, W, C] -> [B, H, W, F]``. Above, the kernel has k - 1 rows of k taps; in its
    own row it has either the k // 2 taps to the left, so that a position reads strictly
    what comes before it, or the centre alone. It is causal by shift and padding: no
    weight reaches further, whatever its value.

    The taps above can be applied to a whole row before its first position is known, and
    in sampling they are: their weights are stored in the order of that matmul, column
    by column, [k, k - 1, C, F].

    Args:
        filters: F.
        kernel: k, odd and at least 3.
        centre: Whether the own row's part is the centre instead of the left.
        gain: Of the first weights; 1 keeps the variance of the inputs.

    Raises:
        ValueError: The kernel's side is even or below 3.
    """

    def __init__(
        self,
        filters: int,
        kernel: int,
        centre: bool = False,
        gain: float = 1.0,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        if kernel < 3 or kernel % 2 == 0:
            raise ValueError(
                f"kernel is out of range: expected odd, at least 3. Received: {kernel=}"
            )
        self.filters = filters
        self.kernel = kernel
        self.centre = centre
        self.gain = gain

    def build(self, input_shape):
        """Makes the weights for the input's channels."""
        channels = input_shape[-1]
        side = self.kernel
        own_taps = 1 if self.centre else side // 2
        fan_in = channels * ((side - 1) * side + own_taps)

        def kernel_weight(name, shape):
            return self.add_weight(
                name=name,
                shape=shape,
                initializer=keras.initializers.RandomNormal(
                    stddev=self.gain / math.sqrt(fan_in)
                ),
            )

        self.above = kernel_weight("above", (side, side - 1, channels, self.filters))
        self.own_row = kernel_weight("own_row", (own_taps, channels, self.filters))
        self.bias = self.add_weight(
            name="bias", shape=(self.filters,), initializer="zeros"
        )

    def call(self, inputs):
        """Returns the filtered map, [B, H, W, F], in the inputs' type."""
        reach = self.kernel // 2
        above = tf.transpose(tf.cast(self.above.value, inputs.dtype), [1, 0, 2, 3])
        rows = tf.pad(
            inputs[:, :-1], [[0, 0], [self.kernel - 1, 0], [reach, reach], [0, 0]]
        )
        output = tf.nn.conv2d(rows, above, 1, "VALID")
        own_row = tf.cast(self.own_row.value, inputs.dtype)[None]
        own = inputs
        if not self.centre:
            own = tf.pad(inputs[:, :, :-1], [[0, 0], [0, 0], [reach, 0], [0, 0]])
        output += tf.nn.conv2d(own, own_row, 1, "VALID")
        return output + tf.cast(self.bias.value, inputs.dtype)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel": self.kernel,
            "centre": self.centre,
            "gain": self.gain,
        }
