"""The convolutional encoder and decoder of one level."""

import math
from typing import NamedTuple

import keras
import tensorflow as tf

from tfvqgen.layers.residual_stack import ResidualStack

# Shapes: B images, H x W positions, C channels, F features, S the stride.


@keras.saving.register_keras_serializable("tfvqgen")
class Encoder(keras.layers.Layer):
    """Strided 4x4 convolutions, a 3x3 one and a residual stack, with a shortcut.

    ``[B, H, W, C] -> [B, H / S, W / S, hidden]``. With S = 4, for example,
    [16, 128, 128, 4] becomes [16, 32, 32, 128]. VQ-VAE-2 (Razavi et al. 2019). The
    shortcut is a learned linear map of each S x S block of inputs, as in the residual
    autoencoding of DC-AE ("Deep Compression Autoencoder", Chen et al. 2024, section
    3.2), but over the whole stack: the network can use a linear code from its first
    steps on.

    Args:
        hidden: Channels of the output; the first convolution has half as many.
        stride: S, a power of two.
        residual_layers: Number of layers of the residual stack.
        residual_width: Channels inside a residual layer.
    """

    def __init__(
        self,
        hidden: int,
        stride: int,
        residual_layers: int,
        residual_width: int,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.stride = stride
        dtype = self.dtype_policy
        widths = [hidden // 2] + [hidden] * (int(math.log2(stride)) - 1)
        halving = {"strides": 2, "padding": "same", "activation": "relu"}
        self._layers_in_order = [
            *(keras.layers.Conv2D(x, 4, dtype=dtype, **halving) for x in widths),
            keras.layers.Conv2D(hidden, 3, padding="same", dtype=dtype),
            ResidualStack(residual_layers, residual_width, dtype=dtype),
        ]
        self._shortcut = keras.layers.Conv2D(hidden, 1, use_bias=False, dtype=dtype)

    def call(self, inputs):
        """Returns features, [B, H / S, W / S, hidden]."""
        x = inputs
        for layer in self._layers_in_order:
            x = layer(x)
        return x + self._shortcut(tf.nn.space_to_depth(inputs, self.stride))


class Decoded(NamedTuple):
    """The result of a :class:`Decoder`.

    Attributes:
        output: [B, S H, S W, channels].
        features: Input of the last convolution, [B, S H / 2, S W / 2, F].
    """

    output: tf.Tensor
    features: tf.Tensor


@keras.saving.register_keras_serializable("tfvqgen")
class Decoder(keras.layers.Layer):
    """A 3x3 convolution, a residual stack and strided transposed 4x4 convolutions.

    ``[B, H, W, C] -> [B, S H, S W, channels]``. With S = 4, for example,
    [16, 32, 32, 128] becomes [16, 128, 128, 4]. VQ-VAE-2 (Razavi et al. 2019). A linear
    map of each position to its S x S block of outputs is added, as in :class:`Encoder`.

    Args:
        channels: Channels of the output.
        hidden: Channels of the convolutions; the last but one has half as many.
        stride: S, a power of two.
        residual_layers: Number of layers of the residual stack.
        residual_width: Channels inside a residual layer.
    """

    def __init__(
        self,
        channels: int,
        hidden: int,
        stride: int,
        residual_layers: int,
        residual_width: int,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.stride = stride
        dtype = self.dtype_policy
        doublings = int(math.log2(stride))
        widths = ([hidden] * (doublings - 2) + [hidden // 2])[: doublings - 1]
        doubling = {"strides": 2, "padding": "same", "dtype": dtype}
        self._layers_in_order = [
            keras.layers.Conv2D(hidden, 3, padding="same", dtype=dtype),
            ResidualStack(residual_layers, residual_width, dtype=dtype),
            *(
                keras.layers.Conv2DTranspose(x, 4, activation="relu", **doubling)
                for x in widths
            ),
            keras.layers.Conv2DTranspose(channels, 4, **doubling),
        ]
        self._shortcut = keras.layers.Conv2D(
            channels * stride**2, 1, use_bias=False, dtype=dtype
        )

    def call(self, inputs) -> Decoded:
        """Returns the output and the features before it; see :class:`Decoded`."""
        features = inputs
        for layer in self._layers_in_order[:-1]:
            features = layer(features)
        output = self._layers_in_order[-1](features)
        blocks = tf.nn.depth_to_space(self._shortcut(inputs), self.stride)
        return Decoded(output + blocks, features)
