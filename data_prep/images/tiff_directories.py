"""What a TIFF's directories claim, judged before anything believes them.

A reader follows pages from one to the next and takes as many values as an entry says
there are. A few bytes can so ask for work without end: pages in a circle, an image of
less than no width, a million directories below one page.
"""

import math
import re
import struct
from collections.abc import Iterator

from tfvqgen.errors import DataError

# More than any field's channels, so that a stack can still be told what it is.
_MOST_PAGES = 2**10
_MOST_TAGS = 2**9
# Numbers in all entries together: each tile of the largest image has two.
_MOST_NUMBERS = 2**20
# Text in all entries together: what OME writes about a field is a thousandth of it.
_MOST_TEXT = 2**23
# Types of TIFF 6.0 and BigTIFF: bytes, text, and those that are not negative.
_BYTES, _TEXT = (1, 6, 7), 2
_UNSIGNED = (1, 3, 4, 13, 16, 18)
# Width, length, samples a pixel, rows a strip, width and length of tiles.
_SIZES = (256, 257, 277, 278, 322, 323)
_BELOW = 330


def check_directories(data: bytes) -> None:
    """Refuses a TIFF whose directories are cut off or ask for work without end.

    Raises:
        DataError: A page is missing, comes twice, or has sizes that can't be; or there
            are too many pages, entries or values.
    """
    order = "<" if data.startswith(b"II") else ">"
    big = b"+" in data[2:4]
    pages, numbers, letters = set(), 0, 0
    try:
        for place, entries in _chain(data, order, big):
            if place in pages:
                raise DataError(
                    "a damaged image: expected a TIFF whose pages are not in a circle"
                )
            pages.add(place)
            for tag, kind, count in entries:
                if tag in _SIZES and kind not in _UNSIGNED:
                    raise DataError(
                        "a damaged image: expected a TIFF whose sizes are whole numbers"
                    )
                # Directories below a page count as much as it does.
                weight = _MOST_NUMBERS // _MOST_PAGES if tag == _BELOW else 1
                numbers += 0 if kind in (*_BYTES, _TEXT) else weight * count
                letters += count if kind == _TEXT else 0
            if (
                len(pages) > _MOST_PAGES
                or numbers > _MOST_NUMBERS
                or letters > _MOST_TEXT
            ):
                raise _too_much()
    except (struct.error, OverflowError):
        # Beyond the end, or beyond what any file can have.
        raise DataError("a truncated image: expected a whole TIFF") from None


def check_ome(text: str) -> None:
    """Refuses words of the Open Microscopy Environment that claim planes without end.

    Judged are the largest numbers anywhere in them, so that no one is missed.

    Raises:
        DataError: The images they tell of may have more planes than any file.
    """
    try:
        sizes = [_largest(text, f"Size{axis}") for axis in "CZT"]
        planes = text.count("Pixels") * math.prod(sizes)
        planes += text.count("TiffData") * _largest(text, "PlaneCount|NumPlanes")
        steps = [abs(float(step)) for step in _said(text, "Step")]
        planes += _largest(text, "Start|End") / min([1, *steps])
    except (ValueError, ZeroDivisionError):
        planes = math.inf
    # Definitions could say any of it in other words.
    if "<!DOCTYPE" in text or not planes <= _MOST_NUMBERS:
        raise _too_much()


def _largest(text: str, names: str) -> float:
    return max((abs(float(value)) for value in _said(text, names)), default=1)


def _said(text: str, names: str) -> list[str]:
    """Returns the values of all attributes of these names."""
    return re.findall(rf"""\b(?:{names})\s*=\s*["']([^"']*)""", text)


def _too_much() -> DataError:
    return DataError(
        f"too much in one file: expected a TIFF of at most {_MOST_PAGES} pages, "
        f"{_MOST_NUMBERS} numbers and {_MOST_TEXT} bytes of text about them"
    )


def _chain(
    data: bytes, order: str, big: bool
) -> Iterator[tuple[int, list[tuple[int, int, int]]]]:
    """Yields where directories are and their entries: tag, type, number of values."""
    number, pointer = (order + "Q", order + "Q") if big else (order + "H", order + "I")
    entry = order + ("HHQ8x" if big else "HHI4x")
    (place,) = struct.unpack_from(pointer, data, 8 if big else 4)
    while place:
        (count,) = struct.unpack_from(number, data, place)
        start = place + struct.calcsize(number)
        end = start + count * struct.calcsize(entry)
        (after,) = struct.unpack_from(pointer, data, end)
        if count > _MOST_TAGS:
            raise DataError(
                f"a damaged image: expected a TIFF with at most {_MOST_TAGS} entries a "
                "page"
            )
        yield place, list(struct.iter_unpack(entry, data[start:end]))
        place = after
