"""Measurements of single cells: the nucleus and the distribution of the protein."""

# Shapes: B images of H x W pixels; S statistics; P rings around the nucleus.

import numpy as np

# Names of the statistics of a cell, in order.
STATISTICS = (
    "nucleus_area",
    "protein_inside_nucleus",
    "protein_distance",
    "protein_granularity",
)
# Borders of rings by distance from the edge of the nucleus, in radii; negative inside.
RING_EDGES = (-0.5, 0.0, 0.5, 1.0, 2.0)
# Quantile of the protein channel that is subtracted as background.
_BACKGROUND = 0.05
# Half the side of the opening's square and the smoothing of the nucleus, as shares of
# the side of the image: 2 pixels or .64 µm of 128 pixels of .32 µm.
_GRAIN = _SMOOTHING = 1 / 64


def cell_statistics(
    nucleus: np.ndarray, protein: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Measures cells; statistics that cannot be measured are NaN.

    The nucleus is the object at the centre of the image (or nearest to it) in the
    smoothed nucleus channel above Otsu's threshold, with holes filled. The protein is
    the protein channel above its 5 % quantile. Both channels are in [0, 1], [B, H, W].

    Returns:
        The STATISTICS in order, float64 [B, S]: the area of the nucleus in pixels; the
        share of the protein inside the nucleus; the mean distance of the protein from
        the edge of the nucleus, in radii of a disk of the same area, negative inside;
        the share of the protein in grains, which a morphological opening removes. And
        the shares of the protein between the RING_EDGES, from the innermost, float64
        [B, P].
    """
    rows = [_measured(*planes) for planes in zip(nucleus, protein, strict=True)]
    return np.stack([row for row, _ in rows]), np.stack([rings for _, rings in rows])


def nucleus_mask(plane: np.ndarray) -> np.ndarray | None:
    """Finds the nucleus at the centre of an image, bool [H, W]; None if it is flat."""
    from scipy import ndimage
    from skimage.filters import threshold_otsu

    smooth = ndimage.gaussian_filter(
        plane.astype(np.float64), _SMOOTHING * min(plane.shape)
    )
    if smooth.max() - smooth.min() < 1e-6:
        return None
    parts, _ = ndimage.label(smooth > threshold_otsu(smooth))
    centre = tuple(side // 2 for side in plane.shape)
    # For every pixel, the position of the nearest pixel of an object.
    _, places = ndimage.distance_transform_edt(parts == 0, return_indices=True)
    found = parts == parts[tuple(places[(slice(None), *centre)])]
    return ndimage.binary_fill_holes(found)


def _measured(nucleus: np.ndarray, protein: np.ndarray) -> tuple[np.ndarray, ...]:
    from scipy import ndimage

    row = np.full(len(STATISTICS), np.nan)
    rings = np.full(len(RING_EDGES) + 1, np.nan)
    mask = nucleus_mask(nucleus)
    if mask is None:
        return row, rings
    row[0] = mask.sum()
    protein = protein.astype(np.float64)
    protein = np.maximum(protein - np.quantile(protein, _BACKGROUND), 0)
    total = protein.sum()
    if total == 0:
        return row, rings
    distance = _edge_distance(mask) / np.sqrt(row[0] / np.pi)
    ring = np.digitize(distance, RING_EDGES)
    sums = np.bincount(ring.ravel(), protein.ravel(), minlength=len(rings))
    side = 1 + 2 * max(1, round(_GRAIN * min(protein.shape)))
    opened = ndimage.grey_opening(protein, size=(side, side))
    row[1:] = (
        protein[mask].sum() / total,
        (protein * distance).sum() / total,
        1 - opened.sum() / total,
    )
    return row, sums / total


def _edge_distance(mask: np.ndarray) -> np.ndarray:
    """Returns the distance of each pixel from the mask's edge, negative inside."""
    from scipy import ndimage

    if mask.all():
        return -np.ones(mask.shape)
    outside = ndimage.distance_transform_edt(~mask)
    return outside - ndimage.distance_transform_edt(mask)
