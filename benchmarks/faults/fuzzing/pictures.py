"""Small images of every kind that is read, and damage within their parts."""

import functools
import gzip
import io
import random
import struct
import zlib
from collections.abc import Callable

import numpy as np

from benchmarks.faults.fuzzing.mutation import mutated_bytes

_SIDE = 8
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SIZES = (0, 1, 7, 9, 255, 2**13, 2**16, 2**28, 2**31 - 1, 2**31, 2**32 - 1)
_DEPTHS = (0, 1, 2, 4, 8, 16, 17, 255)
_KINDS = (b"IHDR", b"IDAT", b"IEND", b"PLTE", b"tRNS", b"zTXt", b"iCCP", b"gAMA")


class FuzzedPicture:
    """Inputs that are images of one kind.

    Args:
        kind: ``png``, ``jpeg``, ``tiff`` or ``gzip``.
        read: What reads the bytes.
    """

    def __init__(self, kind: str, read: Callable[[bytes], object]):
        self._whole = {"png": _pngs, "jpeg": _jpegs, "tiff": _tiffs, "gzip": _gzips}[
            kind
        ]()
        self._mutate = {
            "png": mutated_png,
            "jpeg": mutated_jpeg,
            "tiff": mutated_tiff,
            "gzip": mutated_gzip,
        }[kind]
        self._read = read

    def draw(self, rng: random.Random) -> Callable[[], object]:
        """Damages an image."""
        data = self._mutate(rng.choice(self._whole), rng)
        return lambda: self._read(data)


def mutated_png(data: bytes, rng: random.Random) -> bytes:
    """Changes a PNG's chunks, with sums that are right, or its bytes."""
    if rng.random() < 0.15:
        return mutated_bytes(data, rng)
    chunks = _chunks(data)
    place = rng.randrange(len(chunks))
    kind, body = chunks[place]
    match rng.randrange(7):
        case 0:
            chunks[0] = (b"IHDR", _odd_header(chunks[0][1], rng))
        case 1:
            chunks[place] = (kind, mutated_bytes(body, rng))
        case 2:
            pixels = [i for i, (kind, _) in enumerate(chunks) if kind == b"IDAT"]
            chunks[pixels[0]] = (b"IDAT", _odd_pixels(chunks[pixels[0]][1], rng))
        case 3:
            del chunks[place]
        case 4:
            chunks.insert(place, rng.choice(chunks))
        case 5:
            extra = (rng.choice(_KINDS), rng.randbytes(rng.choice((0, 3, 13, 99))))
            chunks.insert(rng.randrange(len(chunks) + 1), extra)
        case 6:
            chunks[0] = (b"IHDR", _odd_header(chunks[0][1], rng))
            chunks[-2] = (b"IDAT", _bomb(rng))
    return _SIGNATURE + b"".join(_chunk(*chunk) for chunk in chunks)


def mutated_jpeg(data: bytes, rng: random.Random) -> bytes:
    """Changes a JPEG's stated size or its bytes."""
    place = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    if rng.random() < 0.3 and place > 0:
        size = struct.pack(">HH", *(rng.choice(_SIZES) % 2**16 for _ in range(2)))
        data = data[: place + 5] + size + data[place + 9 :]
    return mutated_bytes(data, rng) if rng.random() < 0.8 else data


def mutated_tiff(data: bytes, rng: random.Random) -> bytes:
    """Changes entries of a TIFF's directory, or its bytes."""
    if rng.random() < 0.3:
        return mutated_bytes(data, rng)
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    head, entry = (16, ">HHQQ") if big else (8, ">HHII")
    form = entry.replace(">", order)
    size = struct.calcsize(form)
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, head // 2)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        place = start + (8 if big else 2) + rng.randrange(count) * size
        values = list(struct.unpack_from(form, changed, place))
        field = rng.choice((0, 1, 2, 3, 3, 3))
        odd = (rng.choice(_SIZES), values[field] + rng.choice((-1, 1, 2**10)))
        limit = 2**16 if field < 2 else 2 ** (64 if big else 32)
        values[field] = rng.choice(odd) % limit
        struct.pack_into(form, changed, place, *values)
    return bytes(changed)


def mutated_gzip(data: bytes, rng: random.Random) -> bytes:
    """Changes a gzip file's bytes, or what is in it."""
    match rng.randrange(4):
        case 0:
            return mutated_bytes(data, rng)
        case 1:
            return gzip.compress(mutated_bytes(gzip.decompress(data), rng), 1)
        case 2:
            return gzip.compress(mutated_png(_pngs()[0], rng), 1)
    return data + gzip.compress(rng.randbytes(9)) + rng.choice((b"", b"\0", data))


def mutated_picture(data: bytes, rng: random.Random) -> bytes:
    """Changes an image of any kind."""
    if data.startswith(_SIGNATURE):
        return mutated_png(data, rng)
    if data.startswith(b"\xff\xd8"):
        return mutated_jpeg(data, rng)
    if data[:2] in (b"II", b"MM"):
        return mutated_tiff(data, rng)
    if data.startswith(b"\x1f\x8b"):
        return mutated_gzip(data, rng)
    return mutated_bytes(data, rng)


def noise(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Returns random pixels."""
    top = np.iinfo(dtype).max
    return np.random.default_rng(0).integers(0, top, shape, dtype, endpoint=True)


def _pngs() -> list[bytes]:
    from tests.data_prep.png_writer import write_png

    return [
        write_png(noise((_SIDE, _SIDE, channels), dtype))
        for channels in (1, 2, 3, 4)
        for dtype in ("uint8", "uint16")
    ]


def _jpegs() -> list[bytes]:
    from PIL import Image

    made = []
    for channels in (1, 3):
        for options in ({}, {"progressive": True}, {"subsampling": 0}):
            file = io.BytesIO()
            pixels = noise((_SIDE, _SIDE, channels), "uint8").squeeze()
            Image.fromarray(pixels).save(file, "JPEG", **options)
            made.append(file.getvalue())
    return made


def _tiffs() -> list[bytes]:
    import tifffile
    from PIL import Image

    made = []
    for channels, dtype in ((1, "uint8"), (3, "uint8"), (1, "uint16"), (4, "uint16")):
        for options in ({}, {"compression": "zlib"}, {"bigtiff": True}, {"tile": True}):
            if options.get("tile"):
                options = {"tile": (16, 16)}
            file = io.BytesIO()
            pixels = noise((_SIDE, _SIDE, channels), dtype).squeeze()
            planar = {} if channels == 1 else {"photometric": "rgb"}
            tifffile.imwrite(file, pixels, **options, **planar)
            made.append(file.getvalue())
    for kind in ("tiff_lzw", "packbits"):
        file = io.BytesIO()
        picture = Image.fromarray(noise((_SIDE, _SIDE), "uint8"))
        picture.save(file, "TIFF", compression=kind)
        made.append(file.getvalue())
    return made


def _gzips() -> list[bytes]:
    return [gzip.compress(data, 1) for data in (*_pngs()[:2], _jpegs()[0], _tiffs()[0])]


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    place, found = len(_SIGNATURE), []
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        found.append((data[place + 4 : place + 8], data[place + 8 :][:length]))
        place += 12 + length
    return found


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(kind))
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def _odd_header(header: bytes, rng: random.Random) -> bytes:
    width, height, depth, colours, *rest = struct.unpack(">IIBBBBB", header)
    match rng.randrange(5):
        case 0:
            width = rng.choice(_SIZES)
        case 1:
            height = rng.choice(_SIZES)
        case 2:
            width, height = rng.choice(_SIZES), rng.choice(_SIZES)
        case 3:
            depth, colours = rng.choice(_DEPTHS), rng.randrange(8)
        case 4:
            rest[rng.randrange(3)] = rng.choice((0, 1, 2, 255))
    return struct.pack(">IIBBBBB", width, height, depth, colours, *rest)


def _odd_pixels(packed: bytes, rng: random.Random) -> bytes:
    if rng.random() < 0.2:
        return _bomb(rng)
    rows = zlib.decompress(packed)
    return zlib.compress(mutated_bytes(rows, rng), rng.choice((0, 1)))


@functools.cache
def _packed_zeros(megabytes: int) -> bytes:
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(2**20)) for _ in range(megabytes)]
    return b"".join((*parts, packer.flush()))


def _bomb(rng: random.Random) -> bytes:
    """Returns what unpacks to a thousand times its size."""
    return _packed_zeros(rng.choice((1, 1, 1, 64)))
