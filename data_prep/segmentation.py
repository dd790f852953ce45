"""Finds nuclei: who they are, and where the masks of other tools say they are.

Legend: [H, W] rows and columns of a field, N nuclei. Labels are int32 [H, W]: 0 is
background, nuclei are 1 to N without gaps.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from tfvqgen.errors import DataError

# From a nucleus plane (float32 [H, W], 0 to 1 of what the file's type holds) and
# micrometres a pixel to labels.
Segmentation = Callable[[np.ndarray, float], np.ndarray]


@dataclasses.dataclass(frozen=True)
class NucleusSettings:
    """What a nucleus looks like; lengths in micrometres, areas in their squares.

    Attributes:
        smoothing: Deviation of the Gaussian that the plane is smoothed with.
        neighbourhood: Deviation of the Gaussian mean that a nucleus is brighter than.
        otsu_share: How far from the background to Otsu's threshold a nucleus begins.
        opening_radius: Threads thinner than twice this are cut off.
        smallest_area: What is smaller is no nucleus.
        depth_smoothing: Deviation of the Gaussian on the distances to the outline.
        peak_distance: Least distance between the middles of two nuclei.
        least_depth: Least distance from a nucleus's middle to its outline.
        least_contrast: How much brighter than around it a nucleus is, of full scale.
        least_signal: The same, in deviations of the smoothed plane's noise.
    """

    smoothing: float = 0.48
    neighbourhood: float = 8.0
    otsu_share: float = 0.5
    opening_radius: float = 0.64
    smallest_area: float = 15.4
    depth_smoothing: float = 0.64
    peak_distance: float = 3.2
    least_depth: float = 1.28
    least_contrast: float = 0.008
    least_signal: float = 5.0


def segment_nuclei(
    plane: np.ndarray,
    pixel_size: float,
    settings: NucleusSettings = NucleusSettings(),  # noqa: B008 (frozen)
) -> np.ndarray:
    """Finds nuclei by a local threshold and splits them by a watershed.

    Args:
        plane: float32 [H, W], the nucleus channel, 0 to 1 of what the type holds. Not
            stretched to its own brightest pixel: an empty field would show its noise.
        pixel_size: Micrometres a pixel; sizes are those of `settings` at any. Made for
            about .32.
        settings: What a nucleus looks like.

    Returns:
        int32 labels [H, W]; all 0 where there is no nucleus.
    """
    raise NotImplementedError


def labels_of_mask(mask: np.ndarray, shape: tuple[int, int] | None = None):
    """Makes labels of the mask of another tool, of nuclei or of cells.

    Args:
        mask: [H, W] or [H, W, 1] of any integers or booleans, 0 = background. Where
            there is one value only, it is taken for a mask without numbers, and every
            connected piece is one object; otherwise every value is.
        shape: (rows, columns) of the field, if the mask may be larger or smaller: it is
            then sampled at the middles of the field's pixels.

    Returns:
        int32 labels [H, W], numbered 1 to N in the order of the mask's values.

    Raises:
        DataError: It is not a mask, or not of the field's proportions.
    """
    raise NotImplementedError


def nuclei_of_cells(cells: np.ndarray, nuclei: np.ndarray) -> np.ndarray:
    """Gives every cell its nucleus.

    Args:
        cells: int32 labels [H, W] of cells, 1 to N.
        nuclei: int32 labels [H, W] of nuclei, as a `Segmentation` finds them.

    Returns:
        int32 labels [H, W] of nuclei, numbered as the cells: a cell's nucleus is the
        one with most pixels in it, as far as it lies in it. A cell without one has
        no pixel.
    """
    raise NotImplementedError


def centres(nuclei: np.ndarray, cells: np.ndarray | None = None) -> np.ndarray:
    """Returns where the nuclei are.

    Args:
        nuclei: int32 labels [H, W].
        cells: int32 labels [H, W] whose numbers are those of `nuclei`; where a cell has
            no nucleus, the cell's own middle counts.

    Returns:
        float64 [N, 2]: row and column of each centre of mass; (0, 0) is the middle of
        the first pixel. N is the number of cells where they are given.
    """
    raise NotImplementedError
