"""How long a TIFF must be, told from its first directory."""

import struct
from typing import BinaryIO

# Signature -> byte order, and whether it is a BigTIFF.
SIGNATURES = {
    b"II*\0": ("<", False),
    b"MM\0*": (">", False),
    b"II+\0": ("<", True),
    b"MM\0+": (">", True),
}
# Where strips or tiles are, and how long: the tags of TIFF 6.0.
_OFFSETS, _LENGTHS = (273, 324), (279, 325)
_NUMBERS = {3: "H", 4: "I", 16: "Q"}
_MOST_SEGMENTS = 2**20
_MOST_TAGS = 2**12
_FARTHEST = 2**40


def tiff_extent(file: BinaryIO) -> int:
    """Returns where the last strip or tile of the first image ends.

    Args:
        file: Its signature has been seen.

    Raises:
        ValueError: The directory is not there or can't be true.
    """
    file.seek(0)
    order, big = SIGNATURES[file.read(4)]
    try:
        tags = _directory(file, order, big)
        offsets = _only([tags.get(tag) for tag in _OFFSETS])
        lengths = _only([tags.get(tag) for tag in _LENGTHS])
        ends = [a + b for a, b in zip(offsets, lengths, strict=True)]
    except struct.error as error:
        raise ValueError("the directory is cut off") from error
    return max(ends)


def _directory(file: BinaryIO, order: str, big: bool) -> dict[int, tuple[int, ...]]:
    """Returns the values of the tags that matter here."""
    word = "Q" if big else "I"
    file.seek(8 if big else 4)
    (start,) = _read(file, order + word)
    _seek(file, start)
    (count,) = _read(file, order + ("Q" if big else "H"))
    if count > _MOST_TAGS:
        raise ValueError("too many tags")
    entries = [_read(file, f"{order}HH{word}{_length(word)}s") for _ in range(count)]
    values = {}
    for tag, kind, number, value in entries:
        if tag not in (*_OFFSETS, *_LENGTHS):
            continue
        if kind not in _NUMBERS or not 0 < number <= _MOST_SEGMENTS:
            raise ValueError("wrong strips")
        form = f"{order}{number}{_NUMBERS[kind]}"
        if struct.calcsize(form) <= len(value):
            values[tag] = struct.unpack_from(form, value)
        else:
            _seek(file, *struct.unpack(order + word, value))
            values[tag] = _read(file, form)
    return values


def _seek(file: BinaryIO, place: int) -> None:
    if place > _FARTHEST:
        raise ValueError("beyond any file's end")
    file.seek(place)


def _length(word: str) -> int:
    return struct.calcsize("<" + word)


def _read(file: BinaryIO, form: str) -> tuple:
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _only(found: list) -> tuple[int, ...]:
    (values,) = [x for x in found if x is not None]
    return values
