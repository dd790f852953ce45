"""Splits what is bright into nuclei: by necks, dark lines and clefts.

Legend: [H, W] rows and columns of a field or of a window of it. Labels are int32
[H, W]: 0 is background, pieces are 1 to N without gaps.
"""

import dataclasses

import numpy as np

from data_prep.segmentation.nuclei import NucleusSettings
from data_prep.segmentation.shapes import shape_columns


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
