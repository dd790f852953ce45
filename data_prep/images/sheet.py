"""Sheets of example crops: a row for each label, as composites and protein alone."""

import os
from collections.abc import Mapping, Sequence

import numpy as np

from tfvqgen.data.images import write_image
from tfvqgen.data.sheets import sheet_of_rows


def pick_examples(labels_of: Sequence[Sequence[str]], per_label: int) -> dict:
    """Returns label -> indices of at most `per_label` crops, single labels first."""
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
    """Writes a PNG with one row for each label.

    Args:
        path: The PNG file.
        examples: Label -> images uint8 [H, W, 4] of one size.
    """
    rows = [
        (
            label,
            [
                *(np.ascontiguousarray(image[..., :3]) for image in images),
                *(np.repeat(image[..., 1:2], 3, axis=-1) for image in images),
            ],
        )
        for label, images in examples.items()
    ]
    write_image(path, sheet_of_rows(rows))
