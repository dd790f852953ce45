"""Labels from the masks of other tools, of nuclei or of whole cells.

Legend: [H, W] rows and columns of a field. Labels are int32 [H, W]: 0 is background,
objects are 1 to N without gaps.
"""

import numpy as np

from tfvqgen.errors import DataError

_SAME_PROPORTIONS = 0.01


def labels_of_mask(
    mask: np.ndarray, shape: tuple[int, int] | None = None
) -> np.ndarray:
    """Returns labels, int32 [H, W], in the order of the mask's values.

    Args:
        mask: [H, W] or [H, W, 1] of integers or booleans, 0 = background. Every value
            is one object; if there is only one value, every connected component is.
        shape: (rows, columns) of the field if the mask may be larger or smaller. It is
            then sampled at the middles of the field's pixels.

    Raises:
        DataError: It is not a mask, or has other proportions than the field.
    """
    mask = np.asarray(mask)
    plane = mask[..., 0] if mask.ndim == 3 and mask.shape[-1] == 1 else mask
    whole = plane.ndim == 2 and plane.dtype.kind in "iub" and plane.size
    if not whole or plane.min() < 0:
        least = f" from {plane.min()}" if whole else ""
        raise DataError(
            "not a mask: expected one plane of whole numbers from 0 (background). "
            f"Received: {mask.dtype} {list(mask.shape)}{least}"
        )
    if shape is not None and plane.shape != tuple(shape):
        ratios = np.divide(plane.shape, shape)
        if abs(ratios[0] / ratios[1] - 1) > _SAME_PROPORTIONS:
            raise DataError(
                "a mask does not fit its field: expected the same proportions. "
                f"Received: a mask of {list(plane.shape)} for a field of {list(shape)}"
            )
        rows, columns = ((np.arange(shape[i]) + 0.5) * ratios[i] for i in (0, 1))
        plane = plane[np.ix_(rows.astype(np.intp), columns.astype(np.intp))]
    values, numbers = np.unique(plane, return_inverse=True)
    labels = numbers.reshape(plane.shape).astype(np.int32)
    if values[0] != 0:
        labels += 1
    if labels.max(initial=0) == 1:
        from scipy import ndimage

        labels = ndimage.label(labels, np.ones((3, 3)), output=np.int32)[0]
    return labels


def nuclei_of_cells(cells: np.ndarray, nuclei: np.ndarray) -> np.ndarray:
    """Returns the nuclei with the numbers of their cells, int32 [H, W].

    The nucleus of a cell is the one with the most pixels in it, without its pixels
    outside of the cell. A cell may have none.
    """
    num_cells, num_nuclei = cells.max(initial=0), nuclei.max(initial=0)
    if not num_cells or not num_nuclei:
        return np.zeros_like(cells)
    pair = cells.astype(np.int64) * (num_nuclei + 1) + nuclei
    overlap = np.bincount(pair.ravel(), minlength=(num_cells + 1) * (num_nuclei + 1))
    overlap = overlap.reshape(num_cells + 1, num_nuclei + 1)
    overlap[:, 0] = 0
    # -1 is no label: the cell has no nucleus.
    chosen = np.where(overlap.any(1), overlap.argmax(1), -1)
    return np.where((nuclei == chosen[cells]) & (cells > 0), cells, 0).astype(np.int32)
