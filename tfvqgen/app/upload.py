"""Crops that people upload: PNG files of the model's size, depth and channels."""

# Shapes: [H, W, C] height, width, channels.

import struct
from collections.abc import Mapping

import numpy as np

from tfvqgen.data.images import decode_png
from tfvqgen.errors import UserError
from tfvqgen.generation.model_info import ModelInfo

MOST_REDUCTION = 16

_PNG = b"\x89PNG\r\n\x1a\n"
_OTHERS = {
    b"\xff\xd8\xff": "a JPEG, which loses what it stores",
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
    b"II+\0": "a TIFF",
    b"GIF8": "a GIF",
    b"BM": "a BMP",
    b"RIFF": "a WebP",
    b"PK": "a zip",
    b"\x93NUMPY": "a numpy array",
}


class TooLarge(UserError):
    """A crop that fits once it is reduced.

    Attributes:
        factor: By how much.
    """

    def __init__(self, message: str, factor: int):
        super().__init__(message)
        self.factor = factor


def read_crop(
    files: Mapping[str, bytes], about: ModelInfo, reduce: bool = False
) -> np.ndarray:
    """Reads an uploaded crop.

    Args:
        files: One PNG with all channels, or one grey PNG a channel whose name has the
            channel's in it; by file name.
        about: The model that it is for.
        reduce: Whether a crop whose size is a multiple is reduced, by the mean of the
            pixels that become one.

    Returns:
        uint8 or uint16 [H, W, C], as the model takes it.

    Raises:
        TooLarge: It would fit, reduced.
        UserError: It does not fit.
    """
    if not files:
        raise UserError(f"no crop: expected {_wanted(about)}. Received: no file")
    if len(files) == 1:
        (item,) = files.items()
        parts = [_read(*item, about, reduce)]
    else:
        names = _by_channel(list(files), about)
        parts = [_read(name, files[name], about, reduce) for name in names]
        if any(part.shape[-1] != 1 for part in parts):
            raise UserError(
                "several files, not all of them grey: expected one channel in each. "
                f"Received: {', '.join(f'{p.shape[-1]} channels' for p in parts)}"
            )
    image = np.concatenate(parts, axis=-1)
    if image.shape[-1] != len(about.channels):
        count = image.shape[-1]
        raise UserError(
            f"wrong channels: expected {_wanted(about)}. "
            f"Received: a PNG with {count} channel{'s' * (count != 1)}"
        )
    return image


def _read(name: str, data: bytes, about: ModelInfo, reduce: bool) -> np.ndarray:
    """Reads one PNG, [H, W, any number of channels]."""
    width, height, depth = _header(name, data, about)
    wanted = 8 * np.dtype(about.dtype).itemsize
    if max(depth, 8) != wanted:
        raise UserError(
            f"wrong depth: expected {wanted} bits a channel. "
            f"Received: {name!r} with {depth} bits"
        )
    factor = _factor(name, height, width, about)
    if factor > 1 and not reduce:
        raise TooLarge(
            f"the crop is larger than the model's: expected "
            f"{_size(*about.image_shape[:2])} pixels, and it can be reduced {factor} "
            f"times. Received: {name!r} with {_size(height, width)}",
            factor,
        )
    return _reduced(decode_png(data), factor)


def _header(name: str, data: bytes, about: ModelInfo) -> tuple[int, int, int]:
    """Returns width, height and depth, before anything is decoded."""
    if data[:8] != _PNG or len(data) < 33:
        kinds = (kind for start, kind in _OTHERS.items() if data.startswith(start))
        kind = next(kinds, "no PNG" if data else "empty")
        raise UserError(
            f"wrong format: expected {_wanted(about)}. Received: {name!r}, {kind}"
        )
    return struct.unpack(">IIB", data[16:25])


def _factor(name: str, height: int, width: int, about: ModelInfo) -> int:
    """Returns how many times the crop is as large as the model's."""
    rows, columns = about.image_shape[:2]
    factor = height // rows
    fits = (height, width) == (factor * rows, factor * columns)
    if not fits or not 1 <= factor <= MOST_REDUCTION:
        raise UserError(
            f"wrong size: expected {_size(rows, columns)} pixels, or 2 to "
            f"{MOST_REDUCTION} times as many a side. "
            f"Received: {name!r} with {_size(height, width)}"
        )
    return factor


def _reduced(image: np.ndarray, factor: int) -> np.ndarray:
    height, width, channels = image.shape
    blocks = image.reshape(height // factor, factor, width // factor, factor, channels)
    return np.round(blocks.mean(axis=(1, 3))).astype(image.dtype)


def _by_channel(names: list[str], about: ModelInfo) -> list[str]:
    """Returns the files' names in the order of the channels that they name."""
    found = [
        [name for name in names if channel.casefold() in name.casefold()]
        for channel in about.channels
    ]
    chosen = [some[0] for some in found if len(some) == 1]
    if len(names) != len(about.channels) or set(chosen) != set(names):
        raise UserError(
            f"it is not clear which file is which channel: expected "
            f"{len(about.channels)} files, with {', '.join(about.channels)} in their "
            f"names. Received: {', '.join(names)}"
        )
    return chosen


def _wanted(about: ModelInfo) -> str:
    count, bits = len(about.channels), 8 * np.dtype(about.dtype).itemsize
    names = ", ".join(about.channels)
    grey = "a grey PNG for each channel"
    if count == 1:
        return f"a grey PNG of {bits} bits"
    if count > 4:
        return f"{grey} ({names}), of {bits} bits"
    return f"a PNG of {bits} bits with {count} channels ({names}), or {grey}"


def _size(height: int, width: int) -> str:
    return f"{width} x {height}"
