"""Losses: of reconstructions, of the codes under a prior, and of a patch critic."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# Shapes: images and reconstructions float32 [B, H, W, C], images in [0, 1]; channel
# weights [C]; codes [B, H, W] and their logits [B, H, W, K]; logits of patches
# [B, h, w], high for patches that look real.

PYRAMID_LEVELS = 3
# The smallest side of an image for which the last level of the pyramid has neighbors.
SMALLEST_SIDE = 8
# Weights of the two finest bands relative to the squared error. With these, texture
# noise keeps more than 1/2 and 4/5 of the power of the bands.
_POWER_WEIGHTS = (2.0, 23.0)
# Side and stride of the windows of the local power, in pixels of a level.
_POWER_WINDOW = 4
_POWER_STRIDE = 2
# Keeps quotients finite where there is no texture.
_MIN_POWER = 1e-6

_BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16

ChannelWeights = Sequence[float] | None


def mean_squared_error(
    images: tf.Tensor,
    reconstruction: tf.Tensor,
    channel_weights: ChannelWeights = None,
) -> tf.Tensor:
    """Returns the mean squared error over all pixels and channels."""
    errors = tf.math.squared_difference(images, reconstruction)
    return _weighted_mean(errors, channel_weights)


def laplacian_loss(
    images: tf.Tensor,
    reconstruction: tf.Tensor,
    channel_weights: ChannelWeights = None,
) -> tf.Tensor:
    """Returns the mean absolute error of the Laplacian bands, summed over levels.

    All bands have the same weight. "Optimizing the Latent Space of Generative
    Networks", Bojanowski et al. 2018, section 3.2.
    """
    # The pyramid is linear: the bands of the difference are the differences of bands.
    bands = laplacian_bands(images - reconstruction)
    return tf.add_n([_weighted_mean(tf.abs(band), channel_weights) for band in bands])


def local_power_loss(images: tf.Tensor, reconstruction: tf.Tensor) -> tf.Tensor:
    """Returns the error of the local power of fine texture.

    This is the generalized Kullback-Leibler divergence p log(p / q) - p + q between the
    power p of an image and q of its reconstruction in small windows of a spatial
    frequency band. It is averaged over windows, and the two finest bands are added with
    weights. If q cannot depend on p, the loss is minimal where q is the mean of p, for
    any distribution of p (Banerjee et al. 2005, proposition 1). Therefore texture of
    the right power has a low loss whatever its phase, whereas a squared error of pixels
    is lower without texture.
    """
    bands, others = _fine_bands(images), _fine_bands(reconstruction)
    return tf.add_n(
        [
            weight * tf.reduce_mean(_divergence(_local_power(p), _local_power(q)))
            for weight, p, q in zip(_POWER_WEIGHTS, bands, others, strict=True)
        ]
    )


def focal_frequency_loss(
    images: tf.Tensor,
    reconstruction: tf.Tensor,
    channel_weights: ChannelWeights = None,
) -> tf.Tensor:
    """Returns the focal frequency loss, a weighted squared error of the spectrum.

    The squared error of each frequency of the orthonormal Fourier transform is weighted
    by its absolute error relative to the largest error of the same image and channel.
    No gradient flows through the weights. "Focal Frequency Loss for Image
    Reconstruction and Synthesis", Jiang et al. 2021, equations 5 to 8 with alpha = 1.
    """
    planes = tf.transpose(images - reconstruction, [0, 3, 1, 2])
    pixels = tf.cast(tf.shape(planes)[2] * tf.shape(planes)[3], tf.float32)
    spectrum = tf.signal.fft2d(tf.cast(planes, tf.complex64))
    # |spectrum| itself has no gradient at zero.
    power = tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))
    power /= pixels
    largest = tf.reduce_max(power, axis=[2, 3], keepdims=True)
    focus = tf.stop_gradient(tf.sqrt(tf.math.divide_no_nan(power, largest)))
    errors = tf.transpose(focus * power, [0, 2, 3, 1])
    return _weighted_mean(errors, channel_weights)


def laplacian_bands(images: tf.Tensor) -> list[tf.Tensor]:
    """Splits images into bands of spatial frequency, the finest first.

    The band of a level is its difference to a blurred copy. Every second pixel of that
    copy is the next level (Burt and Adelson 1983, with bands at full resolution). The
    rest after the last band is not returned.

    Args:
        images: Float32 [B, H, W, C] with sides of at least ``SMALLEST_SIDE``.

    Returns:
        ``PYRAMID_LEVELS`` bands: [B, H, W, C], [B, H / 2, W / 2, C], ...
    """
    bands = []
    level = images
    for _ in range(PYRAMID_LEVELS):
        blurred = _blur(level)
        bands.append(level - blurred)
        level = blurred[:, ::2, ::2]
    return bands


def _blur(images: tf.Tensor) -> tf.Tensor:
    """Convolves with the binomial filter of 5 x 5; borders are mirrored."""
    channels = images.shape[-1]
    taps = tf.tile(_BINOMIAL[:, None], [1, channels])
    strides = [1, 1, 1, 1]
    padded = tf.pad(images, [[0, 0], [2, 2], [2, 2], [0, 0]], "SYMMETRIC")
    rows = tf.nn.depthwise_conv2d(padded, taps[:, None, :, None], strides, "VALID")
    return tf.nn.depthwise_conv2d(rows, taps[None, :, :, None], strides, "VALID")


def _fine_bands(images: tf.Tensor) -> list[tf.Tensor]:
    """Returns a band mostly above half the Nyquist frequency, and the octave below."""
    finest, finer, *_ = laplacian_bands(images)
    return [finest - _blur(finest), finer]


def _local_power(band: tf.Tensor) -> tf.Tensor:
    return tf.nn.avg_pool2d(tf.square(band), _POWER_WINDOW, _POWER_STRIDE, "SAME")


def _divergence(p: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
    p, q = p + _MIN_POWER, q + _MIN_POWER
    return p * tf.math.log(p / q) - p + q


def _weighted_mean(errors: tf.Tensor, channel_weights: ChannelWeights) -> tf.Tensor:
    if channel_weights is not None:
        errors *= tf.constant(channel_weights, tf.float32)
    return tf.reduce_mean(errors)


def nats_map(logits: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
    """Returns -log p(code) of each code in nats, float32 [B, H, W]."""
    # The import takes seconds, and only priors need it.
    from tensorflow_probability import distributions

    return -distributions.Categorical(logits=logits).log_prob(codes)


def nats_per_code(logits: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
    """Returns the mean of -log p(code) over each map in nats, float32 [B]."""
    return tf.reduce_mean(nats_map(logits, codes), axis=[1, 2])


def to_bits(nats: Any) -> Any:
    """Converts nats to bits."""
    return nats / math.log(2)


def hinge_loss(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """Returns the loss of a critic, a float32 scalar.

    It is mean(max(0, 1 - real)) + mean(max(0, 1 + fake)): 2 if all logits are 0, and 0
    at best. "Geometric GAN", Lim and Ye 2017.
    """
    return tf.reduce_mean(tf.nn.relu(1 - real_logits)) + tf.reduce_mean(
        tf.nn.relu(1 + fake_logits)
    )


def realism_loss(fake_logits: tf.Tensor) -> tf.Tensor:
    """Returns the adversarial loss of the decoder, -mean(fake), a float32 scalar."""
    return -tf.reduce_mean(fake_logits)
