"""Residual layers of the encoders and decoders, and of the condition of a prior."""

# Shapes: B images or maps, H x W positions, C channels; h x w codes of the condition, K
# codes.

import keras
import tensorflow as tf

from tfvqgen.layers.causal_attention import position_features


@keras.saving.register_keras_serializable("tfvqgen")
class ResidualStack(keras.layers.Layer):
    """A stack of residual layers: ReLU, 3x3, ReLU and 1x1, added to their input.

    As in VQ-VAE (van den Oord et al. 2017, section 4.1) and VQ-VAE-2 (Razavi et al.
    2019, appendix A). ``[B, H, W, C] -> [B, H, W, C]``, with a ReLU at the end.

    Args:
        num_layers: Number of residual layers.
        residual_width: Channels between the two convolutions of a layer.
    """

    def __init__(self, num_layers: int, residual_width: int, **kwargs):
        super().__init__(**kwargs)
        self.num_layers = num_layers
        self.residual_width = residual_width

    def build(self, input_shape):
        """Creates the convolutions for the channels of the input."""
        shape, dtype = tuple(input_shape), self.dtype_policy
        self._wide, self._narrow = [], []
        for i in range(self.num_layers):
            settings = {"padding": "same", "activation": "relu", "dtype": dtype}
            wide = keras.layers.Conv2D(
                self.residual_width, 3, name=f"conv3_{i}", **settings
            )
            narrow = keras.layers.Conv2D(shape[-1], 1, dtype=dtype, name=f"conv1_{i}")
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


@keras.saving.register_keras_serializable("tfvqgen")
class ConditionStack(keras.layers.Layer):
    """Embeds the codes of the level above and upsamples their features.

    int [B, h, w] -> float32 [B, 2h, 2w, C]. The arithmetic is float32 in training too,
    because this is the smaller map.

    Args:
        num_embeddings: K.
        width: C.
        num_layers: Number of residual layers.
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
        """Creates the weights."""
        height, width = input_shape[1:3]
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.num_embeddings, self.width),
            initializer=keras.initializers.RandomNormal(stddev=1.0),
        )
        features = (None, height, width, self.width)
        self.background = keras.layers.Dense(self.width, name="background")
        self.background.build(position_features(height, width).shape)
        self.stack = ResidualStack(self.num_layers, self.residual_width, name="stack")
        self.stack.build(features)
        self.upsampling = keras.layers.Conv2DTranspose(
            self.width, 4, strides=2, padding="same", name="upsampling"
        )
        self.upsampling.build(features)

    def call(self, codes):
        """Returns features of each position of the level below, [B, 2h, 2w, C]."""
        x = tf.gather(tf.convert_to_tensor(self.embeddings), codes)
        x += self.background(position_features(*codes.shape[1:3]))
        return self.upsampling(self.stack(x))
