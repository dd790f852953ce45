"""Reading of PNGs that anybody wrote: checked chunk by chunk, exact at any depth.

Shapes: [H, W, C] height, width, channels.
"""

import io
import struct
import zlib

import numpy as np

from tfvqgen.errors import DataError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER_BYTES = 33  # Signature and IHDR.
_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
_PALETTE = 3
# What Pillow raises for what it cannot decode.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)
# Filters of rows, beside 0 (none) and 3 (average).
_SUB, _UP, _PAETH = 1, 2, 4
# First row and column, steps down and right of the passes of an interlaced image.
_ADAM7 = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)


def png_size(data: bytes) -> tuple[int, int]:
    """Returns height and width of any PNG's first bytes.

    Raises:
        DataError: They are not those of a PNG.
    """
    if len(data) < HEADER_BYTES or data[12:16] != b"IHDR":
        raise DataError("a truncated image: expected a whole PNG")
    width, height = struct.unpack_from(">II", data, 16)
    return height, width


def png_form(data: bytes) -> tuple[int, int, int, int]:
    """Returns height, width, channels and depth in bits of a PNG's first bytes.

    Raises:
        DataError: They are not those of a PNG whose channels are numbers of 8 or 16
            bits.
    """
    height, width = png_size(data)
    depth, colours = data[24:26]
    if colours == _PALETTE:
        raise DataError(
            "an image with a palette, whose values are no intensities: expected a PNG "
            "that is grey, RGB or RGBA"
        )
    if depth not in (8, 16) or colours not in _CHANNELS:
        raise DataError(
            f"an image of another depth: expected a PNG of 8 or 16 bits, not {depth}"
        )
    return height, width, _CHANNELS[colours], depth


def decode_png(data: bytes) -> np.ndarray:
    """Decodes a PNG of 8 or 16 bits as uint8 or uint16 [H, W, C], exactly.

    Its size must have been judged before.

    Raises:
        DataError: It is truncated or damaged, or of a kind that can't be read exactly.
    """
    height, width, channels, depth = png_form(data)
    interlaced = bool(data[28])
    chunks = _needed_chunks(data)
    if depth == 8 or channels == 1:
        pixels = _decode_by_pillow(chunks, (height, width, channels), depth)
        # What is not there would be left black in silence.
        if interlaced or not pixels[-1].any():
            _inflate(chunks, _packed_size(height, width, channels * depth, interlaced))
        return pixels
    # Pillow would make 8 bits of these without a word.
    if interlaced:
        raise DataError(
            "an interlaced image of 16 bits and several channels: expected a PNG that "
            "is not interlaced"
        )
    rows = _inflate(chunks, _packed_size(height, width, channels * 16, False))
    return _unfiltered(rows, height, width, channels * 2).view(">u2").astype(np.uint16)


def without_extras(data: bytes) -> bytes:
    """Returns a PNG with nothing but the picture in it.

    Raises:
        DataError: It is truncated or damaged.
    """
    return SIGNATURE + b"".join(chunk for _, chunk in _needed_chunks(data))


def _needed_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Returns kind and all bytes of the chunks that hold the picture.

    What else there may be (colour profiles, transparent colours, texts) could only
    change the numbers or hide a bomb.
    """
    view, place, found = memoryview(data), len(SIGNATURE), []
    while True:
        if place + 12 > len(data):
            raise DataError("a truncated image: expected a whole PNG")
        (length,) = struct.unpack_from(">I", data, place)
        end = place + 12 + length
        if end > len(data):
            raise DataError("a truncated image: expected a whole PNG")
        kind = bytes(view[place + 4 : place + 8])
        (checksum,) = struct.unpack_from(">I", data, end - 4)
        if zlib.crc32(view[place + 4 : end - 4]) != checksum:
            raise DataError("a damaged image: expected a PNG with its checksums")
        if kind in (b"IHDR", b"IDAT", b"IEND"):
            found.append((kind, bytes(view[place:end])))
        if kind == b"IEND":
            return found
        place = end


def _decode_by_pillow(
    chunks: list[tuple[bytes, bytes]], shape: tuple[int, int, int], depth: int
) -> np.ndarray:
    from PIL import Image

    file = io.BytesIO(SIGNATURE + b"".join(chunk for _, chunk in chunks))
    try:
        image = Image.open(file, formats=("PNG",))
        # A second header would count here; before anything is unpacked.
        if image.size != (shape[1], shape[0]):
            raise ValueError("another size")
        pixels = np.asarray(image)
    except (*_DAMAGE, Image.DecompressionBombError):
        raise DataError("a damaged image: expected a PNG that decodes") from None
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    if pixels.shape != shape or pixels.dtype.itemsize * 8 != depth:
        raise DataError("a damaged image: expected a PNG as its header says")
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _packed_size(height: int, width: int, bits: int, interlaced: bool) -> int:
    """Returns how many bytes the rows have with their filters' numbers."""
    parts = ((0, 0, 1, 1),) if not interlaced else _ADAM7
    size = 0
    for y, x, down, right in parts:
        rows, columns = len(range(y, height, down)), len(range(x, width, right))
        size += rows * (1 + columns * bits // 8) if columns else 0
    return size


def _inflate(chunks: list[tuple[bytes, bytes]], size: int) -> np.ndarray:
    """Returns exactly `size` inflated bytes, uint8 [size]; never makes more."""
    packer = zlib.decompressobj()
    packed = b"".join(chunk[8:-4] for kind, chunk in chunks if kind == b"IDAT")
    try:
        rows = packer.decompress(packed, size + 1)
    except zlib.error:
        raise DataError("a damaged image: expected a PNG that decodes") from None
    if len(rows) != size:
        raise DataError("a damaged image: expected a PNG as its header says")
    return np.frombuffer(rows, np.uint8)


def _unfiltered(packed: np.ndarray, height: int, width: int, step: int) -> np.ndarray:
    """Undoes the rows' filters.

    Args:
        packed: uint8 [H * (1 + W * step)]: a filter's number and the row's bytes.
        height: H.
        width: W.
        step: Bytes a pixel.

    Returns:
        uint8 [H, W, step].
    """
    packed = packed.reshape(height, 1 + width * step)
    kinds = packed[:, 0]
    if kinds.max() > _PAETH:
        raise DataError("a damaged image: expected a PNG that decodes")
    pixels = packed[:, 1:].reshape(height, width, step)
    if kinds.max() > _UP:
        return _unfiltered_by_diagonals(pixels, kinds)
    above = np.zeros((width, step), np.uint8)
    done = np.empty_like(pixels)
    for row, (kind, values) in enumerate(zip(kinds.tolist(), pixels, strict=True)):
        if kind == _SUB:
            values = np.cumsum(values, axis=0, dtype=np.uint8)
        above = done[row] = values + above if kind == _UP else values
    return done


def _unfiltered_by_diagonals(pixels: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Undoes filters of any kind, which need the neighbours to the left and above.

    All pixels of an anti-diagonal are done at once: what they need is in the two
    before.

    Args:
        pixels: uint8 [H, W, step], filtered.
        kinds: Each row's filter, uint8 [H].
    """
    height, width, step = pixels.shape
    rows = np.arange(height)[:, None]
    diagonals = rows + np.arange(width)[None]
    # Two diagonals and a row of zeros stand for what lies outside.
    done = np.zeros((height + width + 1, height + 1, step), np.int16)
    done[diagonals + 2, rows + 1] = pixels
    weights = [(kinds[:, None] == kind).astype(np.int16) for kind in range(_PAETH + 1)]
    for now in range(2, height + width + 1):
        # Only what is inside the image: others stay zero.
        first, last = max(0, now - 1 - width), min(height, now - 1)
        inside, above = slice(first + 1, last + 1), slice(first, last)
        left, up = done[now - 1, inside], done[now - 1, above]
        corner = done[now - 2, above]
        _, sub, upper, average, paeth = (weight[first:last] for weight in weights)
        predicted = sub * left + upper * up + average * ((left + up) >> 1)
        predicted += paeth * _paeth(left, up, corner)
        done[now, inside] = (done[now, inside] + predicted) & 0xFF
    return done[diagonals + 2, rows + 1].astype(np.uint8)


def _paeth(left: np.ndarray, up: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Returns which of the three is nearest to left + up - corner (PNG 9.4)."""
    to_left, to_up = np.abs(up - corner), np.abs(left - corner)
    to_corner = np.abs(left + up - 2 * corner)
    other = np.where(to_up <= to_corner, up, corner)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, other)
