"""Quality columns of every cell of a field, and the reasons to reject a cell.

Legend: [H, W, C] rows, columns and channels of a field, N nuclei.

================  =====================================================================
inside_field      share of the crop's pixels that lie in the field
touches_border    1 if the nucleus touches the field's border, else 0
nucleus_area      square micrometres; 0 for a cell without a nucleus
solidity          area of the nucleus divided by the area of its convex hull
eccentricity      of the ellipse with the same second moments: 0 a disk, 1 a line
focus             sharpness of the nucleus channel: variance of its Laplacian divided by
                  its variance, on the nucleus and just around it
saturated         share of the cell's saturated pixels, in the worst channel
protein_signal    mean protein signal of the cell above the field's background, as a
                  share of the type's maximum
crowding          share of the crop's pixels that belong to other nuclei
================  =====================================================================

The cell is the given one; without given cells it is the area within `CELL_REACH` of the
nucleus that is nearer to it than to any other nucleus.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from data_prep.cropping.cutting import centres, crop_corners, cut
from data_prep.segmentation.shapes import label_means, shape_columns
from tfvqgen.data.crops import Crop

COLUMNS = (
    *("inside_field", "touches_border", "nucleus_area", "solidity", "eccentricity"),
    *("focus", "saturated", "protein_signal", "crowding"),
)
CELL_REACH = 6.4  # Micrometres.
_EDGE_REACH = 1.28  # Micrometres around a nucleus that show how sharp its edge is.
_FOCUS_SMOOTHING = 0.64  # Micrometres.
# Share of the type's maximum: downscaled pixels at the maximum have some noise.
_SATURATION = 0.98
_BACKGROUND = 2  # Percentile of the protein channel.
_SEPARATOR = "; "


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Limits of an accepted cell; None removes a limit.

    Attributes:
        exempt_labels: Labels of fields with dividing cells, for which the limits on the
            nucleus's area, solidity and eccentricity do not apply.
    """

    least_inside_field: float | None = 1.0
    border_allowed: bool = False
    least_nucleus_area: float | None = 25.0
    most_nucleus_area: float | None = 800.0
    least_solidity: float | None = 0.9
    most_eccentricity: float | None = 0.95
    least_focus: float | None = 0.095
    most_saturated: float | None = 0.1
    least_protein_signal: float | None = 0.003
    most_crowding: float | None = 0.5
    exempt_labels: tuple[str, ...] = (
        "Mitotic spindle",
        "Mitotic chromosome",
        "Cytokinetic bridge",
        "Cleavage furrow",
        "Kinetochore",
        "Midbody",
        "Midbody ring",
    )


# Column, words for a value that is too low or too high, whether it is about the shape.
_LIMITED = (
    ("inside_field", "crop leaves the field", "", False),
    ("nucleus_area", "nucleus too small", "nucleus too large", True),
    ("solidity", "nucleus not convex", "", True),
    ("eccentricity", "", "nucleus too long", True),
    ("focus", "out of focus", "", False),
    ("saturated", "", "saturated", False),
    ("protein_signal", "no protein signal", "", False),
    ("crowding", "", "crowded by other nuclei", False),
)


def measure(
    field: np.ndarray,
    nuclei: np.ndarray,
    pixel_size: float,
    crop_size: int,
    *,
    nucleus: int,
    protein: int | None = None,
    cells: np.ndarray | None = None,
) -> list[dict[str, float]]:
    """Measures all cells of a field.

    Args:
        field: uint8 or uint16 [H, W, C], downscaled but not rescaled in intensity.
        nuclei: int32 labels [H, W].
        pixel_size: Micrometres a pixel.
        crop_size: Side of the crops, in pixels.
        nucleus: Index of the nucleus channel.
        protein: Index of the protein channel; None leaves out `protein_signal`.
        cells: int32 labels [H, W] with the numbers of `nuclei`.

    Returns:
        For label 1 to N: values by column, in the order of `COLUMNS`, rounded to the 5
        digits of the table. Shape and focus of a cell without a nucleus are nan.
    """
    from scipy import ndimage

    number = int((nuclei if cells is None else cells).max(initial=0))
    if not number:
        return []
    numbers = np.arange(1, number + 1)
    corners = crop_corners(centres(nuclei, cells), crop_size)
    inside = np.clip(corners + crop_size, 0, nuclei.shape)
    inside -= np.clip(corners, 0, nuclei.shape)
    others = []
    for own, corner in enumerate(corners.tolist(), 1):
        window = cut(nuclei, corner, crop_size)
        others.append(np.count_nonzero((window > 0) & (window != own)))
    border = np.concatenate([nuclei[0], nuclei[-1], nuclei[:, 0], nuclei[:, -1]])
    distance, (rows, columns) = ndimage.distance_transform_edt(
        nuclei == 0, pixel_size, return_indices=True
    )
    nearest = nuclei[rows, columns]
    around = np.where(distance <= _EDGE_REACH, nearest, 0)
    if cells is None:
        cells = np.where(distance <= CELL_REACH, nearest, 0)
    values = {
        "inside_field": inside.prod(1) / crop_size**2,
        "touches_border": np.isin(numbers, border),
        **shape_columns(nuclei, number, pixel_size),
        "focus": _focus(field[..., nucleus], around, numbers, pixel_size),
        "saturated": _saturated(field, cells, number),
        "crowding": np.array(others) / crop_size**2,
    }
    if protein is not None:
        values["protein_signal"] = _protein_signal(field[..., protein], cells, number)
    names = [name for name in COLUMNS if name in values]
    return [
        {name: float(f"{values[name][i]:.5g}") for name in names} for i in range(number)
    ]


def _focus(
    plane: np.ndarray, around: np.ndarray, numbers: np.ndarray, pixel_size: float
) -> np.ndarray:
    from scipy import ndimage

    sigma = _FOCUS_SMOOTHING / pixel_size
    smooth = ndimage.gaussian_filter(plane.astype(np.float32), sigma)
    # Multiplied by the squared scale: the same value for any pixel size.
    laplacian = ndimage.laplace(smooth) * np.float32(sigma**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        sharp = ndimage.variance(laplacian.astype(np.float64), around, numbers)
        return sharp / ndimage.variance(smooth.astype(np.float64), around, numbers)


def _saturated(field: np.ndarray, cells: np.ndarray, number: int) -> np.ndarray:
    limit = math.ceil(_SATURATION * np.iinfo(field.dtype).max)
    planes = np.moveaxis(field, -1, 0) >= limit
    return np.max([label_means(plane, cells, number)[1:] for plane in planes], axis=0)


def _protein_signal(plane: np.ndarray, cells: np.ndarray, number: int) -> np.ndarray:
    background = np.percentile(plane[::2, ::2], _BACKGROUND)
    signal = label_means(plane, cells, number)[1:] - background
    return signal / np.iinfo(plane.dtype).max


def reasons(
    columns: Mapping[str, float],
    labels: Sequence[str] = (),
    thresholds: Thresholds = Thresholds(),
) -> list[str]:
    """Returns the reasons to reject a cell of some labels; none accepts it.

    A column of `measure` that is missing is not checked.
    """
    if columns.get("nucleus_area") == 0:
        return ["no nucleus found in the cell"]
    exempt = are_exempt(labels, thresholds)
    found = []
    if columns.get("touches_border") and not thresholds.border_allowed:
        found.append("nucleus touches the field's border")
    for column, too_low, too_high, is_shape in _LIMITED:
        if column not in columns or (is_shape and exempt):
            continue
        value = columns[column]
        least = getattr(thresholds, f"least_{column}", None)
        most = getattr(thresholds, f"most_{column}", None)
        # Written so that nan is rejected too.
        if least is not None and not value >= least:
            found.append(f"{too_low} ({column} {value:g} < {least:g})")
        if most is not None and not value <= most:
            found.append(f"{too_high} ({column} {value:g} > {most:g})")
    return found


def are_exempt(labels: Sequence[str], thresholds: Thresholds = Thresholds()) -> bool:
    """Returns whether one of the labels belongs to dividing cells."""
    given, exempt = (
        {" ".join(label.casefold().split()) for label in each}
        for each in (labels, thresholds.exempt_labels)
    )
    return not given.isdisjoint(exempt)


def with_decision(crop: Crop, thresholds: Thresholds) -> Crop:
    """Returns a crop's row with `accepted` and `reason` set, from its own columns."""
    columns = {
        name: float(crop.metadata[name]) for name in COLUMNS if crop.metadata.get(name)
    }
    found = reasons(columns, crop.labels, thresholds)
    return dataclasses.replace(crop, accepted=not found, reason=_SEPARATOR.join(found))


def reason_kinds(reason: str) -> list[str]:
    """Returns a crop's reasons without their numbers."""
    return [each.partition(" (")[0] for each in reason.split(_SEPARATOR) if each]
