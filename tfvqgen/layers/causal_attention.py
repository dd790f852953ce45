"""Causal attention over the positions of a map, and features of the positions."""

# Shapes: B maps, H x W positions, N = H * W in raster order, C channels, G position
# features; h heads with keys of length d and values of length v.

import math

import keras
import numpy as np
import tensorflow as tf

from tfvqgen.layers.gated_units import add_kernel, matmul

_OCTAVES = 3
# Added to masked scores. exp() of it is 0, and it is a finite number.
MASKED = -1e9


def position_features(height: int, width: int) -> np.ndarray:
    """Returns features of every position, float32 [H, W, G].

    For row and column these are a coordinate from -1 to 1 and its sines and cosines,
    with half a period, one period and two periods over the map, so that a linear
    function of the features can tell the center from the border. The coordinate is 0 if
    there is only one row or column.
    """
    features = []
    for side, axis in ((height, 0), (width, 1)):
        line = np.linspace(-1, 1, side) if side > 1 else np.zeros(1)
        waves = [line]
        for octave in range(_OCTAVES):
            angle = np.pi / 2 * 2**octave * line
            waves += [np.sin(angle), np.cos(angle)]
        grid = np.stack(waves, axis=-1)
        grid = grid[:, None] if axis == 0 else grid[None]
        features.append(np.broadcast_to(grid, (height, width, grid.shape[-1])))
    return np.concatenate(features, axis=-1).astype(np.float32)


@keras.saving.register_keras_serializable("tfvqgen")
class CausalAttention(keras.layers.Layer):
    """Multi-head attention in which a query sees strictly earlier positions only.

    Queries are computed from features and position features; keys and values from
    features, the code of their own position and position features (PixelSNAIL, Chen et
    al. 2017, section 3). A learned start key precedes all positions: it is the only key
    of the first position, and other positions can attend to it as well.

    Args:
        heads: h.
        key_dim: d, length of a key of one head.
        value_dim: v, length of a value of one head.
    """

    def __init__(self, heads: int, key_dim: int, value_dim: int, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.heads = heads
        self.key_dim = key_dim
        self.value_dim = value_dim

    def build(
        self, query_features_shape, x_shape=None, own_shape=None, positions_shape=None
    ):
        """Creates the weights for the channels of the inputs."""
        channels, features = x_shape[-1], positions_shape[-1]
        keys, values = self.heads * self.key_dim, self.heads * self.value_dim
        for name, size in (("query", keys), ("key", keys), ("value", values)):
            setattr(self, f"{name}_kernel", add_kernel(self, name, channels, size))
            background = f"{name}_background"
            kernel = add_kernel(self, background, features, size, gain=0.5)
            setattr(self, background, kernel)
        normal = keras.initializers.RandomNormal(stddev=1.0)
        self.start_key = self.add_weight((keys,), normal, name="start_key")
        self.start_value = self.add_weight((values,), normal, name="start_value")

    def call(self, query_features, x, own, positions):
        """Returns the attended values, [B, H, W, h * v], in the dtype of x.

        Args:
            query_features: Features for the queries, [B, H, W, C].
            x: Features for keys and values, [B, H, W, C].
            own: Embedded codes of the positions, [B, H, W, C].
            positions: Position features, [H, W, G].
        """
        height, width = x.shape[1:3]

        def project(source, name):
            terms = matmul(source, getattr(self, f"{name}_kernel"))
            return terms + matmul(positions, getattr(self, f"{name}_background"))

        completed = tf.nn.elu(x + own)
        queries = project(tf.nn.elu(query_features), "query")
        queries = self._split_heads(queries * self.key_dim**-0.5)
        keys = _shift(project(completed, "key"), self.start_key)
        values = _shift(project(completed, "value"), self.start_value)
        keys, values = self._split_heads(keys), self._split_heads(values)
        # Probabilities in half precision would not add up to one.
        scores = tf.cast(tf.matmul(queries, keys, transpose_b=True), tf.float32)
        causal = tf.linalg.band_part(tf.ones([height * width] * 2, tf.bool), -1, 0)
        weights = tf.nn.softmax(tf.where(causal, scores, MASKED))
        attended = tf.matmul(tf.cast(weights, values.dtype), values)
        attended = tf.transpose(attended, [0, 2, 1, 3])
        return tf.reshape(attended, [-1, height, width, self.heads * self.value_dim])

    def _split_heads(self, x):
        """[B, N or H, W, h * d] -> [B, h, N, d]."""
        length = math.prod(x.shape[1:-1])
        x = tf.reshape(x, [-1, length, self.heads, x.shape[-1] // self.heads])
        return tf.transpose(x, [0, 2, 1, 3])


def _shift(x, start):
    """Inserts the start before the first position and drops the last, -> [B, N, C]."""
    x = tf.reshape(x, [-1, x.shape[1] * x.shape[2], x.shape[3]])
    start = tf.cast(start.value, x.dtype)
    first = tf.broadcast_to(start, [tf.shape(x)[0], 1, x.shape[-1]])
    return tf.concat([first, x[:, :-1]], axis=1)
