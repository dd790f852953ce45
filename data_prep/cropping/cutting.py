"""From a field and its nuclei to crops: pure functions of arrays.

Brightness and scale are changed once for the whole field, never for a single crop: the
crop of an empty corner stays as dark as the corner is.

Legend: [H, W] rows and columns of a field, [h, w] the same after downscaling, C
channels, N nuclei, S side of a crop. Coordinates are (row, column); (0, 0) is the
middle of the first pixel.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfvqgen.errors import UserError

# A scale this close to a whole number is rounded to it: pixel sizes are known to about
# three digits, and blocks of whole pixels are averaged exactly and fast.
_WHOLE_NUMBER_TOLERANCE = 0.005


@dataclasses.dataclass(frozen=True)
class Intensity:
    """The range of a field's values that becomes 0 to the type's maximum in crops.

    With mode ``fixed`` the range is the same for all fields, in shares of the type's
    maximum; with ``field`` it is percentiles of each channel of the whole field.
    """

    mode: str = "fixed"
    low: float = 0.0
    high: float = 1.0
    # Least width of the range with `field`, as a share of the type's maximum, so that
    # the noise of an empty channel stays dark.
    least_span: float = 0.1


def centres(nuclei: np.ndarray, cells: np.ndarray | None = None) -> np.ndarray:
    """Returns the centres of mass of nuclei, float64 [N, 2].

    Args:
        nuclei: int32 labels [H, W].
        cells: int32 labels [H, W] of N cells with the numbers of their nuclei. A cell
            without a nucleus has its own centre of mass.
    """
    number = int((nuclei if cells is None else cells).max(initial=0))

    def of_labels(labels: np.ndarray) -> np.ndarray:
        places = np.nonzero(labels)
        owner = labels[places]
        sums = [np.bincount(owner, axis, number + 1) for axis in places]
        with np.errstate(invalid="ignore"):
            return (np.array(sums) / np.bincount(owner, minlength=number + 1))[:, 1:].T

    found = of_labels(nuclei)
    return (
        found if cells is None else np.where(np.isnan(found), of_labels(cells), found)
    )


def crop_corners(centres: np.ndarray, crop_size: int) -> np.ndarray:
    """Returns the upper left pixels of crops around [N, 2] centres, int64 [N, 2].

    They are negative where the crop leaves the field.
    """
    # The middle of pixel 0 is half a pixel from the field's corner.
    return np.floor(np.asarray(centres) + 1 - crop_size / 2).astype(np.int64)


def working_scale(pixel_size: float, target: float) -> float:
    """Returns the downscaling factor from a pixel size to a target, in micrometres.

    Fields with larger pixels are left as they are (factor 1).
    """
    scale = target / pixel_size
    nearest = max(1.0, float(round(scale)))
    if abs(scale / nearest - 1) < _WHOLE_NUMBER_TOLERANCE:
        return nearest
    return max(1.0, scale)


def downscale(field: np.ndarray, scale: float) -> np.ndarray:
    """Averages a field [H, W, C] over the area of each new pixel: float32 [C, h, w].

    Rows and columns at the lower and right border that do not fill a pixel are dropped.
    The values are not rounded.
    """
    height, width, _ = field.shape
    if not 1 <= scale <= min(height, width):
        raise UserError(
            "the scale does not fit the field: expected 1 to its shorter side. "
            f"Received: scale={scale:g} for {height} x {width} pixels"
        )
    planes = np.moveaxis(field, -1, 0)
    if float(scale).is_integer():
        return np.stack([_mean_of_blocks(plane, int(scale)) for plane in planes])
    strips = (_mean_of_strips(plane, scale).T for plane in planes)
    return np.stack(
        [_mean_of_strips(strip, scale).T.astype(np.float32) for strip in strips]
    )


def _mean_of_blocks(plane: np.ndarray, factor: int) -> np.ndarray:
    """Averages blocks of factor x factor pixels: [H, W] -> float32 [h, w], exactly."""
    if factor == 1:
        return plane.astype(np.float32)
    height, width = (side // factor * factor for side in plane.shape)
    # 255 * 16 * 16 still fits into 16 bits; narrow integers are added faster.
    small = plane.itemsize == 1 and factor <= 16
    rows = plane[0:height:factor, :width].astype(np.uint16 if small else np.uint32)
    for row in range(1, factor):
        rows += plane[row:height:factor, :width]
    sums = rows[:, 0::factor].copy()
    for column in range(1, factor):
        sums += rows[:, column::factor]
    return (sums / float(factor * factor)).astype(np.float32)


def _mean_of_strips(plane: np.ndarray, scale: float) -> np.ndarray:
    """Averages rows, whose edges lie within pixels: [H, W] -> float64 [h, W]."""
    height = plane.shape[0]
    sums = np.zeros((height + 1, plane.shape[1]))
    np.cumsum(plane, axis=0, dtype=np.float64, out=sums[1:])
    # Up to an edge within a row the sum is interpolated between the row's borders.
    edges = np.minimum(np.arange(int(height / scale) + 1) * scale, height)
    above = np.minimum(edges.astype(int), height - 1)
    share = (edges - above)[:, None]
    at_edges = sums[above] * (1 - share) + sums[above + 1] * share
    return np.diff(at_edges, axis=0) / scale


def rounded(planes: np.ndarray, dtype: str) -> np.ndarray:
    """Rounds planes, float32 [C, h, w], to an image of type `dtype`, [h, w, C]."""
    return np.ascontiguousarray(np.rint(planes).astype(dtype).transpose(1, 2, 0))


def intensity_ranges(
    planes: np.ndarray, dtype: str, intensity: Intensity
) -> list[tuple[float, float]]:
    """Returns each channel's range for a whole field, float32 [C, h, w]."""
    top = float(np.iinfo(dtype).max)
    if intensity.mode == "fixed":
        return [(intensity.low * top, intensity.high * top)] * len(planes)
    ranges = []
    for plane in planes:
        low, high = np.percentile(plane, (intensity.low, intensity.high))
        ranges.append((float(low), float(max(high, low + intensity.least_span * top))))
    return ranges


def rescale_intensity(
    planes: np.ndarray, ranges: Sequence[tuple[float, float]], dtype: str
) -> np.ndarray:
    """Maps each channel's range to that of the type and clips the rest: [h, w, C]."""
    top = np.iinfo(dtype).max
    scaled = np.empty_like(planes)
    for plane, (low, high), out in zip(planes, ranges, scaled, strict=True):
        if (low, high) == (0, top):
            out[:] = plane
            continue
        np.subtract(plane, np.float32(low), out=out)
        out *= np.float32(top / (high - low))
        np.clip(out, 0, top, out=out)
    return rounded(scaled, dtype)


def cut(image: np.ndarray, corner: Sequence[int], size: int) -> np.ndarray:
    """Cuts a crop, [S, S, ...], out of an image [h, w, ...]; 0 outside the field.

    `corner` is the row and the column of its upper left pixel.
    """
    crop = np.zeros((size, size, *image.shape[2:]), image.dtype)
    top, left = corner
    inside = image[max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)]
    if inside.size:
        row, column = max(-top, 0), max(-left, 0)
        crop[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
    return crop


def cell_of_pixels(nuclei: np.ndarray, cells: np.ndarray | None = None) -> np.ndarray:
    """Returns the number of the cell that every pixel belongs to, int32 [h, w].

    It is the given cell that covers the pixel, or else the nearest nucleus; 0 if there
    is no nucleus at all.
    """
    from skimage.segmentation import expand_labels

    nearest = expand_labels(nuclei, np.inf) if nuclei.any() else nuclei
    return nearest if cells is None else np.where(cells > 0, cells, nearest)
