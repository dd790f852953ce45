"""Finds nuclei in the channel that shows them.

Legend: [H, W] rows and columns of a field, N nuclei. Labels are int32 [H, W]: 0 is
background, nuclei are 1 to N without gaps.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from data_prep.segmentation.splitting import cut_concave, numbered, split, without_holes


@dataclasses.dataclass(frozen=True)
class NucleusSettings:
    """What a nucleus looks like; lengths in micrometres, areas in their squares.

    Brightness is of what the file's type holds, 0 to 1.

    Attributes:
        smoothing: Deviation of the Gaussian that the plane is smoothed with.
        dark: What is darker than this (smoothed) is smoothed farther.
        dark_smoothing: Deviation of the Gaussian that smooths it farther.
        neighbourhood: Deviation of the (nearly Gaussian) mean that a faint nucleus is
            brighter than.
        growth: How far the outline may lie from where the nucleus was first seen.
        outline: Where a nucleus ends: this share of the way from the background to its
            own brightness.
        largest_hole: Larger holes are background between nuclei.
        opening_radius: Threads thinner than twice this are cut off.
        smallest_area: What is smaller is no nucleus.
        least_contrast: How much brighter than around it a nucleus is.
        least_signal: The same, in deviations of the plane's noise.
        depth_smoothing: Deviation of the Gaussian on the distances to the outline.
        peak_distance: Least distance between the middles of two nuclei.
        least_depth: Least distance from a nucleus's middle to its outline.
        neck: Two nuclei are one if the neck between them is wider than this share of
            the smaller one.
        convex: What has a smaller solidity may be several nuclei: it is split again,
            first along dark lines, then at its clefts.
        more_convex: How much greater the mean solidity of the parts must be.
        smallest_part: Smaller parts stay with their neighbours.
        gap: How much darker than both its sides a dark line is, as a share of the
            nucleus's brightness.
        gap_width: Dark lines are narrower.
        concave_neck: As `neck`, when splitting at clefts.
        concave_peak_distance: As `peak_distance`, when splitting at clefts.
        cleft: How deep a cleft is.
    """

    smoothing: float = 0.48
    dark: float = 0.03
    dark_smoothing: float = 0.8
    neighbourhood: float = 8.0
    growth: float = 1.6
    outline: float = 0.4
    largest_hole: float = 30.0
    opening_radius: float = 0.64
    smallest_area: float = 15.4
    least_contrast: float = 0.003
    least_signal: float = 1.0
    depth_smoothing: float = 0.64
    peak_distance: float = 3.2
    least_depth: float = 0.7
    neck: float = 0.85
    convex: float = 0.95
    more_convex: float = 0.02
    smallest_part: float = 30.0
    gap: float = 0.15
    gap_width: float = 2.2
    concave_neck: float = 0.95
    concave_peak_distance: float = 2.0
    cleft: float = 0.7


# From a nucleus plane (float32 [H, W], 0 to 1 of what the file's type holds) and
# micrometres a pixel to labels.
Segmentation = Callable[[np.ndarray, float], np.ndarray]

DEFAULT_SETTINGS = NucleusSettings()
_COARSE_PIXEL = 0.64  # Micrometres.
_GREY_LEVEL = 1 / 255  # Of 8 bits: what is darker differs by noise alone.


def segment_nuclei(
    plane: np.ndarray,
    pixel_size: float,
    settings: NucleusSettings = DEFAULT_SETTINGS,
) -> np.ndarray:
    """Finds nuclei by a local threshold and splits them by a watershed.

    Nuclei of one field differ much in brightness, so that they are found twice: first
    what is brighter than around it, then each as far as a share of its own brightness.

    Args:
        plane: float32 [H, W], the nucleus channel, 0 to 1 of what the type holds. Not
            stretched to its own brightest pixel: an empty field would show its noise.
        pixel_size: Micrometres a pixel; sizes are those of `settings` at any. Made for
            about .32.
        settings: What a nucleus looks like.

    Returns:
        int32 labels [H, W]; all 0 where there is no nucleus.
    """
    plane = np.asarray(plane, np.float32)
    smooth = _smoothed(plane, pixel_size, settings)
    # What is only found, not outlined, is found in pixels twice as large.
    step = max(round(_COARSE_PIXEL / pixel_size), 1)
    coarse = smooth[::step, ::step]
    around = _local_mean(coarse, settings.neighbourhood / (step * pixel_size))
    level = _levels(coarse, coarse - around, step * pixel_size, settings)
    level = _enlarged(level, step, plane.shape)
    background = float(np.percentile(coarse, 10))
    mask = smooth > background + settings.outline * (level - background)
    mask = _tidied(mask, pixel_size, settings)
    labels = split(mask, mask, pixel_size, settings)
    gap = _depth_of_gaps(plane, pixel_size, settings) > settings.gap * level
    gap &= level > settings.dark
    labels = cut_concave(labels, gap, pixel_size, settings)
    noise = 1.48 * float(np.median(np.abs(plane - smooth)[::2, ::2]))
    contrast = _means(coarse - around, labels[::step, ::step], labels.max())
    keep = contrast >= max(settings.least_contrast, settings.least_signal * noise)
    keep &= np.bincount(labels.ravel()) >= settings.smallest_area / pixel_size**2
    return numbered(labels, keep)


def _levels(
    smooth: np.ndarray, excess: np.ndarray, pixel_size: float, settings: NucleusSettings
) -> np.ndarray:
    """Returns [H, W] how bright the nucleus is that may be there; infinite: none."""
    from skimage.segmentation import expand_labels

    faint, bright = _global_thresholds(smooth)
    mask = (smooth > faint) & ((excess > 0) | (smooth > bright))
    mask = _tidied(mask, pixel_size, settings)
    labels = split(mask, mask, pixel_size, settings)
    labels = expand_labels(labels, settings.growth / pixel_size)
    number = labels.max()
    upper = np.where(smooth > _means(smooth, labels, number)[labels], labels, 0)
    level = _means(smooth, upper, number)
    level[0] = np.inf
    return level[labels]


def _means(values: np.ndarray, labels: np.ndarray, number: int) -> np.ndarray:
    """Returns [N + 1] the mean of an image over each label, 0 without a pixel."""
    flat = labels.ravel()
    total = np.bincount(flat, values.ravel(), number + 1)
    return total / np.maximum(np.bincount(flat, minlength=number + 1), 1)


def _enlarged(image: np.ndarray, step: int, shape: tuple[int, int]) -> np.ndarray:
    return image.repeat(step, 0).repeat(step, 1)[: shape[0], : shape[1]]


def _smoothed(plane, pixel_size: float, settings: NucleusSettings) -> np.ndarray:
    """Smooths; farther where it is dark, since there the grain is coarse."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(plane, settings.smoothing / pixel_size)
    coarse = ndimage.gaussian_filter(smooth, settings.dark_smoothing / pixel_size)
    return np.where(coarse < settings.dark, coarse, smooth)


def _depth_of_gaps(plane, pixel_size: float, settings: NucleusSettings) -> np.ndarray:
    """Returns how much darker a pixel is than what lies on both of its sides."""
    from scipy import ndimage

    fine = ndimage.gaussian_filter(plane, settings.smoothing / 2 / pixel_size)
    side = max(round(settings.gap_width / pixel_size), 2)
    return ndimage.grey_closing(fine, size=(side, side)) - fine


def _global_thresholds(smooth: np.ndarray) -> tuple[float, float]:
    """Returns Otsu's threshold on the logarithm and on the values themselves."""
    from skimage import filters

    faint = filters.threshold_otsu(np.log(smooth + _GREY_LEVEL))
    return float(np.exp(faint)) - _GREY_LEVEL, float(filters.threshold_otsu(smooth))


def _tidied(mask: np.ndarray, pixel_size: float, settings: NucleusSettings):
    """Fills holes and cuts threads off."""
    from scipy import ndimage

    mask = without_holes(mask, settings.largest_hole / pixel_size**2)
    return ndimage.binary_opening(mask, _disk(settings.opening_radius / pixel_size))


def _local_mean(image: np.ndarray, sigma: float) -> np.ndarray:
    """Returns nearly a Gaussian mean: three box means, at any width for one price."""
    from scipy import ndimage

    side = max(round(np.sqrt(4 * sigma**2 + 1)), 1)
    for _ in range(3):
        image = ndimage.uniform_filter(image, side, mode="nearest")
    return image


def _disk(radius: float) -> np.ndarray:
    reach = int(radius)
    steps = np.arange(-reach, reach + 1)
    return np.hypot(steps[:, None], steps) <= radius
