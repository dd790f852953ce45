"""Sharpens decoded images and adds the texture noise that codes cannot represent."""

# Shapes: B images of H x W pixels, C channels; F features; h x w top codes, 2h x 2w
# bottom codes.

import keras
import numpy as np
import tensorflow as tf

_FILTER_SIZE = 5
# Initial noise amplitude, before softplus.
_INITIAL_AMPLITUDE = -2.0
# Keeps the gradient of the square root finite where images are black.
_MIN_BRIGHTNESS = 1e-6


@keras.saving.register_keras_serializable("tfvqgen")
class NoiseSynthesis(keras.layers.Layer):
    """Sharpens images and adds noise with a learned local amplitude and texture.

    The reconstruction with the least squared error is the mean of all images that share
    the codes, and thus lacks most of their fibers, speckle and shot noise. This layer
    samples them: it adds filtered noise, whose amplitude is computed from the features
    of the decoder, as film grain is synthesized in video decoders (Norkin and Birkbeck
    2018). With the mean m and noise n the result is
    ``f * m + softplus(amplitude) sqrt(m) (g * (n A))``. The filters f and g have
    5 x 5 pixels for each channel and start as identities; A mixes the noise of the
    channels. The square root models shot noise, whose variance is proportional to the
    signal, so that black stays black.
    """

    def build(self, mean_shape, features_shape, noise_shape):
        """Creates the filters for the channels of the images."""
        del features_shape, noise_shape
        channels = mean_shape[-1]
        taps = np.zeros([_FILTER_SIZE, _FILTER_SIZE, channels, 1], np.float32)
        taps[_FILTER_SIZE // 2, _FILTER_SIZE // 2] = 1
        identity = keras.initializers.Constant(taps)
        self.sharpening = self.add_weight(taps.shape, identity, name="sharpening")
        self.texture = self.add_weight(taps.shape, identity, name="texture")
        identity = keras.initializers.Identity()
        self.mixing = self.add_weight((channels, channels), identity, name="mixing")
        self.strength = keras.layers.Conv2D(
            channels,
            3,
            padding="same",
            bias_initializer=keras.initializers.Constant(_INITIAL_AMPLITUDE),
            dtype=self.dtype_policy,
        )

    def call(self, mean, features, noise):
        """Returns the finished images, float32 [B, H, W, C].

        Args:
            mean: Float32 [B, H, W, C].
            features: Features of the decoder, [B, H / 2, W / 2, F].
            noise: Standard normal noise, float32 [B, H, W, C].
        """
        amplitude = tf.math.softplus(self.strength(features))
        amplitude = tf.image.resize(amplitude, tf.shape(mean)[1:3], "bilinear")
        texture = _filter(tf.matmul(noise, self.mixing), self.texture)
        brightness = tf.sqrt(tf.maximum(mean, _MIN_BRIGHTNESS))
        return _filter(mean, self.sharpening) + amplitude * brightness * texture


def seeds_of_codes(top_codes: tf.Tensor, bottom_codes: tf.Tensor) -> tf.Tensor:
    """Returns a hash of the codes of each row, so that equal codes have equal noise.

    int32 [B, h, w] and [B, 2h, 2w] -> int32 [B, 2].
    """
    return tf.stack([_hash(top_codes, 0), _hash(bottom_codes, 1)], axis=-1)


def noise_like(images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
    """Returns standard normal noise in which each row depends only on its own seed.

    The seeds are int32 [B, 2]. Of the images, [B, H, W, C], only the shape is used.
    """
    shape = tf.shape(images)[1:]
    noise = tf.map_fn(
        lambda seed: tf.random.stateless_normal(shape, seed, alg="philox"),
        seeds,
        fn_output_signature=tf.float32,
    )
    return tf.ensure_shape(noise, images.shape)


def _hash(codes: tf.Tensor, level: int) -> tf.Tensor:
    """Returns int32 [B]: sums of codes times random factors, which may overflow."""
    factors = tf.random.stateless_uniform(
        tf.shape(codes)[1:], (level, 0), minval=None, maxval=None, dtype=tf.int32
    )
    return tf.reduce_sum((codes + 1) * factors, axis=[1, 2])


def _filter(images: tf.Tensor, taps: tf.Tensor) -> tf.Tensor:
    """Convolves each channel with its own filter; borders are mirrored."""
    border = _FILTER_SIZE // 2
    paddings = [[0, 0], [border, border], [border, border], [0, 0]]
    padded = tf.pad(images, paddings, "SYMMETRIC")
    return tf.nn.depthwise_conv2d(padded, taps, [1, 1, 1, 1], "VALID")
