"""Lossless images of 1 to 8 channels.

Shapes: [H, W, C] height, width, channels. Values: uint8 or uint16.

One to four channels are one PNG. The fourth channel is data, not transparency; programs
that treat it as transparency may damage the file (and Pillow reads 16-bit RGBA as
8-bit), so PNGs are written here and decoded by TensorFlow. More channels are one grey
PNG each.
"""

import hashlib
import os
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tfvqgen.errors import DataError, UserError
from tfvqgen.files import blamed_on

MAX_CHANNELS = 8
MAX_PNG_CHANNELS = 4
# Larger images are refused before they are decoded: a small file can claim any size.
MAX_SIDE = 2**13
DTYPES = ("uint8", "uint16")
CHANNEL_PLACEHOLDER = "{channel}"

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
_FILTER_UP = 2


def png_header(height: int, width: int, channels: int, dtype: str) -> bytes:
    """Returns the 13 bytes of a PNG header (IHDR), which are at offset 16 of its file.

    They are the same for all images of a shape that have no palette or interlacing.
    """
    depth, colour = 8 * np.dtype(dtype).itemsize, _COLOUR_TYPES[channels]
    return struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)


def encode_png(image: np.ndarray, text: Mapping[str, str] | None = None) -> bytes:
    """Encodes an image of 1 to 4 channels without loss and without TensorFlow.

    Run-length coding of the differences between rows is twice as fast as zlib's fastest
    level and smaller: differences are mostly noise.

    Args:
        image: uint8 or uint16 [H, W, C] with C from 1 to 4.
        text: Text chunks (iTXt) by keyword, which image viewers show.
    """
    check_image(image, most_channels=MAX_PNG_CHANNELS)
    height, width, channels = image.shape
    values = image.astype(">u2") if image.dtype == np.uint16 else image
    rows = np.ascontiguousarray(values).view(np.uint8).reshape(height, -1)
    # Filter "up": each row is stored as its difference from the row above.
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = _FILTER_UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = _chunk(b"IHDR", png_header(height, width, channels, image.dtype.name))
    packer = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    packed = packer.compress(filtered) + packer.flush()
    texts = b"".join(text_chunk(*item) for item in (text or {}).items())
    end = _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")
    return _SIGNATURE + header + texts + end


def text_chunk(keyword: str, text: str) -> bytes:
    """Returns a text chunk (iTXt) of a PNG: not compressed, without a language."""
    return _chunk(b"iTXt", keyword.encode("latin-1") + b"\0" * 5 + text.encode())


def decode_png(data: bytes) -> np.ndarray:
    """Decodes a PNG as uint8 or uint16 [H, W, C], whatever its channels are.

    Raises:
        DataError: The bytes are not a whole PNG.
    """
    import tensorflow as tf

    if data[:8] != _SIGNATURE or len(data) < 33:
        raise DataError("not a PNG image: expected the signature of a PNG")
    width, height = struct.unpack_from(">II", data, 16)
    if max(width, height) > MAX_SIDE:
        raise DataError(
            f"image too large: expected sides of at most {MAX_SIDE} pixels, "
            f"not {height} x {width}"
        )
    dtype = tf.uint16 if data[24] == 16 else tf.uint8
    try:
        with tf.device("CPU"):
            return tf.io.decode_png(data, channels=0, dtype=dtype).numpy()
    except tf.errors.OpError:
        raise DataError("damaged PNG image: expected one that decodes") from None


def write_image(
    path: str | os.PathLike,
    image: np.ndarray,
    channels: Sequence[str] = (),
    text: Mapping[str, str] | None = None,
) -> str:
    """Writes an image as one PNG, or as one grey PNG per channel.

    Args:
        path: A name that ends in ``.png``. With ``{channel}`` in it, each channel is
            written to a grey PNG with the channel's name there; images of more than 4
            channels need this.
        image: uint8 or uint16 [H, W, C].
        channels: The names of the C channels; only needed with ``{channel}``.
        text: See :func:`encode_png`.

    Returns:
        The hex sha256 of the bytes of all files in order.
    """
    check_image(image)
    digest = hashlib.sha256()
    paths = channel_paths(path, channels)
    num_parts = image.shape[-1] if _is_pattern(path) else 1
    if len(paths) != num_parts:
        raise UserError(
            f"wrong channel names: expected {num_parts} names. "
            f"Received: channels={list(channels)}"
        )
    parts = np.split(image, num_parts, axis=-1)
    for one_path, part in zip(paths, parts, strict=True):
        data = encode_png(part, text)
        digest.update(data)
        _write_file(one_path, data)
    return digest.hexdigest()


def read_image(path: str | os.PathLike, channels: Sequence[str] = ()) -> np.ndarray:
    """Reads an image that :func:`write_image` wrote: uint8 or uint16 [H, W, C].

    Raises:
        DataError: A file is missing or damaged, or the channels differ in shape; the
            message names the file.
    """
    return decode_files(path, read_image_bytes(path, channels))


def read_image_bytes(
    path: str | os.PathLike, channels: Sequence[str] = ()
) -> list[bytes]:
    """Reads the bytes of the files of an image, in the order of the channels."""
    try:
        return [file.read_bytes() for file in channel_paths(path, channels)]
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise DataError(
            f"no such image: expected a PNG file. Received: {error.filename}"
        ) from None


def decode_files(path: str | os.PathLike, files: Sequence[bytes]) -> np.ndarray:
    """Decodes the bytes of an image's files; `path` is for messages."""
    try:
        parts = [decode_png(data) for data in files]
    except DataError as error:
        raise DataError(f"{error}. Received: {path}") from None
    if not _is_pattern(path):
        return parts[0]
    shapes = {(*part.shape, part.dtype.name) for part in parts}
    if len(shapes) > 1 or parts[0].shape[-1] != 1:
        raise DataError(
            "the channels of an image differ: expected grey PNGs of one "
            f"size and depth. Received: {path} with {sorted(shapes)}"
        )
    return np.concatenate(parts, axis=-1)


def channel_paths(path: str | os.PathLike, channels: Sequence[str]) -> list[Path]:
    """Returns the files of an image: one, or one per channel (``{channel}``)."""
    path = Path(path)
    if not _is_pattern(path):
        return [path]
    if not channels:
        raise UserError(
            f"no channel names: expected some for {CHANNEL_PLACEHOLDER}. "
            f"Received: {path}"
        )
    names = (path.name.replace(CHANNEL_PLACEHOLDER, name) for name in channels)
    return [path.with_name(name) for name in names]


def check_image(image: np.ndarray, most_channels: int = MAX_CHANNELS) -> None:
    """Raises a UserError if `image` has a wrong type or shape."""
    if (
        not isinstance(image, np.ndarray)
        or image.ndim != 3
        or image.dtype.name not in DTYPES
        or min(image.shape) < 1
        or image.shape[-1] > most_channels
    ):
        received = getattr(image, "dtype", ""), getattr(image, "shape", type(image))
        raise UserError(
            f"not an image: expected uint8 or uint16 [height, width, 1 to "
            f"{most_channels} channels]. Received: {received}"
        )


def composite(image: np.ndarray, display: Sequence[int | None]) -> np.ndarray:
    """Returns an image in display colours, uint8 [..., H, W, 3].

    Args:
        image: uint8 or uint16 [..., H, W, C].
        display: The indices of the channels shown red, green and blue; None is black.
    """
    black = np.zeros(image.shape[:-1], image.dtype)
    planes = [black if index is None else image[..., index] for index in display]
    if image.dtype == np.uint16:
        # 65535 / 255 = 257, rounded to nearest.
        planes = [((plane.astype(np.uint32) + 128) // 257) for plane in planes]
    return np.stack(planes, axis=-1).astype(np.uint8)


def _is_pattern(path: str | os.PathLike) -> bool:
    return CHANNEL_PLACEHOLDER in Path(path).name


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def _write_file(path: Path, data: bytes) -> None:
    # No fsync: images count only once the table is written, which is synced.
    temporary = path.with_name(f".{path.name}.partial")
    with blamed_on(path, temporary):
        try:
            temporary.write_bytes(data)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
