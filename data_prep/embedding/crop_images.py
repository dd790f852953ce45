"""Selected channels of a folder's crops, read in graph and reduced to one size."""

# Shapes: N crops, S x S pixels, C selected channels.

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from tfvqgen.data.crops import CropFolder
from tfvqgen.data.images import (
    CHANNEL_PLACEHOLDER,
    MAX_SIDE,
    channel_paths,
    png_header,
    read_image,
)
from tfvqgen.errors import DataError, UserError


class CropImages:
    """The images of a folder's crops, each known by the number of its row.

    Args:
        folder: The crops.
        channels: Names of the C channels to read, in this order.
        size: S, the side to which crops are reduced by averaging over areas.

    Raises:
        UserError: A channel does not exist, or is named twice.
        DataError: Crops are smaller, or some have one file for each channel and others
            have not.
    """

    def __init__(self, folder: CropFolder, channels: Sequence[str], size: int):
        unknown = [name for name in channels if name not in folder.channels]
        if unknown or len(set(channels)) != len(channels):
            raise UserError(
                "wrong channels: expected different names of "
                f"{', '.join(folder.channels)}. Received: {', '.join(channels)}"
            )
        for crop in folder.rows:
            if crop.size is not None and crop.size < size:
                raise DataError(
                    f"crops are too small: expected at least {size} pixels. "
                    f"Received: crop {crop.crop_id!r} of {crop.size} pixels"
                )
        patterns = {CHANNEL_PLACEHOLDER in crop.path for crop in folder.rows}
        if len(patterns) != 1:
            raise DataError(
                "the crops do not have one kind of files: expected one file for each "
                "crop, or one for each channel of each crop, and at least one crop. "
                f"Received: {folder.folder}"
            )
        self.folder = folder
        self.channels = tuple(channels)
        self.size = size
        self.dtype = tf.as_dtype(folder.dtype)
        self._has_channel_files = patterns.pop()
        paths = [folder.image_path(crop) for crop in folder.rows]
        # The files of the selected channels, [N, 1] or [N, C].
        self._files = np.array(
            [[str(file) for file in channel_paths(x, self.channels)] for x in paths]
        )

    def __len__(self) -> int:
        return len(self.folder.rows)

    def reader(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Returns a graph function from the number of a row, int64 [], to its image.

        The image is [S, S, C], uint8 or uint16 as stored. An image that cannot be read
        raises an OpError, which :meth:`explain` understands.
        """
        with tf.device("CPU"):
            files = tf.constant(self._files)
        selected = [self.folder.channels.index(name) for name in self.channels]

        def read(number: tf.Tensor) -> tf.Tensor:
            paths = files[number]
            if self._has_channel_files:
                planes = [self._decode(path, 1) for path in tf.unstack(paths)]
                image = tf.concat(planes, axis=-1)
            else:
                image = self._decode(paths[0], len(self.folder.channels))
                image = tf.gather(image, selected, axis=-1)
            shape = self.size, self.size, len(self.channels)
            return tf.ensure_shape(reduced(image, self.size), shape)

        return read

    def explain(self, error: Exception) -> DataError:
        """Returns an error that names the image that could not be read.

        Raises:
            Exception: `error` itself, if all images can be read.
        """
        channels, dtype = self.folder.channels, self.folder.dtype
        for crop in self.folder.rows:
            path = self.folder.image_path(crop)
            image = read_image(path, channels)
            height, width, found = image.shape
            known = (found, image.dtype.name) == (len(channels), dtype)
            if not known or height != width or height < self.size:
                return DataError(
                    f"wrong image: expected a square of at least {self.size} pixels, "
                    f"{len(channels)} channels, {dtype}. Received: {path} of shape "
                    f"{list(image.shape)}, {image.dtype.name}"
                )
        raise error

    def _decode(self, path: tf.Tensor, channels: int) -> tf.Tensor:
        data = tf.io.read_file(path)
        # The decoder would convert any other PNG, and allocate any size. A PNG has its
        # width and height (4 bytes each) at byte 16, then depth and color type.
        kind = png_header(1, 1, channels, self.dtype.name)[8:10]
        found = tf.strings.substr(data, 24, 2)
        sides = tf.strings.substr(data, 16, 8)
        sides = tf.io.decode_raw(sides, tf.int32, little_endian=False)
        valid = (found == kind) & tf.reduce_all((sides > 0) & (sides <= MAX_SIDE))
        with tf.control_dependencies([tf.debugging.Assert(valid, [path])]):
            return tf.io.decode_png(data, channels=channels, dtype=self.dtype)


def reduced(images: tf.Tensor, size: int) -> tf.Tensor:
    """Reduces square images by averaging over areas, in graph: [..., S, S, C].

    The images are uint8 or uint16 [..., H, W, C] with H = W >= `size`; other shapes
    fail with an InvalidArgumentError when the graph runs. The type is kept.
    """
    height, width = tf.unstack(tf.shape(images)[-3:-1])
    fits = tf.debugging.Assert(
        (height == width) & (height >= size),
        [f"expected square images of at least {size} pixels. Received:", height, width],
    )
    with tf.control_dependencies([fits]):
        averages = tf.image.resize(tf.cast(images, tf.float32), [size] * 2, "area")
    # There is no kernel on all devices that casts float32 to uint16; to int32 there is.
    return tf.cast(tf.cast(tf.round(averages), tf.int32), images.dtype)
