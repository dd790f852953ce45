"""Pictures with a title above and a caption below."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfvqgen.data.sheets import BACKGROUND, wrapped

_MARGIN = 12
_TITLE_SIZE = 18
_CAPTION_SIZE = 14
_LINE = 20
_NARROWEST = 480
_GREY = (190, 190, 190)


def plate(picture: np.ndarray, title: str, caption: str) -> np.ndarray:
    """Puts a picture between its title and its caption.

    Args:
        picture: uint8 [height, width, 3].
        title: One line.
        caption: Broken into lines as wide as the picture.

    Returns:
        uint8 [height, width, 3], larger on all sides.
    """
    height, width = picture.shape[:2]
    across = max(width, _NARROWEST)
    title_font = ImageFont.load_default(_TITLE_SIZE)
    font = ImageFont.load_default(_CAPTION_SIZE)
    lines = wrapped(caption, font, across)
    top = 2 * _MARGIN + _TITLE_SIZE
    below = top + height + _MARGIN
    size = (across + 2 * _MARGIN, below + _LINE * len(lines) + _MARGIN)
    made = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(made)
    draw.text((_MARGIN, _MARGIN - 2), title, "white", title_font)
    made.paste(Image.fromarray(picture), (_MARGIN, top))
    for number, line in enumerate(lines):
        draw.text((_MARGIN, below + _LINE * number), line, _GREY, font)
    return np.asarray(made)


def beside(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Puts pictures uint8 [height, width, 3] in a row, aligned at the top."""
    height = max(picture.shape[0] for picture in pictures)
    width = sum(picture.shape[1] + _MARGIN for picture in pictures) - _MARGIN
    made = np.empty((height, width, 3), np.uint8)
    made[:] = BACKGROUND
    left = 0
    for picture in pictures:
        made[: picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + _MARGIN
    return made
