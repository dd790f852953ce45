"""Is a file the whole image that its name says? Told from its ends, not decoded."""

import gzip
import os
import zlib
from pathlib import Path
from typing import BinaryIO

from data_prep.download.tiff_extent import SIGNATURES, tiff_extent

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_JPEG_START = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_STARTS = {
    "PNG": (_PNG_START,),
    "JPEG": (_JPEG_START,),
    "TIFF": tuple(SIGNATURES),
}
_KINDS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
_ENDS = 1024
# Seven times what the largest field of the atlas has in 16 bits and four channels.
_MOST_UNPACKED = 2**29


def what_is_wrong(path: Path, name: str) -> str:
    """Looks at the first and last bytes of an image.

    A ``.gz`` is unpacked, which checks its sum as well.

    Args:
        path: Where the bytes are.
        name: The image's name, which tells its kind.

    Returns:
        What is wrong, "" if nothing is.
    """
    if path.stat().st_size == 0:
        return "an empty file"
    name = name.lower()
    with open(path, "rb") as file:
        if not name.endswith(".gz"):
            kind = _KINDS[os.path.splitext(name)[1]]
            return _wrong_ends(kind, *_ends(file)) or _wrong_extent(kind, file)
        try:
            with gzip.open(file) as unpacked:
                start, end, size = _unpacked_ends(unpacked)
        except (EOFError, OSError, zlib.error):
            return "not a whole gzip file"
    if size > _MOST_UNPACKED:
        return f"a gzip file of more than {_MOST_UNPACKED >> 20} MB"
    return _wrong_ends(_KINDS[os.path.splitext(name[:-3])[1]], start, end)


def _wrong_ends(kind: str, start: bytes, end: bytes) -> str:
    if not start.startswith(_STARTS[kind]):
        return f"not a {kind}: it starts with {start[:12]!r}"
    whole = {
        "PNG": end.endswith(_PNG_END),
        # Some cameras fill the last block with zeros.
        "JPEG": end.rstrip(b"\0").endswith(_JPEG_END),
        "TIFF": True,
    }
    return "" if whole[kind] else f"a {kind} without its end"


def _wrong_extent(kind: str, file: BinaryIO) -> str:
    if kind != "TIFF":
        return ""
    try:
        whole = tiff_extent(file) <= file.seek(0, os.SEEK_END)
    except ValueError:
        whole = False
    return "" if whole else "a TIFF without its end"


def _ends(file: BinaryIO) -> tuple[bytes, bytes]:
    start = file.read(_ENDS)
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _ENDS))
    return start, file.read()


def _unpacked_ends(file: BinaryIO) -> tuple[bytes, bytes, int]:
    start = end = file.read(_ENDS)
    size = len(start)
    while size <= _MOST_UNPACKED and (piece := file.read(2**20)):
        end = (end + piece)[-_ENDS:]
        size += len(piece)
    return start, end, size
