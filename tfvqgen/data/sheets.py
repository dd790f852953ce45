"""Sheets of images with names: B images of H x W pixels and C channels."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfvqgen.data.images import composite

BACKGROUND = (24, 24, 24)

_GAP = 4
_HEADER = 16
_NAME_WIDTH = 190
# The quantile of the pixels that becomes white, and its smallest value.
_PEAK_QUANTILE = 0.998
_DIMMEST_PEAK = 0.05


def brightening(images: np.ndarray) -> np.ndarray:
    """Returns a brightness factor for each channel, float [C], for images [..., C]."""
    axes = tuple(range(images.ndim - 1))
    peak = np.quantile(images, _PEAK_QUANTILE, axis=axes)
    return 1 / np.maximum(peak, _DIMMEST_PEAK)


def shown(
    images: np.ndarray, display: Sequence[int | None], gain: np.ndarray
) -> np.ndarray:
    """Returns brightened images in display colours, uint8 [..., H, W, 3].

    Args:
        images: Images in [0, 1], [..., H, W, C].
        display: As in :func:`composite`.
        gain: The brightness factor of each channel, [C].
    """
    pixels = np.round(np.clip(images * gain, 0, 1) * 255)
    return composite(pixels.astype(np.uint8), display)


def sheet_of_columns(
    columns: Mapping[str, np.ndarray], display: Sequence[int | None]
) -> np.ndarray:
    """Draws columns of images under their names, uint8 [height, width, 3].

    The brightness of each channel follows from the first column, so that columns can be
    compared.

    Args:
        columns: Images in [0, 1], [B, H, W, C], by column name.
        display: The indices of the channels shown red, green and blue.
    """
    reference = next(iter(columns.values()))
    gain = brightening(reference)
    rows, height, width, _ = reference.shape
    zoom = _zoom(height, width, 128)
    cell = (width * zoom + _GAP, height * zoom + _GAP)
    sheet = Image.new("RGB", (cell[0] * len(columns), cell[1] * rows + _HEADER))
    draw = ImageDraw.Draw(sheet)
    for column, (name, images) in enumerate(columns.items()):
        draw.text((column * cell[0] + 2, 2), name, fill="white")
        for row, image in enumerate(shown(images, display, gain)):
            place = (column * cell[0], row * cell[1] + _HEADER)
            sheet.paste(_enlarged(image, zoom), place)
    return np.asarray(sheet)


def sheet_of_rows(rows: Sequence[tuple[str, Sequence[np.ndarray]]]) -> np.ndarray:
    """Draws rows of images beside their names, uint8 [height, width, 3].

    The images are uint8 [H, W, 3] of the same size; a row may be empty.
    """
    most = max(len(images) for _, images in rows)
    height, width = next(image.shape[:2] for _, images in rows for image in images)
    zoom = _zoom(height, width, 96)
    cell = (width * zoom + _GAP, height * zoom + _GAP)
    size = (_NAME_WIDTH + most * cell[0] + _GAP, len(rows) * cell[1] + _GAP)
    sheet = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=13)
    for row, (name, images) in enumerate(rows):
        top = _GAP + row * cell[1]
        middle = (8, top + cell[1] // 2)
        text = "\n".join(wrapped(name, font, _NAME_WIDTH - 16))
        draw.multiline_text(middle, text, "white", font, anchor="lm")
        for column, tile in enumerate(images):
            place = (_NAME_WIDTH + column * cell[0], top)
            sheet.paste(_enlarged(tile, zoom), place)
    return np.asarray(sheet)


def wrapped(text: str, font, width: float) -> list[str]:
    """Breaks a text between words into lines of at most `width` pixels."""
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


def _enlarged(image: np.ndarray, zoom: int) -> Image.Image:
    size = (image.shape[1] * zoom, image.shape[0] * zoom)
    return Image.fromarray(image).resize(size, Image.Resampling.NEAREST)
