"""Residual layers of the encoders and decoders."""

import keras
import tensorflow as tf

from tfvqgen.layers.causal_attention import background

# Shapes: B images, H x W positions, C channels.


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


# Shapes: B maps, h x w codes above, 2h x 2w positions below, K codes, C channels.


@keras.saving.register_keras_serializable("tfvqgen")
class ConditionStack(keras.layers.Layer):
    """Embeds a code map, lets residual layers look around on it, and doubles its side.

    int [B, h, w] -> [B, 2h, 2w, C]. Arithmetic is float32: this is the smaller map.

    Args:
        num_embeddings: K.
        width: C.
        num_layers: Residual layers.
        residual_width: Channels inside a residual layer.
    """

    def __init__(
        self,
        num_embeddings: int,
        width: int,
        num_layers: int,
        residual_width: int,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.num_embeddings = num_embeddings
        self.width = width
        self.num_layers = num_layers
        self.residual_width = residual_width

    def build(self, input_shape):
        """Makes the weights."""
        height, width = input_shape[1:3]
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.num_embeddings, self.width),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
        )
        features = (None, height, width, self.width)
        self.background = keras.layers.Dense(self.width, name="background")
        self.background.build(background(height, width).shape)
        self.stack = ResidualStack(self.num_layers, self.residual_width, name="stack")
        self.stack.build(features)
        self.upsampling = keras.layers.Conv2DTranspose(
            self.width, 4, strides=2, padding="same", name="upsampling"
        )
        self.upsampling.build(features)

    def call(self, codes):
        """Returns features for each position below, float32 [B, 2h, 2w, C]."""
        x = tf.gather(tf.convert_to_tensor(self.embeddings), codes)
        x += self.background(background(*codes.shape[1:3]))
        return self.upsampling(self.stack(x))

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "num_embeddings": self.num_embeddings,
            "width": self.width,
            "num_layers": self.num_layers,
            "residual_width": self.residual_width,
        }
