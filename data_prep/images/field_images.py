"""Reads the images of fields of view exactly.

Shapes: [H, W, C] height, width, channels. Values: uint8 or uint16, as stored.

All functions raise a DataError, with the name of the file, if it is missing, damaged,
too large or of another kind. The modules of this package do not import TensorFlow, so
that worker processes start fast.
"""

import contextlib
import gzip
import io
import itertools
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from data_prep.fields import Field, Plane
from data_prep.images import decoders
from data_prep.images.decoders import ImageForm
from tfvqgen.errors import DataError

# The largest image in 16 bits and four channels.
MAX_BYTES = 2**29
_PIECE = 2**24
_CODECS = {"png": "png", "jpg": "jpeg", "jpeg": "jpeg", "tif": "tiff", "tiff": "tiff"}
# Codec -> function that reads the header, function that decodes.
_READERS = {
    "png": (decoders.png_form, decoders.decode_png),
    "jpeg": (decoders.jpeg_form, decoders.decode_jpeg),
    "tiff": (decoders.tiff_form, decoders.decode_tiff),
}


def read_field(field: Field) -> np.ndarray:
    """Reads the channels of a field in their order: uint8 or uint16 [H, W, C].

    Files with several channels are decoded once. Where the channels come from several
    files, the memory of each channel is contiguous.

    Raises:
        DataError: A file cannot be read, or the channels differ in size or depth.
    """
    planes = list(field.planes.values())
    decoded: dict[Path, np.ndarray] = {}
    for plane in planes:
        with _named(plane.path, field):
            if plane.path not in decoded:
                decoded[plane.path] = _decoded(plane.path)
            channels = decoded[plane.path].shape[-1]
            if plane.index is None and channels != 1:
                raise DataError(
                    f"wrong channels: expected a grey image, not {channels}"
                )
            if channels <= (plane.index or 0):
                least = plane.index + 1
                raise DataError(f"too few channels: expected {least}, not {channels}")
    first = decoded[planes[0].path]
    for path, image in decoded.items():
        sizes = [f"{x.dtype.name} {x.shape[0]} x {x.shape[1]}" for x in (first, image)]
        if sizes[0] != sizes[1]:
            raise DataError(
                "the channels of a field do not fit together: expected "
                f"{sizes[0]} as in {planes[0].path}. "
                f"Received: {sizes[1]} in {path} of field {field.field_id!r}"
            )
    if len(decoded) == 1 and _indices(planes) == list(range(first.shape[-1])):
        return first
    parts = [decoded[plane.path][..., plane.index or 0] for plane in planes]
    return np.stack(parts).transpose(1, 2, 0)


def read_field_image(path: str | os.PathLike, name: str = "") -> np.ndarray:
    """Reads an image file of any supported type: uint8 or uint16 [H, W, C].

    `name` tells its type, by default the name of the path.
    """
    with _named(path):
        return _decoded(Path(path), name)


def read_mask_file(path: str | os.PathLike) -> np.ndarray:
    """Reads a label image, which may be a TIFF of any integer type: [H, W, C]."""
    with _named(path):
        return _decoded(Path(path), types=decoders.LABELS)


def image_form(path: str | os.PathLike) -> ImageForm:
    """Reads the header of an image file."""
    path = Path(path)
    with _named(path), _open(path, path.name) as file:
        return _reader(path.name)[0](file)


def whole_png(field: Field) -> bytes | None:
    """Returns a PNG of the field's channels in order, if one file is that.

    The file's metadata are left out.
    """
    planes = list(field.planes.values())
    path = planes[0].path
    if any(plane.path != path for plane in planes) or path.suffix.lower() != ".png":
        return None
    with _named(path, field):
        data = path.read_bytes()
        channels = decoders.png_form(io.BytesIO(data)).channels
    in_order = _indices(planes) == list(range(channels))
    return decoders.png_without_extras(data) if in_order else None


def codec_of_name(name: str) -> str:
    """Returns ``png``, ``jpeg`` or ``tiff`` by a file's name, else an empty text."""
    ending = name.lower().removesuffix(".gz").rpartition(".")[2]
    return _CODECS.get(ending, "")


def _decoded(path: Path, name: str = "", types=decoders.INTENSITIES) -> np.ndarray:
    name = name or path.name
    decode = _reader(name)[1]
    with _open(path, name) as file:
        # Pieces, since `read` with a limit reserves as much memory at once.
        pieces = iter(lambda: file.read(_PIECE), b"")
        data = b"".join(itertools.islice(pieces, MAX_BYTES // _PIECE + 1))
    if len(data) > MAX_BYTES:
        raise DataError(f"a file too large: expected at most {MAX_BYTES} bytes")
    return decode(io.BytesIO(data), types)


def _reader(name: str):
    codec = codec_of_name(name)
    if not codec:
        raise DataError("an image of another kind: expected a PNG, TIFF or JPEG")
    return _READERS[codec]


def _open(path: Path, name: str) -> BinaryIO:
    return gzip.open(path) if name.lower().endswith(".gz") else open(path, "rb")


@contextlib.contextmanager
def _named(path: str | os.PathLike, field: Field | None = None) -> Iterator[None]:
    """Turns errors of reading into a DataError that names the file and the field."""
    where = f"{path}" if field is None else f"{path} of field {field.field_id!r}"
    try:
        yield
    except DataError as error:
        raise DataError(f"{error}. Received: {where}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise DataError(
            f"a damaged file: expected whole gzip. Received: {where}"
        ) from None
    except OSError as error:
        raise DataError(
            f"an image cannot be read: expected a file ({error.strerror}). "
            f"Received: {where}"
        ) from None


def _indices(planes: Sequence[Plane]) -> list[int]:
    return [plane.index or 0 for plane in planes]
