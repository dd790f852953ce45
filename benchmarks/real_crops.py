"""Crops around the nuclei of Human Protein Atlas fields, in a few lines.

Enough to compare autoencoders on real cells: nuclei found by a local threshold and
split by a watershed, a square around each, no screening. Fields are in the layout of
the Kaggle 2018 data: ``train.csv`` (``Id,Target``) beside ``train/<Id>_<colour>.png``.
"""

import csv
import dataclasses
import hashlib
from pathlib import Path

import numpy as np

from tfvqgen.errors import DataError

CHANNELS = ("red", "green", "blue", "yellow")
NUCLEUS = CHANNELS.index("blue")
SMALLEST_NUCLEUS = 150  # Pixels.
HELD_OUT_SHARE = 0.2


@dataclasses.dataclass(frozen=True)
class Crops:
    """Crops and where they come from, crop i in row i of everything.

    Attributes:
        images: uint8 [N, size, size, 4], channels as in ``CHANNELS``.
        fields: The id of each crop's field.
        targets: The labels of each crop's field, space-separated indices.
        corners: int [N, 2], the upper row and left column of each crop in its field.
        held_out: bool [N], true for the crops of held-out fields.
    """

    images: np.ndarray
    fields: np.ndarray
    targets: np.ndarray
    corners: np.ndarray
    held_out: np.ndarray


def cut(folder: Path, size: int = 128, most_fields: int | None = None) -> Crops:
    """Cuts crops that lie fully inside their field; holds out a fifth of the fields.

    Args:
        folder: The fields.
        size: Side of a crop, pixels.
        most_fields: Cut the first so many fields only.

    Raises:
        DataError: `folder` is not in the Kaggle 2018 layout.
    """
    rows = _field_rows(folder)[:most_fields]
    held_out = _held_out_fields([row["Id"] for row in rows])
    images, corners, owners = [], [], []
    for row in rows:
        field = _read_field(folder, row["Id"])
        for y, x in _corners(field[..., NUCLEUS], size):
            images.append(field[y : y + size, x : x + size])
            corners.append((y, x))
            owners.append(row)
    return Crops(
        images=np.stack(images),
        fields=np.array([row["Id"] for row in owners]),
        targets=np.array([row["Target"] for row in owners]),
        corners=np.array(corners),
        held_out=np.array([row["Id"] in held_out for row in owners]),
    )


def nuclei(blue: np.ndarray) -> np.ndarray:
    """Finds nuclei in a nucleus channel [H, W]: int labels [H, W], 0 = background."""
    from scipy import ndimage
    from skimage import feature, filters, measure, morphology, segmentation

    smooth = filters.gaussian(blue, 1.5, preserve_range=True)
    mask = smooth > filters.threshold_local(smooth, 151, method="gaussian")
    mask &= smooth > filters.threshold_otsu(smooth) / 2
    mask = ndimage.binary_fill_holes(mask)
    mask = ndimage.binary_opening(mask, morphology.disk(2))
    mask = morphology.remove_small_objects(mask, max_size=SMALLEST_NUCLEUS - 1)
    depth = filters.gaussian(ndimage.distance_transform_edt(mask), 2)
    peaks = feature.peak_local_max(
        depth, min_distance=10, threshold_abs=4, labels=measure.label(mask)
    )
    markers = np.zeros(mask.shape, int)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return segmentation.watershed(-depth, markers, mask=mask)


def _corners(blue: np.ndarray, size: int) -> list[tuple[int, int]]:
    from skimage import measure

    corners = []
    for region in measure.regionprops(nuclei(blue)):
        y, x = (round(c) - size // 2 for c in region.centroid)
        inside = 0 <= y <= blue.shape[0] - size and 0 <= x <= blue.shape[1] - size
        if inside and region.area >= SMALLEST_NUCLEUS:
            corners.append((y, x))
    return corners


def _held_out_fields(ids: list[str]) -> set[str]:
    shuffled = sorted(ids, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return set(shuffled[: round(HELD_OUT_SHARE * len(ids))])


def _field_rows(folder: Path) -> list[dict[str, str]]:
    table = folder / "train.csv"
    if not table.is_file():
        raise DataError(
            "no fields: expected a folder with train.csv and train/ (the Kaggle 2018 "
            f"layout). Received: {folder}"
        )
    with open(table, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"Id", "Target"} <= rows[0].keys():
        raise DataError(f"no fields: expected columns Id,Target. Received: {table}")
    return rows


def _read_field(folder: Path, name: str) -> np.ndarray:
    """Reads one field as uint8 [H, W, 4]."""
    from skimage import io

    paths = [folder / "train" / f"{name}_{channel}.png" for channel in CHANNELS]
    for path in paths:
        if not path.is_file():
            raise DataError(f"missing channel: expected an image. Received: {path}")
    return np.stack([io.imread(path) for path in paths], axis=-1)
