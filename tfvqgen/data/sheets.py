"""Sheets of images under or beside their names, for people to look at."""

# Shapes: B images of H x W pixels and C channels.

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfvqgen.data.images import composite

BACKGROUND = (24, 24, 24)

_GAP = 4
_HEADER = 16
_NAME_WIDTH = 190
# What of the brightest pixels may be lost, and how far dark stainings are brightened.
_PEAK_QUANTILE = 0.998
_DIMMEST_PEAK = 0.05


def brightening(images: np.ndarray) -> np.ndarray:
    """Returns one factor a channel that makes dark stainings visible, float [C].

    Args:
        images: In [0, 1], [..., C].
    """
    axes = tuple(range(images.ndim - 1))
    peak = np.quantile(images, _PEAK_QUANTILE, axis=axes)
    return 1 / np.maximum(peak, _DIMMEST_PEAK)


def shown(
    images: np.ndarray, display: Sequence[int | None], gain: np.ndarray
) -> np.ndarray:
    """Returns composites of brightened images, uint8 [..., H, W, 3].

    Args:
        images: In [0, 1], [..., H, W, C].
        display: The channels shown red, green and blue.
        gain: Of each channel, [C].
    """
    pixels = np.round(np.clip(images * gain, 0, 1) * 255)
    return composite(pixels.astype(np.uint8), display)


def sheet_of_columns(
    columns: Mapping[str, np.ndarray], display: Sequence[int | None]
) -> np.ndarray:
    """Draws columns of images under their names.

    Every channel is brightened by one factor for the whole sheet, taken from the first
    column, so that columns can be compared.

    Args:
        columns: Images in [0, 1], [B, H, W, C], by column name; the first is the
            reference.
        display: The channels shown red, green and blue.

    Returns:
        The picture, uint8 [height, width, 3].
    """
    reference = next(iter(columns.values()))
    gain = brightening(reference)
    rows, height, width, _ = reference.shape
    zoom = _zoom(height, width, 128)
    cell = (width * zoom + _GAP, height * zoom + _GAP)
    picture = Image.new("RGB", (cell[0] * len(columns), cell[1] * rows + _HEADER))
    draw = ImageDraw.Draw(picture)
    for column, (name, images) in enumerate(columns.items()):
        draw.text((column * cell[0] + 2, 2), name, fill="white")
        for row, image in enumerate(shown(images, display, gain)):
            place = (column * cell[0], row * cell[1] + _HEADER)
            picture.paste(_enlarged(image, zoom), place)
    return np.asarray(picture)


def sheet_of_rows(rows: Sequence[tuple[str, Sequence[np.ndarray]]]) -> np.ndarray:
    """Draws rows of pictures beside their names.

    Args:
        rows: Names and pictures, uint8 [H, W, 3] of one size; a row may be empty.

    Returns:
        The sheet, uint8 [height, width, 3].
    """
    most = max(len(pictures) for _, pictures in rows)
    height, width = next(
        picture.shape[:2] for _, pictures in rows for picture in pictures
    )
    # Small crops are enlarged by whole factors so that they can be seen.
    zoom = _zoom(height, width, 96)
    cell = (width * zoom + _GAP, height * zoom + _GAP)
    size = (_NAME_WIDTH + most * cell[0] + _GAP, len(rows) * cell[1] + _GAP)
    picture = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=13)
    for row, (name, pictures) in enumerate(rows):
        top = _GAP + row * cell[1]
        middle = (8, top + cell[1] // 2)
        text = "\n".join(wrapped(name, font, _NAME_WIDTH - 16))
        draw.multiline_text(middle, text, "white", font, anchor="lm")
        for column, tile in enumerate(pictures):
            place = (_NAME_WIDTH + column * cell[0], top)
            picture.paste(_enlarged(tile, zoom), place)
    return np.asarray(picture)


def wrapped(text: str, font, width: float) -> list[str]:
    """Breaks a text between words into lines of at most so many pixels."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _zoom(height: int, width: int, side: int) -> int:
    return max(1, side // min(height, width))


def _enlarged(picture: np.ndarray, zoom: int) -> Image.Image:
    size = (picture.shape[1] * zoom, picture.shape[0] * zoom)
    return Image.fromarray(picture).resize(size, Image.Resampling.NEAREST)
