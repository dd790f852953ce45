"""Causal convolution: a position reads only positions before it in raster order."""

# Shapes: B maps, H x W positions, C input channels, F filters, k side of the kernel.

import math

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tfvqgen")
class CausalConv2D(keras.layers.Layer):
    """A convolution over the rows above and a part of the own row.

    ``[B, H, W, C] -> [B, H, W, F]``. The kernel has k - 1 rows of k taps above. In the
    own row it has either the k // 2 taps to the left, so that a position reads strictly
    earlier positions, or the center only. The layer is causal by shift and padding: no
    weight reaches further, whatever its value.

    In sampling, the taps above are applied to a whole row at once. Their weights are
    stored in the order of that matrix product, column by column, [k, k - 1, C, F].

    Args:
        filters: F.
        kernel: k, odd and at least 3.
        centre: If true, the own row contributes its center instead of the left taps.
            Defaults to false.
        gain: Scale of the initial weights; 1 (the default) keeps the variance.

    Raises:
        ValueError: The kernel is even or smaller than 3.
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
        """Creates the weights for the channels of the input."""
        channels, side = input_shape[-1], self.kernel
        own_taps = 1 if self.centre else side // 2
        fan_in = channels * ((side - 1) * side + own_taps)

        def add_taps(name, *taps):
            stddev = self.gain / math.sqrt(fan_in)
            normal = keras.initializers.RandomNormal(stddev=stddev)
            shape = (*taps, channels, self.filters)
            return self.add_weight(name=name, shape=shape, initializer=normal)

        self.above = add_taps("above", side, side - 1)
        self.own_row = add_taps("own_row", own_taps)
        self.bias = self.add_weight((self.filters,), "zeros", name="bias")

    def call(self, inputs):
        """Returns the filtered map, [B, H, W, F], in the dtype of the inputs."""
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
