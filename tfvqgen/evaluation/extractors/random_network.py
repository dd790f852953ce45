"""The control among extractors: a convolutional network that has learnt nothing."""

# Shapes: B images of H x W pixels and C channels; F features.

import numpy as np
import tensorflow as tf

from tfvqgen.data.schema import to_unit

_WIDTHS = (32, 64, 128)
_KERNEL = 3
_SEED = 0


class RandomNetwork:
    """Convolutions with random weights, which are the same everywhere and always.

    Three 3 x 3 convolutions with ReLU, each followed by a mean over 2 x 2 pixels. The
    features are the means of each layer's maps over the image, so that both fine
    structure and coarse count. Where another extractor finds a difference that this one
    does not, that one has learnt to look for it; and the other way round it has learnt
    to overlook one.

    Args:
        channels: C of the images.
    """

    name = "random"
    size = sum(_WIDTHS)

    def __init__(self, channels: int):
        rng = np.random.default_rng(_SEED)
        widths = (channels, *_WIDTHS)
        self._kernels = []
        for inputs, outputs in zip(widths, _WIDTHS, strict=False):
            # He et al. 2015: layers keep the scale of what they are given.
            scale = np.sqrt(2 / (_KERNEL**2 * inputs))
            kernel = rng.normal(0, scale, (_KERNEL, _KERNEL, inputs, outputs))
            self._kernels.append(tf.constant(kernel, tf.float32))
        self._graph = tf.function(self._means, autograph=False, reduce_retracing=True)

    def features(self, images: np.ndarray) -> np.ndarray:
        """Returns the means of all layers' maps, float32 [B, F].

        Args:
            images: uint8 or uint16 [B, H, W, C].
        """
        return self._graph(tf.convert_to_tensor(images)).numpy()

    def _means(self, images):
        maps, means = to_unit(images), []
        for kernel in self._kernels:
            maps = tf.nn.relu(tf.nn.conv2d(maps, kernel, 1, "SAME"))
            means.append(tf.reduce_mean(maps, axis=[1, 2]))
            maps = tf.nn.avg_pool2d(maps, 2, 2, "SAME")
        return tf.concat(means, axis=-1)
