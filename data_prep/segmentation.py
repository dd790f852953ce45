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
        largest_hole: Larger holes are background between nuclei.
        opening_radius: Threads thinner than twice this are cut off.
        smallest_area: What is smaller is no nucleus.
        depth_smoothing: Deviation of the Gaussian on the distances to the outline.
        peak_distance: Least distance between the middles of two nuclei.
        least_depth: Least distance from a nucleus's middle to its outline.
        neck: Two nuclei are one if the neck between them is wider than this share of
            the smaller one.
        least_contrast: How much brighter than around it a nucleus is, of full scale.
        least_signal: The same, in deviations of the plane's noise.
    """

    smoothing: float = 0.48
    neighbourhood: float = 8.0
    otsu_share: float = 0.5
    largest_hole: float = 30.0
    opening_radius: float = 0.64
    smallest_area: float = 15.4
    depth_smoothing: float = 0.64
    peak_distance: float = 3.2
    least_depth: float = 1.28
    neck: float = 0.9
    least_contrast: float = 0.006
    least_signal: float = 1.0


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
    from scipy import ndimage

    plane = np.asarray(plane, np.float32)
    smooth = ndimage.gaussian_filter(plane, settings.smoothing / pixel_size)
    excess = smooth - _local_mean(smooth, settings.neighbourhood / pixel_size)
    mask = (excess > 0) & (smooth > _global_threshold(smooth, settings.otsu_share))
    mask = _without_holes(mask, settings.largest_hole / pixel_size**2)
    mask = ndimage.binary_opening(mask, _disk(settings.opening_radius / pixel_size))
    labels = _split(mask, pixel_size, settings)
    return _nuclei_only(labels, plane, smooth, excess, pixel_size, settings)


def _local_mean(image: np.ndarray, sigma: float) -> np.ndarray:
    """Returns nearly a Gaussian mean: three box means, at any width for one price."""
    from scipy import ndimage

    side = max(round(np.sqrt(4 * sigma**2 + 1)), 1)
    for _ in range(3):
        image = ndimage.uniform_filter(image, side, mode="nearest")
    return image


def _global_threshold(smooth: np.ndarray, otsu_share: float) -> float:
    from skimage import filters

    background = float(np.percentile(smooth[::2, ::2], 10))
    otsu = float(filters.threshold_otsu(smooth[::2, ::2]))
    return background + otsu_share * (otsu - background)


def _without_holes(mask: np.ndarray, largest: float) -> np.ndarray:
    """Fills what is enclosed, except for background that many nuclei enclose."""
    from scipy import ndimage

    gaps, _ = ndimage.label(~mask)
    area = np.bincount(gaps.ravel())
    hole = area <= largest
    for edge in (gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]):
        hole[edge] = False
    hole[0] = True
    return hole[gaps]


def _disk(radius: float) -> np.ndarray:
    reach = int(radius)
    steps = np.arange(-reach, reach + 1)
    return np.hypot(steps[:, None], steps) <= radius


def _split(
    mask: np.ndarray, pixel_size: float, settings: NucleusSettings
) -> np.ndarray:
    """Numbers the pieces of a mask; those with a narrow neck are two."""
    from scipy import ndimage
    from skimage import feature, segmentation

    depth = ndimage.distance_transform_edt(mask).astype(np.float32)
    depth = ndimage.gaussian_filter(depth, settings.depth_smoothing / pixel_size)
    peaks = feature.peak_local_max(
        depth,
        min_distance=max(round(settings.peak_distance / pixel_size), 1),
        threshold_abs=settings.least_depth / pixel_size,
        exclude_border=False,
    )
    markers = np.zeros(mask.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels = segmentation.watershed(-depth, markers, mask=mask)
    return _joined(labels, depth, settings.neck)


def _joined(labels: np.ndarray, depth: np.ndarray, neck: float) -> np.ndarray:
    """Makes pieces one whose neck is nearly as deep as the shallower of them."""
    from scipy import ndimage

    number = int(labels.max(initial=0))
    peak = ndimage.maximum(depth, labels, np.arange(number + 1))
    saddle: dict[tuple[int, int], float] = {}
    for one, two in (
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
        ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
    ):
        a, b = labels[one], labels[two]
        touch = (a != b) & (a > 0) & (b > 0)
        deep = np.minimum(depth[one][touch], depth[two][touch])
        for x, y, d in zip(
            a[touch].tolist(), b[touch].tolist(), deep.tolist(), strict=True
        ):
            pair = (min(x, y), max(x, y))
            saddle[pair] = max(saddle.get(pair, 0.0), d)
    owner = np.arange(number + 1)
    for (x, y), d in sorted(saddle.items(), key=lambda item: -item[1]):
        x, y = owner[x], owner[y]
        if x != y and d > neck * min(peak[x], peak[y]):
            peak[x] = max(peak[x], peak[y])
            owner[owner == y] = x
    return owner.astype(np.int32)[labels]


def _nuclei_only(labels, plane, smooth, excess, pixel_size, settings) -> np.ndarray:
    """Drops what is too small or too faint for a nucleus and closes the gaps."""
    flat = labels.ravel()
    area = np.bincount(flat)
    contrast = np.bincount(flat, excess.ravel()) / np.maximum(area, 1)
    noise = 1.48 * float(np.median(np.abs(plane - smooth)[::2, ::2]))
    least = max(settings.least_contrast, settings.least_signal * noise)
    keep = (area >= settings.smallest_area / pixel_size**2) & (contrast >= least)
    keep[0] = False
    return (np.cumsum(keep) * keep).astype(np.int32)[labels]
