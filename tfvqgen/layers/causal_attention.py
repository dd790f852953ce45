"""Where a position is on its map, as features."""

import math

import keras
import numpy as np
import tensorflow as tf

from tfvqgen.layers.gated_units import add_kernel, matmul

# Shapes: H x W positions, G features.


OCTAVES = 3


def background(height: int, width: int) -> np.ndarray:
    """Returns coordinates of every position, float32 [H, W, G].

    Row and column run from -1 to 1; beside them stand sines and cosines of half a
    period over the map, one, two, so that a linear function of the features can tell
    the centre from the rim. A side of one position is at 0.
    """
    features = []
    for side, axis in ((height, 0), (width, 1)):
        line = np.linspace(-1, 1, side) if side > 1 else np.zeros(1)
        waves = [line]
        for octave in range(OCTAVES):
            angle = np.pi / 2 * 2**octave * line
            waves += [np.sin(angle), np.cos(angle)]
        grid = np.stack(waves, axis=-1)
        grid = grid[:, None] if axis == 0 else grid[None]
        features.append(np.broadcast_to(grid, (height, width, grid.shape[-1])))
    return np.concatenate(features, axis=-1).astype(np.float32)


# Shapes: B maps, N = H * W positions in raster order, C channels, G background; h heads
# with keys of length d and values of length v.


# A score that leaves exp() nothing, and still is a finite number.
MASKED = -1e9


@keras.saving.register_keras_serializable("tfvqgen")
class CausalAttention(keras.layers.Layer):
    """Attention whose keys lie strictly before the query.

    A query reads features and the background of its position; a key and its value read
    features, the position's own code and the background (PixelSNAIL, Chen et al. 2017,
    section 3). A learned start key stands before all positions: the first one attends
    to it alone, and any other may, where nothing is worth attending to.

    Args:
        heads: h.
        key_dim: d, of a head.
        value_dim: v, of a head.
    """

    def __init__(self, heads: int, key_dim: int, value_dim: int, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.heads = heads
        self.key_dim = key_dim
        self.value_dim = value_dim

    def build(self, asking_shape, x_shape=None, own_shape=None, background_shape=None):
        """Makes the weights for the inputs' channels."""
        channels, features = x_shape[-1], background_shape[-1]
        keys, values = self.heads * self.key_dim, self.heads * self.value_dim
        for name, size in (("query", keys), ("key", keys), ("value", values)):
            setattr(self, f"{name}_kernel", add_kernel(self, name, channels, size))
            setattr(
                self,
                f"{name}_background",
                add_kernel(self, f"{name}_background", features, size, gain=0.5),
            )
        normal = keras.initializers.RandomNormal(stddev=1.0)
        self.start_key = self.add_weight(
            name="start_key", shape=(keys,), initializer=normal
        )
        self.start_value = self.add_weight(
            name="start_value", shape=(values,), initializer=normal
        )

    def call(self, asking, x, own, background):
        """Returns what each position found, [B, H, W, h * v], in the type of x.

        Args:
            asking: Features that queries are made of, [B, H, W, C].
            x: Features that keys and values are made of, [B, H, W, C].
            own: The positions' own codes, embedded, [B, H, W, C].
            background: [H, W, G].
        """
        height, width = x.shape[1:3]
        before, through = tf.nn.elu(asking), tf.nn.elu(x + own)
        queries, keys, values = (
            matmul(source, getattr(self, f"{name}_kernel"))
            + matmul(background, getattr(self, f"{name}_background"))
            for name, source in (
                ("query", before),
                ("key", through),
                ("value", through),
            )
        )
        queries = self._by_head(queries * self.key_dim**-0.5)
        keys = self._by_head(_shifted(keys, self.start_key))
        values = self._by_head(_shifted(values, self.start_value))
        # Probabilities of half precision would not add up to one.
        scores = tf.cast(tf.matmul(queries, keys, transpose_b=True), tf.float32)
        causal = tf.linalg.band_part(tf.ones([height * width] * 2, tf.bool), -1, 0)
        shares = tf.nn.softmax(tf.where(causal, scores, MASKED))
        found = tf.matmul(tf.cast(shares, values.dtype), values)
        found = tf.transpose(found, [0, 2, 1, 3])
        return tf.reshape(found, [-1, height, width, self.heads * self.value_dim])

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "heads": self.heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
        }

    def _by_head(self, x):
        """[B, N or H, W, h * d] -> [B, h, N, d]."""
        length = math.prod(x.shape[1:-1])
        x = tf.reshape(x, [-1, length, self.heads, x.shape[-1] // self.heads])
        return tf.transpose(x, [0, 2, 1, 3])


def _shifted(x, start):
    """Puts the start before the first position and drops the last, -> [B, N, C]."""
    x = tf.reshape(x, [-1, x.shape[1] * x.shape[2], x.shape[3]])
    start = tf.cast(start.value, x.dtype)
    first = tf.broadcast_to(start, [tf.shape(x)[0], 1, x.shape[-1]])
    return tf.concat([first, x[:, :-1]], axis=1)
