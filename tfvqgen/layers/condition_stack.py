"""Reads the codes of the level above for the prior of the level below."""

# Shapes: B maps, h x w codes above, 2h x 2w positions below, K codes, C channels.

import keras
import tensorflow as tf

from tfvqgen.layers.background import background
from tfvqgen.layers.residual_stack import ResidualStack


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
