"""Cells as they could have been seen as well: turned, moved, larger, brighter."""

# Shapes: B images of H x W pixels and C channels.

import math

import tensorflow as tf

# Share of the side that a cell is moved by at most, up or down and across.
MOVED = 3 / 64
# Logarithms of the largest factors of size, and of a channel's brightness.
SCALED = 0.1
BRIGHTENED = 0.5
# Numbers that are drawn for each image, besides one for each channel.
NUM_PLACEMENTS = 4


def augmented(images: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """Turns, moves, scales and brightens images, each in its own way.

    Cells have no up, and a nucleus found otherwise would have put them elsewhere in
    their crop; stainings differ in strength. What a move uncovers is mirrored.

    Args:
        images: Float32 [B, H, W, C] in [0, 1].
        noise: Uniform in [0, 1), float32 [B, 4 + C].

    Returns:
        Float32 [B, H, W, C] in [0, 1].
    """
    height, width = images.shape[1:3]
    signs = 2 * noise - 1
    gains = tf.exp(BRIGHTENED * signs[:, NUM_PLACEMENTS:])
    images = tf.minimum(images * gains[:, None, None, :], 1.0)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=_transforms(signs, height, width),
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


def _transforms(signs: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Returns where output pixels are taken from, as TensorFlow wants it, [B, 8]."""
    angle = math.pi * signs[:, 0]
    scale = tf.exp(SCALED * signs[:, 1])
    cosine, sine = scale * tf.cos(angle), scale * tf.sin(angle)
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    moved_x, moved_y = MOVED * width * signs[:, 2], MOVED * height * signs[:, 3]
    zero = tf.zeros_like(angle)
    return tf.stack(
        [
            cosine,
            -sine,
            middle_x - cosine * middle_x + sine * middle_y + moved_x,
            sine,
            cosine,
            middle_y - sine * middle_x - cosine * middle_y + moved_y,
            zero,
            zero,
        ],
        axis=1,
    )
