"""A confusion matrix as a picture."""

# Shapes: L labels.

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfvqgen.data.sheets import BACKGROUND

_CELL = 26
_NAME_SIZE = 13
_NUMBER_SIZE = 11
_GAP = 8
_EMPTY = (40, 40, 44)
# From no cell to all of a row.
_COLOURS = np.array([(34, 34, 38), (46, 92, 150), (64, 166, 140), (245, 222, 96)])


def confusion_picture(
    confusion: np.ndarray, names: Sequence[str], rows: str, columns: str
) -> np.ndarray:
    """Draws which labels cells were taken for, each row as shares of its cells.

    Args:
        confusion: Cells of a label (row) by what they were taken for (column), [L, L].
        names: Of the L labels.
        rows: What rows are, said in the corner.
        columns: What columns are.

    Returns:
        uint8 [height, width, 3]; shares are written as percent where they are at least
        1 %. Rows without cells are empty.
    """
    confusion = np.asarray(confusion, np.float64)
    totals = confusion.sum(axis=1, keepdims=True)
    shares = confusion / np.maximum(totals, 1e-12)
    font = ImageFont.load_default(_NAME_SIZE)
    margin = round(max(font.getlength(name) for name in [*names, rows])) + 2 * _GAP
    side = margin + _CELL * len(names) + _GAP
    width = max(side, margin + round(font.getlength(columns)) + _GAP)
    made = Image.new("RGB", (width, side + _NAME_SIZE), BACKGROUND)
    top = margin + _NAME_SIZE
    _write_names(made, names, font, margin, top)
    draw = ImageDraw.Draw(made)
    draw.text((margin, _GAP), columns, "white", font)
    draw.text((_GAP, top - _GAP), rows, "white", font, anchor="ls")
    for row, (total, of_row) in enumerate(zip(totals[:, 0], shares, strict=True)):
        for column, share in enumerate(of_row):
            place = (margin + column * _CELL, top + row * _CELL)
            _draw_share(draw, place, share if total else None)
    return np.asarray(made)


def _write_names(made: Image.Image, names, font, margin: int, top: int) -> None:
    draw = ImageDraw.Draw(made)
    for index, name in enumerate(names):
        middle = _CELL * index + _CELL / 2
        place = (margin - _GAP, top + middle)
        draw.text(place, name, "white", font, anchor="rm")
        length = margin - _GAP
        upright = Image.new("RGB", (length, _CELL), BACKGROUND)
        place = (0, _CELL / 2)
        ImageDraw.Draw(upright).text(place, name, "white", font, anchor="lm")
        turned = upright.rotate(90, expand=True)
        made.paste(turned, (margin + _CELL * index, top - _GAP // 2 - length))


def _draw_share(draw: ImageDraw.ImageDraw, place, share: float | None) -> None:
    x, y = place
    box = (x, y, x + _CELL - 2, y + _CELL - 2)
    if share is None:
        draw.rectangle(box, _EMPTY)
        return
    draw.rectangle(box, colour(share))
    percent = round(100 * share)
    if percent:
        font = ImageFont.load_default(_NUMBER_SIZE)
        middle = (x + _CELL / 2 - 1, y + _CELL / 2 - 1)
        ink = "black" if share > 0.5 else "white"
        draw.text(middle, str(percent), ink, font, anchor="mm")


def colour(share: float) -> tuple[int, ...]:
    """Returns the colour of a share, brighter the larger it is."""
    stops = np.linspace(0, 1, len(_COLOURS))
    return tuple(round(float(np.interp(share, stops, x))) for x in _COLOURS.T)
