"""PNGs of every kind that other programs write, made without any of them."""

import struct
import zlib
from collections.abc import Sequence

import numpy as np

COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
# Adam7: first row and column, steps down and right.
PASSES = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)


def write_png(
    image: np.ndarray,
    filters: Sequence[int] = (0,),
    *,
    interlaced: bool = False,
    extra: Sequence[tuple[bytes, bytes]] = (),
    **header,
) -> bytes:
    """Encodes uint8 or uint16 [H, W, C], row k by filter k (again from the first).

    `header` overrides what the header says: width, height, depth, colours.
    """
    parts = [image[y::down, x::right] for y, x, down, right in PASSES]
    packed = b"".join(
        filtered_rows(part, filters)
        for part in (parts if interlaced else [image])
        if part.size
    )
    stated = {
        "width": image.shape[1],
        "height": image.shape[0],
        "depth": 8 * image.dtype.itemsize,
        "colours": COLOURS[image.shape[2]],
        **header,
    }
    return assemble(packed, stated, interlaced, extra)


def assemble(packed: bytes, header: dict, interlaced=False, extra=()) -> bytes:
    names = ("width", "height", "depth", "colours")
    first = struct.pack(">IIBBBBB", *(header[n] for n in names), 0, 0, interlaced)
    chunks = [
        (b"IHDR", first),
        *extra,
        (b"IDAT", zlib.compress(packed)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*item) for item in chunks)


def chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def filtered_rows(image: np.ndarray, filters: Sequence[int]) -> bytes:
    """Applies the filters byte by byte, as the PNG standard words them."""
    step = image.shape[2] * image.dtype.itemsize
    values = image.astype(image.dtype.newbyteorder(">"))
    rows = [row.tobytes() for row in values]
    before = bytes(len(rows[0]))
    out = bytearray()
    for number, row in enumerate(rows):
        kind = filters[number % len(filters)]
        out.append(kind)
        for i, value in enumerate(row):
            a = row[i - step] if i >= step else 0
            b = before[i]
            c = before[i - step] if i >= step else 0
            nearest = min((a, b, c), key=lambda x: abs(a + b - c - x))
            guess = (0, a, b, (a + b) // 2, nearest)[kind]
            out.append((value - guess) & 0xFF)
        before = row
    return bytes(out)
