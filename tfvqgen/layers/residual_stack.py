"""Residual layers of the encoders and decoders."""

# Shapes: B images, H x W positions, C channels.

import keras


@keras.saving.register_keras_serializable("tfvqgen")
class ResidualStack(keras.layers.Layer):
    """A stack of residual layers, each relu, 3x3, relu, 1x1, added to its input.

    The form of VQ-VAE (van den Oord et al. 2017, section 4.1) and VQ-VAE-2 (Razavi et
    al. 2019, appendix A). ``[B, H, W, C] -> [B, H, W, C]``, a relu at the end.

    Args:
        num_layers: Residual layers.
        residual_width: Channels between the two convolutions of a layer.
    """

    def __init__(self, num_layers: int, residual_width: int, **kwargs):
        super().__init__(**kwargs)
        self.num_layers = num_layers
        self.residual_width = residual_width

    def build(self, input_shape):
        """Makes the convolutions for the input's channels."""
        channels = input_shape[-1]
        self._wide = []
        self._narrow = []
        shape = tuple(input_shape)
        for i in range(self.num_layers):
            wide = keras.layers.Conv2D(
                self.residual_width,
                3,
                padding="same",
                activation="relu",
                dtype=self.dtype_policy,
                name=f"conv3_{i}",
            )
            narrow = keras.layers.Conv2D(
                channels, 1, dtype=self.dtype_policy, name=f"conv1_{i}"
            )
            wide.build(shape)
            narrow.build((*shape[:-1], self.residual_width))
            self._wide.append(wide)
            self._narrow.append(narrow)

    def call(self, inputs):
        """Returns the features after all layers, [B, H, W, C]."""
        x = inputs
        for wide, narrow in zip(self._wide, self._narrow, strict=True):
            x = x + narrow(wide(keras.ops.relu(x)))
        return keras.ops.relu(x)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "num_layers": self.num_layers,
            "residual_width": self.residual_width,
        }
