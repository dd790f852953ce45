"""Reading of TIFFs that anybody wrote: one image of 8 or 16 bits, exactly.

Shapes: [H, W, C] height, width, channels. Channels may be samples of a pixel, planes or
pages.
"""

import contextlib
import io
import logging
import zlib
from collections.abc import Iterator

import numpy as np

from data_prep.images.tiff_directories import check_directories, check_ome
from tfvqgen.errors import DataError, UserError, require_package

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# What intensities are kept in, and what tools write who number objects.
INTENSITY_TYPES = ("uint8", "uint16")
LABEL_TYPES = (*INTENSITY_TYPES, "uint32", "uint64", "int8", "int16", "int32", "int64")
_PLAIN, _DEFLATE = 1, (8, 32946)
# What Pillow undoes where tifffile would need another package: LZW and PackBits.
_BY_PILLOW = (5, 32773)
_GREY, _RGB = 1, 2
# Where the channels are; tifffile calls pages of unknown meaning I or Q.
_AXES = {"YX": None, "YXS": 2, "SYX": 0, "CYX": 0, "IYX": 0, "QYX": 0, "YXC": 2}


def tiff_form(
    data: bytes, types: tuple[str, ...] = INTENSITY_TYPES
) -> tuple[int, int, int, int]:
    """Returns height, width, channels and depth in bits.

    Raises:
        DataError: It is not one image of one of these types.
    """
    with _opened(data) as file:
        return _form(file, types)


def decode_tiff(data: bytes, types: tuple[str, ...] = INTENSITY_TYPES) -> np.ndarray:
    """Decodes a TIFF as it is, [H, W, C]; its size must have been judged.

    Raises:
        DataError: It is truncated or damaged, or of a kind that can't be read exactly.
    """
    with _opened(data) as file:
        height, width, channels, depth = _form(file, types)
        pages = list(file.series[0].pages)
        for page in pages:
            _check_segments(page, data)
        compression = int(pages[0].compression)
        if compression in _BY_PILLOW:
            pixels = _decode_by_pillow(data, channels, depth)
        else:
            pixels = file.series[0].asarray()
            channel_axis = _AXES[file.series[0].axes]
            if channel_axis is not None:
                pixels = np.moveaxis(pixels, channel_axis, -1)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    if pixels.shape != (height, width, channels) or pixels.dtype.itemsize * 8 != depth:
        raise DataError("a damaged image: expected a TIFF as its header says")
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


@contextlib.contextmanager
def _opened(data: bytes) -> Iterator:
    require_package("tifffile", "prep")
    import tifffile

    # What it would log is in the error's sentence or does not matter.
    logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)
    # It would pass over pages that are missing, and go round in circles.
    check_directories(data)
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            if file.is_ome:
                check_ome(file.ome_metadata)
            yield file
    except UserError:
        raise
    except Exception:
        # There is nothing that a damaged file can't make tifffile stumble over.
        raise DataError("a damaged image: expected a whole TIFF that decodes") from None


def _form(file, types: tuple[str, ...]) -> tuple[int, int, int, int]:
    if len(file.series) != 1 or len(file.series[0].levels) != 1:
        raise DataError("several images in one file: expected a TIFF with one")
    series, page = file.series[0], file.pages[0]
    if series.axes not in _AXES:
        raise DataError(
            "an image of another form: expected a TIFF with height, width and "
            f"channels, not {series.axes}"
        )
    if series.dtype.name not in types:
        raise DataError(
            f"an image of another depth: expected a TIFF of {', '.join(types)}, not "
            f"{series.dtype}"
        )
    whole = page.bitspersample == 8 * series.dtype.itemsize
    if int(page.photometric) not in (_GREY, _RGB) or not whole:
        raise DataError(
            "an image of another kind: expected a TIFF that is grey or RGB, its "
            "values intensities"
        )
    axis = _AXES[series.axes]
    shape = list(series.shape)
    channels = 1 if axis is None else shape.pop(axis)
    return shape[0], shape[1], channels, 8 * series.dtype.itemsize


def _check_segments(page, data: bytes) -> None:
    """Refuses strips and tiles that are not there or would unpack to too much."""
    compression = int(page.compression)
    if compression not in (_PLAIN, *_DEFLATE, *_BY_PILLOW):
        raise DataError(
            "another compression: expected a TIFF that is not compressed, or by "
            "deflate, LZW or PackBits"
        )
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    most = int(np.prod(page.chunks)) * page.dtype.itemsize
    for offset, count in segments:
        if count < 1 or offset + count > len(data):
            raise DataError("a truncated image: expected a whole TIFF")
        if compression in _DEFLATE:
            packer = zlib.decompressobj()
            unpacked = packer.decompress(data[offset : offset + count], most + 1)
            if len(unpacked) > most or not packer.eof:
                raise DataError("a damaged image: expected a TIFF as its header says")


def _decode_by_pillow(data: bytes, channels: int, depth: int) -> np.ndarray:
    from PIL import Image

    if channels != 1 and (channels, depth) != (3, 8):
        raise DataError(
            f"{channels} channels of {depth} bits compressed by LZW or PackBits: "
            "expected a TIFF that is not compressed, or by deflate"
        )
    return np.asarray(Image.open(io.BytesIO(data), formats=("TIFF",)))
