"""A critic that tells real patches from reconstructed ones."""

# Shapes: B images of H x W pixels, C channels; h x w patches.

from collections.abc import Sequence

import keras
import tensorflow as tf

KERNEL = 4
# Of the leaky ReLU, as usual for critics.
SLOPE = 0.2
CONTRAST = 4.0


class PatchCritic(keras.Model):
    """Strided 4x4 convolutions with leaky ReLU, then a 4x4 one to a logit a patch.

    The discriminator of "Image-to-Image Translation with Conditional Adversarial
    Networks" (Isola et al. 2017, appendix 6.1.2) without its normalization, which would
    tie the images of a batch, and so those of replicas, together. With three strided
    convolutions a logit sees 46 x 46 pixels, and [16, 128, 128, 4] becomes
    [16, 16, 16]. Fully convolutional: any size.

    Args:
        channels: C.
        widths: Channels of the strided convolutions, one after the other.
        precision: ``float32`` or ``bfloat16``, the arithmetic of the layers.
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int] = (32, 64, 128),
        precision: str = "float32",
        **kwargs,
    ):
        policy = "mixed_bfloat16" if precision == "bfloat16" else "float32"
        super().__init__(dtype=policy, autocast=False, **kwargs)
        self.channels = channels
        self.widths = tuple(widths)
        self.precision = precision
        self._convolutions = [
            keras.layers.Conv2D(width, KERNEL, strides=2, padding="same", dtype=policy)
            for width in self.widths
        ]
        self._logits = keras.layers.Conv2D(1, KERNEL, padding="same", dtype=policy)

    def build(self, input_shape=None):
        """Makes every weight by one pass over an empty image."""
        del input_shape
        if not self.built:
            self.built = True
            self(tf.zeros([1, KERNEL, KERNEL, self.channels]))

    def call(self, images):
        """Returns how real each patch looks, logits float32 [B, h, w].

        Args:
            images: Float32 [B, H, W, C], [0, 1] and somewhat beyond.
        """
        # Cells are dim on a dark background: most values lie well below a half.
        x = tf.cast(CONTRAST * images, self.compute_dtype)
        for convolution in self._convolutions:
            x = tf.nn.leaky_relu(convolution(x), SLOPE)
        return tf.cast(self._logits(x)[..., 0], tf.float32)
