"""The last touch on decoded images: sharpness, and the grain that codes cannot hold."""

import keras
import numpy as np
import tensorflow as tf

# Shapes: B images of H x W pixels, C channels; F features.


FILTER_SIZE = 5
# Of the grain's strength before softplus.
FIRST_STRENGTH = -2.0
# Keeps the root's slope finite where images are black.
LEAST_BRIGHTNESS = 1e-6


@keras.saving.register_keras_serializable("tfvqgen")
class NoiseSynthesis(keras.layers.Layer):
    """Sharpens images and adds noise of a learned local strength and texture.

    What is least in squared error is the mean of all images that a code can stand for,
    and so lacks most of their fibres, speckle and shot noise. These are drawn instead:
    filtered noise of the strength that the decoder's features tell, as film grain is
    synthesised in video decoders (Norkin and Birkbeck 2018). With m the mean and n
    noise, ``f * m + softplus(strength) sqrt(m) (g * (n A))``, where f and g are filters
    a channel of ``FILTER_SIZE`` pixels (f and g start as identities) and A mixes
    channels, whose grain may go together. The root is that of shot noise, whose
    variance is the light itself: black stays black.
    """

    def build(self, mean_shape, features_shape, noise_shape):
        """Makes the filters for the images' channels."""
        del features_shape, noise_shape
        channels = mean_shape[-1]
        taps = np.zeros([FILTER_SIZE, FILTER_SIZE, channels, 1], np.float32)
        taps[FILTER_SIZE // 2, FILTER_SIZE // 2] = 1
        identity = keras.initializers.Constant(taps)
        self.sharpening = self.add_weight(
            shape=taps.shape, initializer=identity, name="sharpening"
        )
        self.texture = self.add_weight(
            shape=taps.shape, initializer=identity, name="texture"
        )
        self.mixing = self.add_weight(
            shape=(channels, channels),
            initializer=keras.initializers.Identity(),
            name="mixing",
        )
        self.strength = keras.layers.Conv2D(
            channels,
            3,
            padding="same",
            bias_initializer=keras.initializers.Constant(FIRST_STRENGTH),
            dtype=self.dtype_policy,
        )

    def call(self, mean, features, noise):
        """Returns the finished images, float32 [B, H, W, C].

        Args:
            mean: Float32 [B, H, W, C].
            features: [B, H / 2, W / 2, F].
            noise: Standard normal, float32 [B, H, W, C].
        """
        strength = tf.math.softplus(self.strength(features))
        strength = tf.image.resize(strength, tf.shape(mean)[1:3], "bilinear")
        grain = _filtered(tf.matmul(noise, self.mixing), self.texture)
        light = tf.sqrt(tf.maximum(mean, LEAST_BRIGHTNESS))
        return _filtered(mean, self.sharpening) + strength * light * grain


def seeds_of_codes(top_codes: tf.Tensor, bottom_codes: tf.Tensor) -> tf.Tensor:
    """Returns a seed for each row that is the same whenever its codes are.

    Sums of the codes, each times a number of its place's own.

    Args:
        top_codes: int32 [B, h, w].
        bottom_codes: int32 [B, 2h, 2w].

    Returns:
        int32 [B, 2].
    """
    return tf.stack([_hashed(top_codes, 0), _hashed(bottom_codes, 1)], axis=-1)


def noise_like(images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
    """Returns standard normal noise, each row of its own seed alone.

    Args:
        images: [B, H, W, C], for its shape.
        seeds: int32 [B, 2].

    Returns:
        Float32 [B, H, W, C].
    """
    shape = tf.shape(images)[1:]

    def of_row(seed):
        return tf.random.stateless_normal(shape, seed, alg="philox")

    noise = tf.map_fn(of_row, seeds, fn_output_signature=tf.float32)
    return tf.ensure_shape(noise, images.shape)


def _hashed(codes: tf.Tensor, level: int) -> tf.Tensor:
    """Returns int32 [B]; sums overflow, as they should."""
    factors = tf.random.stateless_uniform(
        tf.shape(codes)[1:], (level, 0), minval=None, maxval=None, dtype=tf.int32
    )
    return tf.reduce_sum((codes + 1) * factors, axis=[1, 2])


def _filtered(images: tf.Tensor, taps: tf.Tensor) -> tf.Tensor:
    """Convolves each channel with its own filter, borders mirrored."""
    rim = FILTER_SIZE // 2
    padded = tf.pad(images, [[0, 0], [rim, rim], [rim, rim], [0, 0]], "SYMMETRIC")
    return tf.nn.depthwise_conv2d(padded, taps, [1, 1, 1, 1], "VALID")
