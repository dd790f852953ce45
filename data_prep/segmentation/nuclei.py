"""Segmentation of nuclei: a local threshold, then a watershed that splits them.

Legend: [H, W] rows and columns of a field, N nuclei. Labels are int32 [H, W]: 0 is
background, nuclei are 1 to N without gaps.
"""

import dataclasses

import numpy as np

from data_prep.segmentation.shapes import label_means, shape_columns


@dataclasses.dataclass(frozen=True)
class NucleusSettings:
    """Parameters of the segmentation.

    Lengths are in micrometres and areas in square micrometres, so that any pixel size
    will do; about 0.32 was tested. Intensities are shares of the type's maximum.
    """

    smoothing: float = 0.48  # Deviation of the Gaussian filter.
    dark: float = 0.03  # Smoothed pixels below this are smoothed more.
    dark_smoothing: float = 0.8  # Deviation of the second Gaussian filter.
    neighbourhood: float = 8.0  # Deviation of the local mean, which a nucleus exceeds.
    growth: float = 1.6  # Distance from the coarse to the final outline.
    outline: float = 0.4  # The outline: a share of the nucleus's level over background.
    largest_hole: float = 30.0  # Larger holes are background between nuclei.
    opening_radius: float = 0.64  # Radius of the morphological opening.
    smallest_area: float = 15.4
    least_contrast: float = 0.003  # Least difference from the local mean.
    least_signal: float = 1.0  # The same, in deviations of the noise.
    depth_smoothing: float = 0.64  # Deviation of the filter on the distance transform.
    peak_distance: float = 3.2  # Least distance between the centres of two nuclei.
    least_depth: float = 0.7  # Least distance from a centre to the outline.
    neck: float = 0.85  # A wider neck, as a share of the smaller part, is no neck.
    convex: float = 0.95  # Nuclei of a smaller solidity may be several.
    more_convex: float = 0.02  # Least gain of mean solidity by splitting.
    smallest_part: float = 30.0  # Smaller parts stay with their neighbours.
    gap: float = 0.15  # Depth of a dark line, as a share of the nucleus's level.
    gap_width: float = 2.2  # Greatest width of a dark line.
    concave_neck: float = 0.95  # `neck` when splitting at concavities.
    concave_peak_distance: float = 2.0  # `peak_distance` when splitting at concavities.
    concavity: float = 0.7  # Least depth of a concavity.


_COARSE_PIXEL = 0.64  # Micrometres.
_GREY_LEVEL = 1 / 255  # Intensities below the first grey level of 8 bits are noise.


def segment_nuclei(
    plane: np.ndarray,
    pixel_size: float,
    settings: NucleusSettings = NucleusSettings(),
) -> np.ndarray:
    """Returns the labels of nuclei; all 0 if there is no nucleus.

    The nuclei of one field differ much in brightness, so that they are found in two
    steps: first by the contrast to their surroundings, then each by its own level.

    Args:
        plane: float32 [H, W], the nucleus channel as shares of the type's maximum. It
            must not be rescaled: an empty field would show its noise.
        pixel_size: Micrometres a pixel.
        settings: Parameters.
    """
    plane = np.asarray(plane, np.float32)
    smooth = _smoothed(plane, pixel_size, settings)
    # The first step needs no outlines and uses pixels twice as large.
    step = max(round(_COARSE_PIXEL / pixel_size), 1)
    coarse = smooth[::step, ::step]
    around = _local_mean(coarse, settings.neighbourhood / (step * pixel_size))
    level = _levels(coarse, coarse - around, step * pixel_size, settings)
    level = level.repeat(step, 0).repeat(step, 1)[: plane.shape[0], : plane.shape[1]]
    background = float(np.percentile(coarse, 10))
    mask = smooth > background + settings.outline * (level - background)
    mask = _tidied(mask, pixel_size, settings)
    labels = _split(mask, mask, pixel_size, settings)
    gap = _depth_of_gaps(plane, pixel_size, settings) > settings.gap * level
    gap &= level > settings.dark
    labels = _cut_concave(labels, gap, pixel_size, settings)
    noise = 1.48 * float(np.median(np.abs(plane - smooth)[::2, ::2]))
    contrast = label_means(coarse - around, labels[::step, ::step], labels.max())
    keep = contrast >= max(settings.least_contrast, settings.least_signal * noise)
    keep &= np.bincount(labels.ravel()) >= settings.smallest_area / pixel_size**2
    return numbered(labels, keep)


def _levels(
    smooth: np.ndarray, excess: np.ndarray, pixel_size: float, settings: NucleusSettings
) -> np.ndarray:
    """Returns [H, W] the level of the nucleus near each pixel; infinite: none."""
    from skimage.filters import threshold_otsu
    from skimage.segmentation import expand_labels

    # The threshold of the logarithm is low enough for dim nuclei.
    faint = float(np.exp(threshold_otsu(np.log(smooth + _GREY_LEVEL)))) - _GREY_LEVEL
    bright = float(threshold_otsu(smooth))
    mask = (smooth > faint) & ((excess > 0) | (smooth > bright))
    mask = _tidied(mask, pixel_size, settings)
    labels = _split(mask, mask, pixel_size, settings)
    labels = expand_labels(labels, settings.growth / pixel_size)
    number = labels.max()
    upper = np.where(smooth > label_means(smooth, labels, number)[labels], labels, 0)
    level = np.nan_to_num(label_means(smooth, upper, number))
    level[0] = np.inf
    return level[labels]


def _smoothed(plane, pixel_size: float, settings: NucleusSettings) -> np.ndarray:
    """Smooths; more where it is dark, because the noise is coarse there."""
    from scipy import ndimage

    smooth = ndimage.gaussian_filter(plane, settings.smoothing / pixel_size)
    coarse = ndimage.gaussian_filter(smooth, settings.dark_smoothing / pixel_size)
    return np.where(coarse < settings.dark, coarse, smooth)


def _depth_of_gaps(plane, pixel_size: float, settings: NucleusSettings) -> np.ndarray:
    """Returns how much darker a pixel is than the pixels on both of its sides."""
    from scipy import ndimage

    fine = ndimage.gaussian_filter(plane, settings.smoothing / 2 / pixel_size)
    side = max(round(settings.gap_width / pixel_size), 2)
    return ndimage.grey_closing(fine, size=(side, side)) - fine


def _tidied(mask: np.ndarray, pixel_size: float, settings: NucleusSettings):
    """Fills holes and removes thin threads."""
    from scipy import ndimage

    radius = settings.opening_radius / pixel_size
    steps = np.arange(-int(radius), int(radius) + 1)
    disk = np.hypot(steps[:, None], steps) <= radius
    mask = _without_holes(mask, settings.largest_hole / pixel_size**2)
    return ndimage.binary_opening(mask, disk)


def _local_mean(image: np.ndarray, sigma: float) -> np.ndarray:
    """Returns nearly a Gaussian mean: three box means, fast for any width."""
    from scipy import ndimage

    side = max(round(np.sqrt(4 * sigma**2 + 1)), 1)
    for _ in range(3):
        image = ndimage.uniform_filter(image, side, mode="nearest")
    return image


def _split(
    mask: np.ndarray, core: np.ndarray, pixel_size: float, settings: NucleusSettings
) -> np.ndarray:
    """Labels the components of a mask and splits those whose `core` has a neck."""
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
    return _merged(labels, depth, np.append(0, depth[tuple(peaks.T)]), settings.neck)


def _merged(
    labels: np.ndarray, depth: np.ndarray, peak: np.ndarray, neck: float
) -> np.ndarray:
    """Merges parts whose neck is nearly as deep as the shallower of their peaks."""
    saddle: dict[tuple[int, int], float] = {}
    for one, two in (
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
        ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
    ):
        a, b = labels[one], labels[two]
        touch = (a != b) & (a > 0) & (b > 0)
        deep = np.minimum(depth[one][touch], depth[two][touch])
        first, second = np.minimum(a, b)[touch], np.maximum(a, b)[touch]
        pairs = zip(first.tolist(), second.tolist(), strict=True)
        for pair, d in zip(pairs, deep.tolist(), strict=True):
            saddle[pair] = max(saddle.get(pair, 0.0), d)
    owner = np.arange(len(peak))
    for (x, y), d in sorted(saddle.items(), key=lambda item: -item[1]):
        x, y = owner[x], owner[y]
        if x != y and d > neck * min(peak[x], peak[y]):
            peak[x] = max(peak[x], peak[y])
            owner[owner == y] = x
    return numbered(owner.astype(np.int32)[labels])


def _cut_concave(
    labels: np.ndarray, gap: np.ndarray, pixel_size: float, settings: NucleusSettings
) -> np.ndarray:
    """Splits nuclei that are not convex if the parts are more convex.

    They are split along dark lines, `gap`, or between concavities. Numbers may be
    missing in the result.
    """
    from scipy import ndimage

    solidity = _solidity(labels)
    labels, number = labels.copy(), len(solidity)
    windows = ndimage.find_objects(labels)
    hole = settings.largest_hole / pixel_size**2
    lenient = dataclasses.replace(
        settings,
        neck=settings.concave_neck,
        depth_smoothing=settings.depth_smoothing / 2,
        peak_distance=settings.concave_peak_distance,
    )
    for index in np.flatnonzero(solidity < settings.convex):
        # A pixel of background on each side, so that distances end there.
        window = tuple(slice(max(w.start - 1, 0), w.stop + 1) for w in windows[index])
        whole = labels[window] == index + 1
        core = _without_holes(whole & ~gap[window], hole)
        least = solidity[index] + settings.more_convex
        parts = _parts(whole, core & whole, pixel_size, settings)
        if not _mean_solidity(parts, whole) > least:
            parts = _parts(whole, whole, pixel_size, lenient)
            if not _joins_concavities(parts, whole, settings.concavity / pixel_size):
                continue
        if _mean_solidity(parts, whole) > least:
            labels[window][whole] = 0
            np.copyto(labels[window], parts + number, where=parts > 0)
            number += int(parts.max())
    return labels


def _joins_concavities(parts: np.ndarray, whole: np.ndarray, depth: float) -> bool:
    """Returns whether every cut joins two concavities.

    A nucleus that is only bent has a concavity on one side only.
    """
    from scipy import ndimage
    from skimage.morphology import convex_hull_image

    hull = np.pad(convex_hull_image(whole), 1)
    deep = ndimage.distance_transform_edt(hull)[1:-1, 1:-1] >= depth
    concavities, _ = ndimage.label(deep & ~whole)
    for index in range(1, parts.max(initial=0) + 1):
        cut = ndimage.binary_dilation(parts == index) & (parts != index) & whole
        near = ndimage.binary_dilation(cut, iterations=round(depth) + 2)
        if len(np.setdiff1d(concavities[near], 0)) < 2:
            return False
    return True


def _parts(whole, core, pixel_size: float, settings: NucleusSettings) -> np.ndarray:
    """Splits one nucleus; parts that are too small go to their neighbours."""
    from skimage import segmentation

    parts = _split(whole, core, pixel_size, settings)
    area = np.bincount(parts.ravel())
    large = numbered(parts, area >= settings.smallest_part / pixel_size**2)
    return segmentation.watershed(np.zeros(whole.shape), large, mask=whole)


def _mean_solidity(parts: np.ndarray, whole: np.ndarray) -> float:
    """Returns the mean solidity of the parts, weighted by their area."""
    area = np.bincount(parts.ravel(), minlength=2)[1:]
    return float((area * _solidity(parts)).sum() / whole.sum()) if parts.any() else 0.0


def _solidity(labels: np.ndarray) -> np.ndarray:
    return shape_columns(labels, int(labels.max(initial=0)), 1.0)["solidity"]


def numbered(labels: np.ndarray, keep: np.ndarray | None = None) -> np.ndarray:
    """Numbers labels from 1 without gaps; labels that are not kept become 0."""
    there = np.bincount(labels.ravel()) > 0 if keep is None else keep
    there[0] = False
    return (np.cumsum(there) * there).astype(np.int32)[labels]


def _without_holes(mask: np.ndarray, largest: float) -> np.ndarray:
    """Fills holes up to an area in pixels; larger ones are background."""
    from scipy import ndimage

    gaps, _ = ndimage.label(~mask)
    area = np.bincount(gaps.ravel())
    hole = area <= largest
    for edge in (gaps[0], gaps[-1], gaps[:, 0], gaps[:, -1]):
        hole[edge] = False
    hole[0] = True
    return hole[gaps]
