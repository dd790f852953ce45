"""Where nuclei are, and which window of the field is cut around each.

Legend: [H, W] rows and columns of a field, N nuclei. Coordinates are (row, column);
(0, 0) is the middle of the first pixel.
"""

import numpy as np


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
