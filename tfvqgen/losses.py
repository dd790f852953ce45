"""How far a reconstruction is from its image, each term a float32 scalar."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# Shapes: images and reconstructions float32 [B, H, W, C], the images in [0, 1];
# channel weights [C] say what each channel's error counts, None: 1.


PYRAMID_LEVELS = 3
# The side that the pyramid needs, so that its last level still has neighbours.
SMALLEST_SIDE = 8
# What the two finest bands count beside a squared error of pixels, so that grain keeps
# more than half of the power of the finest and four fifths of that of the second.
STRENGTH_WEIGHTS = (2.0, 23.0)
# Side and stride of the windows in which it is compared, pixels of a level.
STRENGTH_WINDOW = 4
STRENGTH_STRIDE = 2
# Keeps quotients finite where there is no texture.
LEAST_POWER = 1e-6

_BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16

ChannelWeights = Sequence[float] | None


def mean_squared_error(
    images: tf.Tensor,
    reconstruction: tf.Tensor,
    channel_weights: ChannelWeights = None,
) -> tf.Tensor:
    """Returns mean ||x - D(e)||^2 over all pixels and channels."""
    errors = tf.math.squared_difference(images, reconstruction)
    return _weighted_mean(errors, channel_weights)


def laplacian_loss(
    images: tf.Tensor,
    reconstruction: tf.Tensor,
    channel_weights: ChannelWeights = None,
) -> tf.Tensor:
    """Returns the mean absolute error of the Laplacian bands, summed over levels.

    Each band counts the same however few pixels it has. "Optimizing the Latent Space of
    Generative Networks", Bojanowski et al. 2018, section 3.2.
    """
    # The pyramid is linear: the difference's bands are the bands' differences.
    bands = laplacian_bands(images - reconstruction)
    return tf.add_n([_weighted_mean(tf.abs(band), channel_weights) for band in bands])


def local_power_loss(images: tf.Tensor, reconstruction: tf.Tensor) -> tf.Tensor:
    """Returns how far the local strength of fine texture is off.

    The generalised Kullback-Leibler divergence p log(p / q) - p + q between the powers
    of a band of spatial frequency in windows of ``STRENGTH_WINDOW`` pixels, p of the
    image and q of its reconstruction; the mean over windows, summed over the two finest
    bands with ``STRENGTH_WEIGHTS``. Of all q that do not know p it is least at the mean
    of p, whatever their scatter (Banerjee et al. 2005, proposition 1): grain of the
    right strength costs little, whatever its phase, where a squared error of pixels
    would rather have none.
    """
    bands, others = _fine_bands(images), _fine_bands(reconstruction)
    return tf.add_n(
        [
            weight * tf.reduce_mean(_divergence(_local_power(p), _local_power(q)))
            for weight, p, q in zip(STRENGTH_WEIGHTS, bands, others, strict=True)
        ]
    )


def focal_frequency_loss(
    images: tf.Tensor,
    reconstruction: tf.Tensor,
    channel_weights: ChannelWeights = None,
) -> tf.Tensor:
    """Returns the mean squared error of the spectrum, what is off the most foremost.

    Of an image's orthonormal Fourier transform, each frequency's squared error is
    weighted by its own absolute error over the largest of its image and channel; no
    gradient flows through the weights. "Focal Frequency Loss for Image Reconstruction
    and Synthesis", Jiang et al. 2021, equations 5 to 8 with alpha = 1.
    """
    planes = tf.transpose(images - reconstruction, [0, 3, 1, 2])
    pixels = tf.cast(tf.shape(planes)[2] * tf.shape(planes)[3], tf.float32)
    spectrum = tf.signal.fft2d(tf.cast(planes, tf.complex64))
    # Not |spectrum|, which has no gradient where it is zero.
    power = tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))
    power /= pixels
    largest = tf.reduce_max(power, axis=[2, 3], keepdims=True)
    focus = tf.stop_gradient(tf.sqrt(tf.math.divide_no_nan(power, largest)))
    errors = tf.transpose(focus * power, [0, 2, 3, 1])
    return _weighted_mean(errors, channel_weights)


def laplacian_bands(images: tf.Tensor) -> list[tf.Tensor]:
    """Splits images into bands of spatial frequency, the finest first.

    A level's band is what its blurred copy lacks; every second pixel of that copy is
    the next level (Burt and Adelson 1983, with the band at full resolution). What is
    coarser than the last band is left out.

    Args:
        images: Float32 [B, H, W, C], sides of at least ``SMALLEST_SIDE``.

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
    """Convolves with the binomial filter of 5 x 5, borders mirrored."""
    channels = images.shape[-1]
    taps = tf.tile(_BINOMIAL[:, None], [1, channels])
    strides = [1, 1, 1, 1]
    padded = tf.pad(images, [[0, 0], [2, 2], [2, 2], [0, 0]], "SYMMETRIC")
    rows = tf.nn.depthwise_conv2d(padded, taps[:, None, :, None], strides, "VALID")
    return tf.nn.depthwise_conv2d(rows, taps[None, :, :, None], strides, "VALID")


def _fine_bands(images: tf.Tensor) -> list[tf.Tensor]:
    """Returns what lies mostly above half of Nyquist, and the octave below."""
    finest, finer, *_ = laplacian_bands(images)
    return [finest - _blur(finest), finer]


def _local_power(band: tf.Tensor) -> tf.Tensor:
    return tf.nn.avg_pool2d(tf.square(band), STRENGTH_WINDOW, STRENGTH_STRIDE, "SAME")


def _divergence(p: tf.Tensor, q: tf.Tensor) -> tf.Tensor:
    p, q = p + LEAST_POWER, q + LEAST_POWER
    return p * tf.math.log(p / q) - p + q


def _weighted_mean(errors: tf.Tensor, channel_weights: ChannelWeights) -> tf.Tensor:
    if channel_weights is not None:
        errors *= tf.constant(channel_weights, tf.float32)
    return tf.reduce_mean(errors)


# Shapes: codes [B, H, W], their logits [B, H, W, K].


def map_distribution(logits: tf.Tensor) -> Any:
    """Returns the distribution of whole code maps, a TensorFlow Probability object.

    Given the codes before it, each code is a draw of its own: ``log_prob(codes)`` is
    the log likelihood of a map, float32 [B], in nats.

    Args:
        logits: Float32 [B, H, W, K].
    """
    return _probability().Independent(_by_position(logits), 2)


def nats_map(logits: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
    """Returns what each code costs, -log p(code) in nats, float32 [B, H, W]."""
    return -_by_position(logits).log_prob(codes)


def nats_per_code(logits: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
    """Returns what the codes of each map cost on average, in nats, float32 [B]."""
    positions = tf.cast(tf.reduce_prod(tf.shape(logits)[1:3]), tf.float32)
    return -map_distribution(logits).log_prob(codes) / positions


def entropy_map(logits: tf.Tensor) -> tf.Tensor:
    """Returns what each code may be expected to cost, in nats, float32 [B, H, W]."""
    return _by_position(logits).entropy()


def to_bits(nats: Any) -> Any:
    """Turns nats into bits."""
    return nats / math.log(2)


def _by_position(logits):
    return _probability().Categorical(logits=logits)


def _probability():
    # Takes seconds to import, and only priors need it.
    import tensorflow_probability

    return tensorflow_probability.distributions


# Shapes: logits of patches [B, h, w], high where the critic takes them for real.


def hinge_loss(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """Returns what a critic minimises, float32 scalar: 2 if it says nothing, 0 at best.

    mean(max(0, 1 - real)) + mean(max(0, 1 + fake)); "Geometric GAN", Lim and Ye 2017.
    """
    return tf.reduce_mean(tf.nn.relu(1 - real_logits)) + tf.reduce_mean(
        tf.nn.relu(1 + fake_logits)
    )


def realism_loss(fake_logits: tf.Tensor) -> tf.Tensor:
    """Returns what the critic's opponent minimises, -mean(fake), float32 scalar."""
    return -tf.reduce_mean(fake_logits)
