"""The convolutional encoder of one level."""

# Shapes: B images, H x W positions, C channels, S the stride.

import math

import keras
import tensorflow as tf

from tfvqgen.layers.residual_stack import ResidualStack


@keras.saving.register_keras_serializable("tfvqgen")
class Encoder(keras.layers.Layer):
    """Strided 4x4 convolutions, a 3x3 one and a residual stack, beside a shortcut.

    ``[B, H, W, C] -> [B, H / S, W / S, hidden]``; with S = 4, for example,
    [16, 128, 128, 4] becomes [16, 32, 32, 128]. VQ-VAE-2 (Razavi et al. 2019). The
    shortcut is a linear map of each S x S block of inputs, as the residual
    autoencoding of DC-AE ("Deep Compression Autoencoder", Chen et al. 2024, section
    3.2), learned and over the whole stack: what a linear code can say, the network
    says from its first steps on.

    Args:
        hidden: Channels of the output; the first convolution has half of them.
        stride: S, a power of two.
        residual_layers: Layers of the residual stack.
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
        self.hidden = hidden
        self.stride = stride
        self.residual_layers = residual_layers
        self.residual_width = residual_width
        halvings = int(math.log2(stride))
        widths = [hidden // 2] + [hidden] * (halvings - 1)
        self._layers_in_order = [
            keras.layers.Conv2D(
                width,
                4,
                strides=2,
                padding="same",
                activation="relu",
                dtype=self.dtype_policy,
            )
            for width in widths
        ]
        self._layers_in_order += [
            keras.layers.Conv2D(hidden, 3, padding="same", dtype=self.dtype_policy),
            ResidualStack(residual_layers, residual_width, dtype=self.dtype_policy),
        ]
        self._shortcut = keras.layers.Conv2D(
            hidden, 1, use_bias=False, dtype=self.dtype_policy
        )

    def call(self, inputs):
        """Returns features, [B, H / S, W / S, hidden]."""
        x = inputs
        for layer in self._layers_in_order:
            x = layer(x)
        return x + self._shortcut(tf.nn.space_to_depth(inputs, self.stride))

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "hidden": self.hidden,
            "stride": self.stride,
            "residual_layers": self.residual_layers,
            "residual_width": self.residual_width,
        }
