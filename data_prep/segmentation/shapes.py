"""Area, solidity, eccentricity and mean intensity of all nuclei of a field.

Legend: [H, W] rows and columns of a field, N nuclei.
"""

import math

import numpy as np


def shape_columns(
    labels: np.ndarray, number: int, pixel_size: float
) -> dict[str, np.ndarray]:
    """Measures the shapes of labels 1 to `number` (N).

    `skimage.measure.regionprops_table` takes five times as long, and its hull contains
    the corners of pixels, so that the solidity of a disk is below 1.

    Args:
        labels: int32 [H, W].
        number: N.
        pixel_size: Micrometres a pixel.

    Returns:
        float64 [N] each: ``nucleus_area`` in square micrometres; ``solidity``, the area
        divided by the number of pixels whose middles lie in the convex hull of the
        nucleus; ``eccentricity`` of the ellipse with the same second moments. Solidity
        and eccentricity are nan for a label without a pixel.
    """
    rows, columns = np.nonzero(labels)
    owner = labels[rows, columns]
    area = np.bincount(owner, minlength=number + 1)[1:].astype(np.float64)
    convex = _convex_areas(rows, columns, owner, number)
    with np.errstate(invalid="ignore"):
        return {
            "nucleus_area": area * pixel_size**2,
            "solidity": area / convex,
            "eccentricity": _eccentricity(rows, columns, owner, area),
        }


def label_means(values: np.ndarray, labels: np.ndarray, number: int) -> np.ndarray:
    """Returns the mean of an image over labels 0 to `number`; nan without a pixel.

    It is what `scipy.ndimage.mean` returns, in a third of its time.
    """
    flat = labels.ravel()
    total = np.bincount(flat, values.ravel(), number + 1)
    with np.errstate(invalid="ignore"):
        return total / np.bincount(flat, minlength=number + 1)


def _eccentricity(rows, columns, owner, area) -> np.ndarray:
    def mean(values):
        return np.bincount(owner, values, len(area) + 1)[1:] / area

    y, x = mean(rows), mean(columns)
    # A pixel is a square, not a point: its own second moment is 1/12.
    yy = mean(rows.astype(np.float64) ** 2) - y**2 + 1 / 12
    xx = mean(columns.astype(np.float64) ** 2) - x**2 + 1 / 12
    xy = mean(rows.astype(np.float64) * columns) - x * y
    middle, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    return np.sqrt(np.clip(2 * spread / (middle + spread), 0, 1))


def _convex_areas(rows, columns, owner, number: int) -> np.ndarray:
    """Returns [N] the number of pixels whose middles lie in each convex hull."""
    # The hull of a nucleus is that of the first and last pixels of its rows.
    order = np.lexsort((columns, rows, owner))
    rows, columns, owner = rows[order], columns[order], owner[order]
    new = np.ones(len(rows) + 1, bool)
    new[1:-1] = (np.diff(owner) != 0) | (np.diff(rows) != 0)
    first, last = np.flatnonzero(new[:-1]), np.flatnonzero(new[1:])
    starts = np.searchsorted(owner[first], np.arange(1, number + 2))
    left = list(zip(rows[first].tolist(), columns[first].tolist(), strict=True))
    right = list(zip(rows[last].tolist(), columns[last].tolist(), strict=True))
    return np.array(
        [
            _points_in_hull(left[a:b], right[a:b]) if b > a else np.nan
            for a, b in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
        ]
    )


def _points_in_hull(left: list, right: list) -> float:
    """Counts the integer points in a convex hull by Pick's theorem.

    The hull is that of `left`, (row, first column) of every row, and `right`, (row,
    last column).
    """
    hull = _chain(left, 1) + _chain(right, -1)[::-1]
    twice_area, border = 0, 0
    for (y0, x0), (y1, x1) in zip(hull, hull[1:] + hull[:1], strict=True):
        twice_area += y0 * x1 - y1 * x0
        border += math.gcd(y1 - y0, x1 - x0)
    return abs(twice_area) / 2 + border / 2 + 1


def _chain(points: list, side: int) -> list:
    """Returns the points at which one side of the hull turns; `side` 1: left."""
    chain: list[tuple[int, int]] = []
    for y, x in points:
        while len(chain) > 1:
            (y0, x0), (y1, x1) = chain[-2:]
            if side * ((y1 - y0) * (x - x0) - (y - y0) * (x1 - x0)) > 0:
                break
            chain.pop()
        chain.append((y, x))
    return chain
