"""Quality columns of every cell of a field, and the reasons not to take one.

Legend: [H, W, C] rows, columns and channels of a field, N nuclei.

================  =====================================================================
inside_field      share of the crop's pixels that lie in the field
touches_border    1 if the nucleus reaches the field's border, else 0
nucleus_area      square micrometres; 0 for a cell without a nucleus
solidity          the nucleus's area over that of its convex hull
eccentricity      of the ellipse of the same second moments: 0 a disk, 1 a line
focus             sharpness of the nucleus channel: variance of its Laplacian over its
                  variance, on the nucleus and just around it
saturated         share of the cell's pixels at the type's limit, in the worst channel
protein_signal    mean of the protein in the cell above the field's background, of full
                  scale
crowding          share of the crop's pixels that belong to other nuclei
================  =====================================================================

The cell is the given one, or else what lies within `CELL_REACH` of the nucleus and is
nearer to it than to any other.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from data_prep.cropping.cutting import centres, crop_corners
from data_prep.segmentation.shapes import shape_columns
from tfvqgen.data.crops import Crop

COLUMNS = (
    "inside_field",
    "touches_border",
    "nucleus_area",
    "solidity",
    "eccentricity",
    "focus",
    "saturated",
    "protein_signal",
    "crowding",
)
CELL_REACH = 6.4  # Micrometres.
_EDGE_REACH = 1.28  # Micrometres around a nucleus that show how sharp its edge is.
_FOCUS_SMOOTHING = 0.64  # Micrometres.
_LIMIT = 0.98  # Of the type's maximum: a reduced pixel at the limit has some noise.
_BACKGROUND = 2  # Percentile of the protein channel.


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """What a cell must be to be accepted; None takes a limit away.

    Attributes:
        exempt_labels: Labels of fields whose cells divide, so that the limits on the
            nucleus's area, solidity and eccentricity do not count.
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
    """Measures every nucleus of a field, all at once.

    Args:
        field: uint8 or uint16 [H, W, C] as it was recorded (reduced, not stretched).
        nuclei: int32 labels [H, W].
        pixel_size: Micrometres a pixel.
        crop_size: Pixels of the side of the crops that will be cut.
        nucleus: Which channel shows nuclei.
        protein: Which channel shows the protein; None: there is none, and no column
            `protein_signal`.
        cells: int32 labels [H, W] whose numbers are those of `nuclei`.

    Returns:
        For label 1, 2, ..., N: the columns by name, in the order of `COLUMNS`. They are
        rounded to 5 digits, so that a table says exactly what was judged. Shape and
        focus of a cell without a nucleus are nan.
    """
    found = _Found(nuclei, pixel_size, crop_size, cells)
    columns = {
        "inside_field": _inside_field(found),
        "touches_border": _touches_border(found),
        **shape_columns(nuclei, found.number, pixel_size),
        "focus": _focus(field[..., nucleus], found),
        "saturated": _saturated(field, found),
        "crowding": _crowding(found),
    }
    if protein is not None:
        columns["protein_signal"] = _protein_signal(field[..., protein], found)
    names = [name for name in COLUMNS if name in columns]
    return [
        {name: float(f"{columns[name][i]:.5g}") for name in names}
        for i in range(found.number)
    ]


@dataclasses.dataclass(frozen=True)
class _Found:
    """The nuclei of a field, and what several columns need of them."""

    nuclei: np.ndarray
    pixel_size: float
    crop_size: int
    given_cells: np.ndarray | None

    @functools.cached_property
    def number(self) -> int:
        objects = self.nuclei if self.given_cells is None else self.given_cells
        return int(objects.max(initial=0))

    @functools.cached_property
    def corners(self) -> np.ndarray:
        """[N, 2] row and column of the crops' upper left pixels."""
        return crop_corners(centres(self.nuclei, self.given_cells), self.crop_size)

    @functools.cached_property
    def _nearest(self) -> tuple[np.ndarray, np.ndarray]:
        """[H, W] how far the nearest nucleus is, in micrometres, and its label."""
        from scipy import ndimage

        distance, (rows, columns) = ndimage.distance_transform_edt(
            self.nuclei == 0, self.pixel_size, return_indices=True
        )
        return distance, self.nuclei[rows, columns]

    def within(self, reach: float) -> np.ndarray:
        """Returns labels [H, W] of the nuclei and of what is within `reach` of them."""
        distance, nearest = self._nearest
        return np.where(distance <= reach, nearest, 0)

    @functools.cached_property
    def cells(self) -> np.ndarray:
        """Labels [H, W] of the cells: the given ones, or what is near the nuclei."""
        return self.within(CELL_REACH) if self.given_cells is None else self.given_cells

    def mean(self, values: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Returns [N] the mean of an image over each label; nan without a pixel."""
        flat, length = labels.ravel(), self.number + 1
        total = np.bincount(flat, values.ravel(), length)[1:]
        with np.errstate(invalid="ignore"):
            return total / np.bincount(flat, minlength=length)[1:]


def _inside_field(found: _Found) -> np.ndarray:
    size = np.array(found.nuclei.shape)
    low = np.clip(found.corners, 0, size)
    high = np.clip(found.corners + found.crop_size, 0, size)
    return (high - low).prod(1) / found.crop_size**2


def _touches_border(found: _Found) -> np.ndarray:
    nuclei = found.nuclei
    border = np.concatenate([nuclei[0], nuclei[-1], nuclei[:, 0], nuclei[:, -1]])
    return np.bincount(border, minlength=found.number + 1)[1:] > 0


def _crowding(found: _Found) -> np.ndarray:
    share = np.zeros(found.number)
    for i, (row, column) in enumerate(found.corners.tolist()):
        window = found.nuclei[
            max(row, 0) : max(row + found.crop_size, 0),
            max(column, 0) : max(column + found.crop_size, 0),
        ]
        share[i] = np.count_nonzero(window) - np.count_nonzero(window == i + 1)
    return share / found.crop_size**2


def _focus(plane: np.ndarray, found: _Found) -> np.ndarray:
    from scipy import ndimage

    sigma = _FOCUS_SMOOTHING / found.pixel_size
    smooth = ndimage.gaussian_filter(plane.astype(np.float32), sigma)
    # Times the scale squared, so that pixels of another size give the same.
    sharp = ndimage.laplace(smooth) * np.float32(sigma**2)
    near = found.within(_EDGE_REACH)
    with np.errstate(invalid="ignore", divide="ignore"):
        return _variance(sharp, near, found) / _variance(smooth, near, found)


def _variance(values: np.ndarray, labels: np.ndarray, found: _Found) -> np.ndarray:
    # Less a constant first: squares of large numbers would lose the small differences.
    values = values.astype(np.float64) - values.mean()
    return found.mean(values**2, labels) - found.mean(values, labels) ** 2


def _saturated(field: np.ndarray, found: _Found) -> np.ndarray:
    limit = math.ceil(_LIMIT * np.iinfo(field.dtype).max)
    shares = [
        found.mean(field[..., channel] >= limit, found.cells)
        for channel in range(field.shape[-1])
    ]
    return np.max(shares, axis=0)


def _protein_signal(plane: np.ndarray, found: _Found) -> np.ndarray:
    background = np.percentile(plane[::2, ::2], _BACKGROUND)
    signal = found.mean(plane, found.cells) - background
    return signal / np.iinfo(plane.dtype).max


def reasons(
    columns: Mapping[str, float],
    labels: Sequence[str] = (),
    thresholds: Thresholds = Thresholds(),
) -> list[str]:
    """Returns why a cell is not accepted, in words; empty: it is.

    Args:
        columns: What `measure` returned for it; a column that is missing is not judged.
        labels: The names of its localizations.
        thresholds: The limits.
    """
    if columns.get("nucleus_area") == 0:
        return ["no nucleus found in the cell"]
    divides = are_exempt(labels, thresholds)
    found = []
    if columns.get("touches_border") and not thresholds.border_allowed:
        found.append("nucleus touches the field's border")
    for column, least, most, words, is_shape in _judged(thresholds):
        if column not in columns or (is_shape and divides):
            continue
        value = columns[column]
        # What is unknown (nan) is neither: it is refused too.
        if least is not None and not value >= least:
            found.append(f"{words[0]} ({column} {value:g} < {least:g})")
        if most is not None and not value <= most:
            found.append(f"{words[-1]} ({column} {value:g} > {most:g})")
    return found


def are_exempt(labels: Sequence[str], thresholds: Thresholds = Thresholds()) -> bool:
    """Whether one of a cell's labels says that cells divide in its field."""
    exempt = {_key(label) for label in thresholds.exempt_labels}
    return any(_key(label) in exempt for label in labels)


def _judged(t: Thresholds):
    """Yields column, least, most, words for too low and too high, and whether shape."""
    yield "inside_field", t.least_inside_field, None, ("crop leaves the field",), False
    area = (t.least_nucleus_area, t.most_nucleus_area)
    yield "nucleus_area", *area, ("nucleus too small", "nucleus too large"), True
    yield "solidity", t.least_solidity, None, ("nucleus not convex",), True
    yield "eccentricity", None, t.most_eccentricity, ("nucleus too long",), True
    yield "focus", t.least_focus, None, ("out of focus",), False
    yield "saturated", None, t.most_saturated, ("saturated",), False
    yield "protein_signal", t.least_protein_signal, None, ("no protein signal",), False
    yield "crowding", None, t.most_crowding, ("crowded by other nuclei",), False


def _key(label: str) -> str:
    return " ".join(label.casefold().split())


_SEPARATOR = "; "


def judged(crop: Crop, thresholds: Thresholds) -> Crop:
    """Returns a crop's row with whether it is accepted, and why not.

    Judged are the cells of its row, so that limits can change without cutting again.
    """
    columns = {
        name: float(crop.metadata[name]) for name in COLUMNS if crop.metadata.get(name)
    }
    why = reasons(columns, crop.labels, thresholds)
    reason = _SEPARATOR.join(why)
    return dataclasses.replace(crop, accepted=not why, reason=reason)


def reason_kinds(reason: str) -> list[str]:
    """Returns a crop's reasons without their figures."""
    reasons = reason.split(_SEPARATOR) if reason else []
    return [each.partition(" (")[0] for each in reasons]
