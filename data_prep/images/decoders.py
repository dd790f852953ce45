"""Exact decoding of PNG, JPEG and TIFF files with imagecodecs, Pillow and tifffile.

Each decoder takes an open file, checks the size in its header and then decodes it. The
errors do not name the file; `field_images` adds its name.

Shapes: [H, W, C] height, width, channels. Values: uint8 or uint16, as stored.
"""

import contextlib
import dataclasses
import logging
import math
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from tfvqgen.errors import DataError, UserError, require_package

# Seven times the number of pixels of the largest field of the Human Protein Atlas.
MAX_PIXELS = 2**26
MAX_CHANNELS = 8
INTENSITIES = ("uint8", "uint16")
LABELS = (*INTENSITIES, "uint32", "uint64", "int8", "int16", "int32", "int64")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Color type in the header -> number of channels.
_PNG_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}
# Photometric interpretations of TIFF.
_GREY, _RGB, _PALETTE, _YCBCR = 1, 2, 3, 6
# tifffile calls channels samples (S), C, or pages of unknown meaning (I, Q).
_AXES = "[SCIQ]?YX|YX[SCIQ]"


@dataclasses.dataclass(frozen=True)
class ImageForm:
    """Size of an image, as its header says; `depth` is the bits of a value."""

    height: int
    width: int
    channels: int
    depth: int

    def __post_init__(self):
        pixels = self.height * self.width
        if not 0 < pixels <= MAX_PIXELS or not 1 <= self.channels <= MAX_CHANNELS:
            raise DataError(
                f"an image of a wrong size: expected 1 to {MAX_PIXELS} pixels and 1 to "
                f"{MAX_CHANNELS} channels, not "
                f"{self.height} x {self.width} x {self.channels}"
            )


def png_form(file: BinaryIO) -> ImageForm:
    """Reads the header of a PNG."""
    header = file.read(26)
    if not header.startswith(_PNG_SIGNATURE) or len(header) < 26:
        raise DataError("not an image: expected a whole PNG")
    width, height, depth, color_type = struct.unpack_from(">IIBB", header, 16)
    if color_type not in _PNG_CHANNELS or depth not in (8, 16):
        raise DataError(
            "an image of another kind: expected a PNG of 8 or 16 bits that is grey or "
            f"RGB, without a palette. It has {depth} bits and color type {color_type}"
        )
    return ImageForm(height, width, _PNG_CHANNELS[color_type], depth)


def decode_png(file: BinaryIO, types: tuple[str, ...]) -> np.ndarray:
    """Decodes a PNG: [H, W, C]."""
    require_package("imagecodecs", "prep")
    import imagecodecs

    form = png_form(file)
    file.seek(0)
    try:
        pixels = imagecodecs.png_decode(png_without_extras(file.read()))
        return pixels.reshape(form.height, form.width, form.channels)
    except (imagecodecs.PngError, ValueError):
        raise DataError("a damaged image: expected a whole PNG") from None


def png_without_extras(data: bytes) -> bytes:
    """Leaves out all chunks of a PNG that are not needed to decode it.

    libpng would make an alpha channel of a transparent color, and print warnings about
    color profiles.
    """
    parts, start = [data[:8]], 8
    while start < len(data):
        end = start + 12 + int.from_bytes(data[start : start + 4])
        # The kinds of the needed chunks begin with a capital letter.
        if data[start + 4 : start + 5].isupper():
            parts.append(data[start:end])
        start = end
    return b"".join(parts)


def jpeg_form(file: BinaryIO) -> ImageForm:
    """Reads the header of a JPEG."""
    return _opened_jpeg(file)[1]


def decode_jpeg(file: BinaryIO, types: tuple[str, ...]) -> np.ndarray:
    """Decodes a JPEG: [H, W, C]."""
    image, form = _opened_jpeg(file)
    try:
        return np.asarray(image).reshape(form.height, form.width, form.channels)
    except (OSError, SyntaxError, ValueError):
        raise DataError("a damaged image: expected a whole JPEG") from None


def tiff_form(file: BinaryIO, types: tuple[str, ...] = INTENSITIES) -> ImageForm:
    """Reads the header of a TIFF."""
    with _tiff(file) as tiff:
        return _tiff_form(tiff, types)[0]


def decode_tiff(file: BinaryIO, types: tuple[str, ...]) -> np.ndarray:
    """Decodes a TIFF: [H, W, C]."""
    with _tiff(file) as tiff:
        form, axes = _tiff_form(tiff, types)
        end = tiff.filehandle.size
        for page in tiff.series[0].pages:
            segments = zip(page.dataoffsets, page.databytecounts, strict=True)
            if any(count < 1 or start + count > end for start, count in segments):
                raise DataError("a truncated image: expected a whole TIFF")
        pixels = tiff.series[0].asarray(maxworkers=1)
        pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
        if axes.endswith("YX"):
            pixels = pixels.reshape(-1, form.height, form.width)
            return np.moveaxis(pixels, 0, -1)
        return pixels.reshape(form.height, form.width, -1)


def _opened_jpeg(file: BinaryIO):
    """Returns Pillow's image, which is not decoded yet, and its form."""
    from PIL import Image

    try:
        image = Image.open(file, formats=("JPEG",))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise DataError("not an image: expected a whole JPEG") from None
    if image.mode not in ("L", "RGB"):
        raise DataError(
            "an image of another kind: expected a JPEG that is grey or RGB, not "
            f"{image.mode}"
        )
    return image, ImageForm(image.height, image.width, len(image.getbands()), 8)


@contextlib.contextmanager
def _tiff(file: BinaryIO) -> Iterator:
    """Opens a TIFF; errors of tifffile in the body become a DataError."""
    require_package("tifffile", "prep")
    require_package("imagecodecs", "prep")
    import tifffile

    # The errors below say what matters of its messages.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    try:
        # OME-XML may describe a set of several files; this file's own pages are read.
        with tifffile.TiffFile(file, is_ome=False) as tiff:
            yield tiff
    except UserError:
        raise
    except Exception:
        # Damaged files make tifffile raise errors of nearly every type.
        raise DataError("a damaged image: expected a whole TIFF") from None


def _tiff_form(tiff, types: tuple[str, ...]) -> tuple[ImageForm, str]:
    """Returns the form and the axes of a TIFF's only image.

    Axes of length 1 are left out.
    """
    series, page = tiff.series[0], tiff.pages[0]
    named = zip(series.axes, series.shape, strict=True)
    sizes = [(axis, size) for axis, size in named if size > 1 or axis in "YX"]
    axes = "".join(axis for axis, _ in sizes)
    is_image = len(tiff.series) == 1 and re.fullmatch(_AXES, axes)
    if not is_image or not _has_ome_channels(page.description if page.is_ome else ""):
        raise DataError(
            "several images in one file: expected a TIFF with height, width and "
            f"channels in order, not a stack ({series.axes} {list(series.shape)})"
        )
    depth = 8 * series.dtype.itemsize
    if series.dtype.name not in types or page.bitspersample != depth:
        raise DataError(
            f"an image of another depth: expected a TIFF of {', '.join(types)}, not "
            f"{series.dtype} of {page.bitspersample} bits"
        )
    if not _has_intensities(page):
        raise DataError(
            "an image of another kind: expected a TIFF that is grey or RGB, with "
            "intensities as values (0 is black), without a palette of colors"
        )
    lengths = dict(sizes)
    height, width = lengths.pop("Y"), lengths.pop("X")
    channels = next(iter(lengths.values()), 1)
    return ImageForm(height, width, channels, depth), axes


def _has_intensities(page) -> bool:
    kind = int(page.photometric)
    if kind == _PALETTE:
        # Some microscopes write a ramp of greys, which does not change the values.
        ramp = page.colormap.astype(int)
        return bool((ramp == ramp[0]).all() and (np.diff(ramp[0]) > 0).all())
    # tifffile converts JPEG's YCbCr to RGB.
    return kind in (_GREY, _RGB) or (kind == _YCBCR and page.compression.name == "JPEG")


def _has_ome_channels(xml: str) -> bool:
    """Whether the pages that OME-XML describes are the channels of one image."""
    depths = [int(size) for size in re.findall(r'\bSize[ZT]\s*=\s*"(\d{1,9})"', xml)]
    order = [int(first) for first in re.findall(r'\bFirstC\s*=\s*"(\d{1,9})"', xml)]
    return xml.count("<Pixels") <= 1 == math.prod(depths) and order == sorted(order)
