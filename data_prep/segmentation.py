"""Finds nuclei in the channel that shows them.

Legend: [H, W] rows and columns of a field, N nuclei. Labels are int32 [H, W]: 0 is
background, nuclei are 1 to N without gaps.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

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
    settings: NucleusSettings = NucleusSettings(),
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
