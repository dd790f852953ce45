"""Finds nuclei in the channel that shows them.

Legend: [H, W] rows and columns of a field, N nuclei. Labels are int32 [H, W]: 0 is
background, nuclei are 1 to N without gaps.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from data_prep.segmentation.shapes import label_means, shape_columns


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
    contrast = label_means(coarse - around, labels[::step, ::step], labels.max())
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
    upper = np.where(smooth > label_means(smooth, labels, number)[labels], labels, 0)
    level = np.nan_to_num(label_means(smooth, upper, number))
    level[0] = np.inf
    return level[labels]


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


def split(
    mask: np.ndarray, core: np.ndarray, pixel_size: float, settings: NucleusSettings
) -> np.ndarray:
    """Numbers the pieces of a mask; those with a narrow neck are two.

    Args:
        mask: bool [H, W], what is to be numbered.
        core: bool [H, W], the part of it that says where necks are.
        pixel_size: Micrometres a pixel.
        settings: What a nucleus looks like.

    Returns:
        int32 labels [H, W].
    """
    from scipy import ndimage
    from skimage import feature, segmentation

    depth = ndimage.distance_transform_edt(core).astype(np.float32)
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
    return _joined(labels, depth, np.append(0, depth[tuple(peaks.T)]), settings.neck)


def _joined(
    labels: np.ndarray, depth: np.ndarray, peak: np.ndarray, neck: float
) -> np.ndarray:
    """Makes pieces one whose neck is nearly as deep as the shallower of their peaks."""
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
    owner = np.arange(len(peak))
    for (x, y), d in sorted(saddle.items(), key=lambda item: -item[1]):
        x, y = owner[x], owner[y]
        if x != y and d > neck * min(peak[x], peak[y]):
            peak[x] = max(peak[x], peak[y])
            owner[owner == y] = x
    return numbered(owner.astype(np.int32)[labels])


def cut_concave(
    labels: np.ndarray, gap: np.ndarray, pixel_size: float, settings: NucleusSettings
) -> np.ndarray:
    """Cuts labels that are not convex, where that makes them more so.

    Args:
        labels: int32 [H, W].
        gap: bool [H, W], where dark lines are.
        pixel_size: Micrometres a pixel.
        settings: What a nucleus looks like.

    Returns:
        int32 labels [H, W]; numbers may be missing.
    """
    from scipy import ndimage

    solidity = _solidity(labels)
    labels, number = labels.copy(), len(solidity)
    windows = ndimage.find_objects(labels)
    lenient = dataclasses.replace(
        settings,
        neck=settings.concave_neck,
        depth_smoothing=settings.depth_smoothing / 2,
        peak_distance=settings.concave_peak_distance,
    )
    for index in np.flatnonzero(solidity < settings.convex):
        # A pixel of background around, so that depths end there.
        window = tuple(slice(max(w.start - 1, 0), w.stop + 1) for w in windows[index])
        whole = labels[window] == index + 1
        core = without_holes(
            whole & ~gap[window], settings.largest_hole / pixel_size**2
        )
        tried = (
            _parts(whole, core & whole, pixel_size, settings),
            _cut_between_clefts(
                _parts(whole, whole, pixel_size, lenient),
                whole,
                settings.cleft / pixel_size,
            ),
        )
        least = solidity[index] + settings.more_convex
        parts = next((p for p in tried if _mean_solidity(p, whole) > least), None)
        if parts is not None:
            labels[window][whole] = 0
            np.copyto(labels[window], parts + number, where=parts > 0)
            number += int(parts.max())
    return labels


def _cut_between_clefts(parts: np.ndarray, whole: np.ndarray, depth: float):
    """Returns the parts, or none unless every cut runs from one cleft to another.

    A nucleus that is merely bent has a cleft on one side only.
    """
    from scipy import ndimage
    from skimage.morphology import convex_hull_image

    hull = np.pad(convex_hull_image(whole), 1)
    deep = ndimage.distance_transform_edt(hull)[1:-1, 1:-1] >= depth
    clefts, _ = ndimage.label(deep & ~whole)
    for index in range(1, parts.max(initial=0) + 1):
        cut = ndimage.binary_dilation(parts == index) & (parts != index) & whole
        near = ndimage.binary_dilation(cut, iterations=round(depth) + 2)
        if len(np.setdiff1d(clefts[near], 0)) < 2:
            return np.zeros_like(parts)
    return parts


def _parts(whole, core, pixel_size: float, settings: NucleusSettings) -> np.ndarray:
    """Splits one label; a part too small for a nucleus goes to its neighbours."""
    from skimage import segmentation

    parts = split(whole, core, pixel_size, settings)
    area = np.bincount(parts.ravel())
    large = numbered(parts, area >= settings.smallest_part / pixel_size**2)
    return segmentation.watershed(np.zeros(whole.shape), large, mask=whole)


def _mean_solidity(parts: np.ndarray, whole: np.ndarray) -> float:
    """Returns the mean over a label's pixels of the solidity of their part."""
    area = np.bincount(parts.ravel(), minlength=2)[1:]
    return float((area * _solidity(parts)).sum() / whole.sum()) if parts.any() else 0.0


def _solidity(labels: np.ndarray) -> np.ndarray:
    return shape_columns(labels, int(labels.max(initial=0)), 1.0)["solidity"]


def numbered(labels: np.ndarray, keep: np.ndarray | None = None) -> np.ndarray:
    """Numbers labels from 1 without gaps; those not kept become background."""
    there = np.bincount(labels.ravel()) > 0 if keep is None else keep
    there[0] = False
    return (np.cumsum(there) * there).astype(np.int32)[labels]


def without_holes(mask: np.ndarray, largest: float) -> np.ndarray:
    """Fills what is enclosed, except for background that many nuclei enclose."""
    from scipy import ndimage

    gaps, _ = ndimage.label(~mask)
    area = np.bincount(gaps.ravel())
    hole = area <= largest
    for edge in (gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]):
        hole[edge] = False
    hole[0] = True
    return hole[gaps]
