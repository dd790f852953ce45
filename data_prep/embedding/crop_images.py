"""Chosen channels of a folder's crops, read in graph and reduced to one size.

Shapes: N crops, S x S pixels, C chosen channels.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfvqgen.data.crops import Crop, CropFolder
from tfvqgen.data.images import (
    CHANNEL_PLACEHOLDER,
    MAX_SIDE,
    channel_paths,
    png_header,
    read_image,
)
from tfvqgen.errors import DataError, UserError

# Bit depth and colour type, within the 13 bytes of png_header and within a file.
_KIND = slice(8, 10)
_KIND_AT = 24
_SIDES_AT = 16


class CropImages:
    """The images of a folder's crops, each known by the number of its row.

    Args:
        folder: The crops.
        channels: Names of the C channels to read, in this order.
        size: S, the side that crops are reduced to, by the mean over the area.

    Raises:
        UserError: There is no such channel, or one is named twice.
        DataError: Crops are smaller, or some have a file a channel and others not.
    """

    def __init__(self, folder: CropFolder, channels: Sequence[str], size: int):
        unknown = [name for name in channels if name not in folder.channels]
        if unknown or len(set(channels)) != len(channels):
            raise UserError(
                f"wrong channels: expected different ones of "
                f"{', '.join(folder.channels)}. Received: {', '.join(channels)}"
            )
        for crop in folder.rows:
            if crop.size is not None and crop.size < size:
                raise DataError(
                    f"crops are too small: expected at least {size} pixels. "
                    f"Received: crop {crop.crop_id!r} of {crop.size}"
                )
        self.folder = folder
        self.channels = tuple(channels)
        self.size = size
        self.dtype = tf.as_dtype(folder.dtype)
        self._one_file_a_channel = self._has_one_file_a_channel()
        # The files of the chosen channels, [N, 1] or [N, C].
        self._files = np.array([self._paths(crop) for crop in folder.rows])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(S, S, C)."""
        return self.size, self.size, len(self.channels)

    def __len__(self) -> int:
        return len(self.folder.rows)

    def reader(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Returns a graph function from a row's number, int64 [], to its image.

        The image is [S, S, C] as stored, uint8 or uint16. What cannot be read raises
        an OpError, which :meth:`explain` understands.
        """
        with tf.device("CPU"):
            files = tf.constant(self._files)
        chosen = [self.folder.channels.index(name) for name in self.channels]

        def read(number: tf.Tensor) -> tf.Tensor:
            paths = files[number]
            if self._one_file_a_channel:
                planes = [self._decode(path, 1) for path in tf.unstack(paths)]
                image = tf.concat(planes, axis=-1)
            else:
                image = self._decode(paths[0], len(self.folder.channels))
                image = tf.gather(image, chosen, axis=-1)
            return tf.ensure_shape(reduced(image, self.size), self.shape)

        return read

    def hashes(self) -> list[str]:
        """Returns the hex sha256 of every crop's image."""
        return [self.folder.image_hash(crop) for crop in self.folder.rows]

    def explain(self, error: Exception) -> DataError:
        """Returns an error that names the image which made reading fail.

        Raises:
            Exception: `error` itself, if no image explains it.
        """
        num_channels = len(self.folder.channels)
        for crop in self.folder.rows:
            path = self.folder.image_path(crop)
            image = read_image(path, self.folder.channels)
            height, width, found = image.shape
            if (
                (found, image.dtype.name) != (num_channels, self.folder.dtype)
                or height != width
                or height < self.size
            ):
                return DataError(
                    f"wrong image: expected a square of at least {self.size} pixels, "
                    f"{num_channels} channels, {self.folder.dtype}. Received: {path} "
                    f"with {list(image.shape)}, {image.dtype.name}"
                )
        raise error

    def _paths(self, crop: Crop) -> list[str]:
        path = self.folder.image_path(crop)
        return [str(file) for file in channel_paths(path, self.channels)]

    def _has_one_file_a_channel(self) -> bool:
        patterns = {CHANNEL_PLACEHOLDER in crop.path for crop in self.folder.rows}
        if len(patterns) != 1:
            raise DataError(
                "images are kept in two ways: expected one file a crop, or one a "
                f"channel, and at least one crop. Received: {self.folder.folder}"
            )
        return patterns.pop()

    def _decode(self, path: tf.Tensor, channels: int) -> tf.Tensor:
        data = tf.io.read_file(path)
        # The decoder would turn any PNG into what it is asked for.
        kind = png_header(1, 1, channels, self.dtype.name)[_KIND]
        found = tf.strings.substr(data, _KIND_AT, len(kind))
        known = tf.debugging.Assert(found == kind, ["not the stated kind of PNG", path])
        sides = tf.io.decode_raw(
            tf.strings.substr(data, _SIDES_AT, 8), tf.int32, little_endian=False
        )
        small = tf.reduce_all((sides > 0) & (sides <= MAX_SIDE))
        sane = tf.debugging.Assert(small, ["an absurd size", path])
        with tf.control_dependencies([known, sane]):
            return tf.io.decode_png(data, channels=channels, dtype=self.dtype)


def reduced(images: tf.Tensor, size: int) -> tf.Tensor:
    """Reduces square images by the mean over the area, in graph.

    Args:
        images: uint8 or uint16 [..., H, W, C] with H = W of at least `size`; anything
            else fails with an InvalidArgumentError when it runs.
        size: S.

    Returns:
        The same type, [..., S, S, C].
    """
    height, width = tf.unstack(tf.shape(images)[-3:-1])
    fits = tf.debugging.Assert(
        (height == width) & (height >= size),
        [f"expected square images of at least {size} pixels. Received:", height, width],
    )
    with tf.control_dependencies([fits]):
        values = tf.cast(images, tf.float32)
    unrounded = tf.image.resize(values, [size] * 2, method="area")
    # uint16 has no kernel for the cast from float everywhere; int32 has.
    return tf.cast(tf.cast(tf.round(unrounded), tf.int32), images.dtype)
