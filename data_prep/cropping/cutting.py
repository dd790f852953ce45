"""Where nuclei are, and which window of the field is cut around each.

Legend: [H, W] rows and columns of a field, N nuclei. Coordinates are (row, column);
(0, 0) is the middle of the first pixel.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfvqgen.errors import UserError


def centres(nuclei: np.ndarray, cells: np.ndarray | None = None) -> np.ndarray:
    """Returns the centres of mass of nuclei.

    Args:
        nuclei: int32 labels [H, W].
        cells: int32 labels [H, W] of cells whose numbers are those of `nuclei`; where
            a cell has no nucleus, its own centre of mass counts.

    Returns:
        float64 [N, 2]; N is the number of cells where they are given.
    """
    if cells is None:
        return _centres_of_mass(nuclei, int(nuclei.max(initial=0)))
    number = int(cells.max(initial=0))
    found = _centres_of_mass(nuclei, number)
    return np.where(np.isnan(found), _centres_of_mass(cells, number), found)


def crop_corners(middles: np.ndarray, crop_size: int) -> np.ndarray:
    """Returns the upper left pixels of crops around `middles`.

    Args:
        middles: float [N, 2], as :func:`centres` returns them.
        crop_size: Pixels of a crop's side.

    Returns:
        int64 [N, 2]: row and column; negative where the crop leaves the field.
    """
    # The middle of pixel 0 is half a pixel from the field's corner.
    return np.floor(np.asarray(middles) + 1 - crop_size / 2).astype(np.int64)


def _centres_of_mass(labels: np.ndarray, number: int) -> np.ndarray:
    rows, columns = np.nonzero(labels)
    owner = labels[rows, columns]
    area = np.bincount(owner, minlength=number + 1)[1:]
    with np.errstate(invalid="ignore"):
        return np.stack(
            [
                np.bincount(owner, place, number + 1)[1:] / area
                for place in (rows, columns)
            ],
            axis=1,
        )


# A scale nearer than this to a whole number is taken for it: pixel sizes are known to
# about three digits, and whole blocks of pixels are averaged exactly and fast.
_WHOLE = 0.005


@dataclasses.dataclass(frozen=True)
class Box:
    """The square of S x S pixels that a crop shows; it may reach out of the field."""

    top: int
    left: int
    size: int

    @property
    def centre(self) -> tuple[float, float]:
        """Row and column of the middle."""
        return self.top + self.size / 2, self.left + self.size / 2


@dataclasses.dataclass(frozen=True)
class Intensity:
    """How a field's recorded values become those of its crops.

    Attributes:
        mode: ``fixed``: the same range for all fields; ``field``: percentiles of each
            channel of the whole field.
        low: What becomes 0: a share of what the type holds, or a percentile.
        high: What becomes the type's largest value, likewise.
        least_span: With ``field``: the range is at least this share of what the type
            holds, so that the noise of an empty channel stays dark.
    """

    mode: str = "fixed"
    low: float = 0.0
    high: float = 1.0
    least_span: float = 0.1


def working_scale(pixel_size: float, target: float) -> float:
    """Returns how many pixels' widths become one so that pixels are `target` wide.

    Fields of larger pixels are left as they are: enlarging adds nothing.

    Args:
        pixel_size: Micrometres a pixel of the field.
        target: Micrometres a pixel of the crops.
    """
    return max(1.0, whole_if_near(target / pixel_size))


def whole_if_near(scale: float) -> float:
    """Returns the nearest whole number if `scale` is as good as that."""
    nearest = max(1.0, float(round(scale)))
    return nearest if abs(scale / nearest - 1) < _WHOLE else scale


def reduced(field: np.ndarray, scale: float) -> np.ndarray:
    """Reduces a field by the mean over the area of each new pixel.

    What is left at the lower and right border and does not fill a pixel is cut off.

    Args:
        field: uint8 or uint16 [H, W, C].
        scale: How many pixels' widths become one, at least 1.

    Returns:
        float32 [C, h, w] in the values of `field`, not rounded.

    Raises:
        UserError: Nothing is left.
    """
    height, width, _ = field.shape
    if not 1 <= scale <= min(height, width):
        raise UserError(
            "the scale does not fit the field: expected 1 to its shorter side. "
            f"Received: scale={scale:g} for {height} x {width} pixels"
        )
    planes = (field[..., channel] for channel in range(field.shape[-1]))
    if float(scale).is_integer():
        return np.stack([_mean_of_blocks(plane, int(scale)) for plane in planes])
    return np.stack([_mean_of_areas(plane, scale) for plane in planes])


def _mean_of_blocks(plane: np.ndarray, factor: int) -> np.ndarray:
    """Averages blocks of factor x factor pixels: [H, W] -> float32 [h, w], exactly."""
    if factor == 1:
        return plane.astype(np.float32)
    height, width = (side // factor * factor for side in plane.shape)
    small = plane.itemsize == 1 and factor <= 16
    # Whole numbers, and 255 * 16 * 16 still fits: adding rows is what takes the time.
    rows = plane[0:height:factor, :width].astype(np.uint16 if small else np.uint32)
    for row in range(1, factor):
        rows += plane[row:height:factor, :width]
    sums = rows[:, 0::factor].copy()
    for column in range(1, factor):
        sums += rows[:, column::factor]
    return (sums / float(factor * factor)).astype(np.float32)


def _mean_of_areas(plane: np.ndarray, scale: float) -> np.ndarray:
    """Averages over areas whose edges lie within pixels: [H, W] -> float32 [h, w]."""
    return _mean_of_strips(_mean_of_strips(plane, scale).T, scale).T.astype(np.float32)


def _mean_of_strips(plane: np.ndarray, scale: float) -> np.ndarray:
    """Averages rows: [H, W] -> float64 [h, W]."""
    height = plane.shape[0]
    sums = np.zeros((height + 1, plane.shape[1]))
    np.cumsum(plane, axis=0, dtype=np.float64, out=sums[1:])
    # The sum down to an edge within a row is between those at the row's borders.
    edges = np.minimum(np.arange(int(height / scale) + 1) * scale, height)
    above = np.minimum(edges.astype(int), height - 1)
    share = (edges - above)[:, None]
    at_edges = sums[above] * (1 - share) + sums[above + 1] * share
    return np.diff(at_edges, axis=0) / scale


def recorded(planes: np.ndarray, dtype: str) -> np.ndarray:
    """Rounds reduced planes to the type they were recorded in.

    Args:
        planes: float32 [C, h, w], from :func:`reduced`.
        dtype: ``uint8`` or ``uint16``.

    Returns:
        `dtype` [h, w, C].
    """
    return np.ascontiguousarray(np.rint(planes).astype(dtype).transpose(1, 2, 0))


def intensity_ranges(
    planes: np.ndarray, dtype: str, intensity: Intensity
) -> list[tuple[float, float]]:
    """Returns what becomes 0 and the largest value in each channel of a field.

    Args:
        planes: float32 [C, h, w], the whole field.
        dtype: The type it was recorded in.
        intensity: How to choose.

    Returns:
        A pair for each channel, in the values of `planes`.
    """
    top = float(np.iinfo(dtype).max)
    if intensity.mode == "fixed":
        return [(intensity.low * top, intensity.high * top)] * len(planes)
    ranges = []
    for plane in planes:
        low, high = np.percentile(plane, (intensity.low, intensity.high))
        ranges.append((float(low), float(max(high, low + intensity.least_span * top))))
    return ranges


def stretched(
    planes: np.ndarray, ranges: Sequence[tuple[float, float]], dtype: str
) -> np.ndarray:
    """Maps each channel's range to all of the type, and clips what lies outside.

    Args:
        planes: float32 [C, h, w].
        ranges: From :func:`intensity_ranges`.
        dtype: ``uint8`` or ``uint16``.

    Returns:
        `dtype` [h, w, C]. The type's own range keeps every value as it is.
    """
    top = np.iinfo(dtype).max
    scaled = np.empty_like(planes)
    for plane, (low, high), out in zip(planes, ranges, scaled, strict=True):
        if (low, high) == (0, top):
            out[:] = plane
            continue
        np.subtract(plane, np.float32(low), out=out)
        out *= np.float32(top / (high - low))
        np.clip(out, 0, top, out=out)
    return recorded(scaled, dtype)


def boxes(centres: np.ndarray, size: int) -> list[Box]:
    """Returns the square around every nucleus, as near to its middle as pixels allow.

    Args:
        centres: float [N, 2] from ``places.centres``.
        size: S.
    """
    corners = crop_corners(centres, size)
    return [Box(top, left, size) for top, left in corners.tolist()]


def cut(image: np.ndarray, box: Box) -> np.ndarray:
    """Cuts a crop; what lies outside the field is 0.

    Args:
        image: [h, w, C] or [h, w].
        box: Where.

    Returns:
        [S, S, C] or [S, S], a copy.
    """
    crop = np.zeros((box.size, box.size, *image.shape[2:]), image.dtype)
    height, width = image.shape[:2]
    top, left = max(box.top, 0), max(box.left, 0)
    bottom, right = min(box.top + box.size, height), min(box.left + box.size, width)
    if bottom > top and right > left:
        crop[top - box.top : bottom - box.top, left - box.left : right - box.left] = (
            image[top:bottom, left:right]
        )
    return crop


def owners(nuclei: np.ndarray, cells: np.ndarray | None = None) -> np.ndarray:
    """Says which cell every pixel of a field belongs to.

    Args:
        nuclei: int labels [h, w].
        cells: int labels [h, w] with the same numbers, if known.

    Returns:
        int32 [h, w]: the cell that covers the pixel, else the nucleus that is nearest;
        0 where there is none at all.
    """
    from scipy import ndimage

    if not nuclei.any():
        nearest = np.zeros(nuclei.shape, np.int32)
    else:
        rows, columns = ndimage.distance_transform_edt(
            nuclei == 0, return_distances=False, return_indices=True
        )
        nearest = nuclei[rows, columns].astype(np.int32)
    return nearest if cells is None else np.where(cells > 0, cells, nearest)


def without_neighbours(crop: np.ndarray, owner: np.ndarray, number: int) -> np.ndarray:
    """Makes what belongs to other cells background (0).

    Args:
        crop: [S, S, C].
        owner: [S, S], cut from what :func:`owners` returned.
        number: The cell to keep.
    """
    return np.where((owner == number)[..., None], crop, 0).astype(crop.dtype)
