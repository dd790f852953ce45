"""A picture of all labels: composites, and the protein alone beside them."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

_GAP, _NAME_HEIGHT = 2, 14


def pick_examples(labels_of: Sequence[Sequence[str]], per_label: int) -> dict:
    """Returns for each label the places of a few examples, single labels first.

    Args:
        labels_of: The labels of each crop.
        per_label: The most examples of a label.
    """
    order = sorted(range(len(labels_of)), key=lambda i: len(labels_of[i]))
    places: dict[str, list[int]] = {}
    for place in order:
        for label in labels_of[place]:
            places.setdefault(label, []).append(place)
    return {
        # Evenly spaced, so that they come from several wells.
        label: found[:: max(len(found) // per_label, 1)][:per_label]
        for label, found in places.items()
    }


def write_sheet(
    path: str | os.PathLike, examples: Mapping[str, Sequence[np.ndarray]]
) -> None:
    """Writes a PNG with one row a label.

    Args:
        path: The picture's name.
        examples: For each label, images uint8 [H, W, 4] of one size.
    """
    from tfvqgen.files import whole_file

    most = max(len(images) for images in examples.values())
    size = next(len(images[0]) for images in examples.values() if images)
    step, row_height = size + _GAP, size + _NAME_HEIGHT
    sheet = Image.new("RGB", (2 * most * step, len(examples) * row_height))
    pen = ImageDraw.Draw(sheet)
    for row, (label, images) in enumerate(examples.items()):
        top = row * row_height
        pen.text((2, top), label, fill="white")
        for column, image in enumerate(images):
            place = (column * step, top + _NAME_HEIGHT)
            sheet.paste(Image.fromarray(np.ascontiguousarray(image[..., :3])), place)
            place = ((most + column) * step, top + _NAME_HEIGHT)
            sheet.paste(Image.fromarray(np.ascontiguousarray(image[..., 1])), place)
    with whole_file(path) as file:
        sheet.save(file, "PNG")
