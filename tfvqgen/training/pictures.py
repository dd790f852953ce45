"""Sheets of images side by side, for people to look at."""

# Shapes: B images of H x W pixels and C channels.

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from tfvqgen.data.images import composite

MARGIN = 4
HEADER = 16
SMALLEST_SIDE = 128


def sheet(
    columns: Mapping[str, np.ndarray], display: Sequence[int | None]
) -> np.ndarray:
    """Draws columns of images under their names.

    Every channel is brightened by one factor for the whole sheet, taken from the first
    column, so that dark stainings can be seen and columns can be compared.

    Args:
        columns: Images in [0, 1], [B, H, W, C], by column name; the first is the
            reference.
        display: The channels shown red, green and blue.

    Returns:
        The picture, uint8 [height, width, 3].
    """
    reference = next(iter(columns.values()))
    peak = np.quantile(reference, 0.998, axis=(0, 1, 2))
    gain = 1 / np.maximum(peak, 0.05)
    rows, height, width, _ = reference.shape
    zoom = max(1, SMALLEST_SIDE // min(height, width))
    cell = (width * zoom + MARGIN, height * zoom + MARGIN)
    picture = Image.new("RGB", (cell[0] * len(columns), cell[1] * rows + HEADER))
    draw = ImageDraw.Draw(picture)
    for column, (name, images) in enumerate(columns.items()):
        draw.text((column * cell[0] + 2, 2), name, fill=(255, 255, 255))
        for row, image in enumerate(images):
            shown = np.clip(image * gain, 0, 1) * 255
            tile = Image.fromarray(composite(np.round(shown).astype(np.uint8), display))
            tile = tile.resize((width * zoom, height * zoom), Image.Resampling.NEAREST)
            picture.paste(tile, (column * cell[0], row * cell[1] + HEADER))
    return np.asarray(picture)
