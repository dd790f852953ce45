"""What a biologist would measure of a cell: its nucleus, and where the protein is."""

# Shapes: B images of H x W pixels; P rings around the nucleus.

import numpy as np

# By name, what is measured of each cell.
STATISTICS = (
    "nucleus_area",
    "protein_inside_nucleus",
    "protein_distance",
    "protein_granularity",
)
# Borders of rings by their distance from the nucleus' edge, in radii; below 0 inside.
RING_EDGES = (-0.5, 0.0, 0.5, 1.0, 2.0)
# Of the protein's plane, what is taken as background.
_BACKGROUND = 0.05
# How far the square that opens reaches, and pixels of smoothing, as shares of the
# image's side: at 128 pixels of .32 µm, 2 pixels or .64 µm.
_GRAIN = 1 / 64
_SMOOTHING = 1 / 64


def cell_statistics(
    nucleus: np.ndarray, protein: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Measures cells; what cannot be measured is NaN.

    The nucleus is what Otsu's threshold leaves of the smoothed nucleus channel where
    the image's centre is (or next to it), with its holes filled. The protein is the
    protein channel above its lowest 5 %.

    Args:
        nucleus: The nucleus channel, in [0, 1], [B, H, W].
        protein: The protein channel, in [0, 1], [B, H, W].

    Returns:
        The STATISTICS in order, float64 [B, 4]: the nucleus' area in pixels; the share
        of the protein in it; the protein's mean distance from the nucleus' edge, in
        radii of a disk of its area, below 0 inside; the share of the protein in grains,
        which an opening by a small square removes. And the protein's shares in the
        rings between RING_EDGES, float64 [B, P], from the innermost.
    """
    rows = [_measured(*planes) for planes in zip(nucleus, protein, strict=True)]
    return np.stack([row for row, _ in rows]), np.stack([rings for _, rings in rows])


def nucleus_mask(plane: np.ndarray) -> np.ndarray | None:
    """Finds the nucleus at an image's centre.

    Args:
        plane: The nucleus channel, [H, W].

    Returns:
        bool [H, W]; None if the plane shows nothing.
    """
    from scipy import ndimage
    from skimage.filters import threshold_otsu

    smooth = ndimage.gaussian_filter(
        plane.astype(np.float64), _SMOOTHING * min(plane.shape)
    )
    if smooth.max() - smooth.min() < 1e-6:
        return None
    parts, _ = ndimage.label(smooth > threshold_otsu(smooth))
    centre = tuple(side // 2 for side in plane.shape)
    # Of every pixel, where the nearest one of a part is.
    _, places = ndimage.distance_transform_edt(parts == 0, return_indices=True)
    found = parts == parts[tuple(places[(slice(None), *centre)])]
    return ndimage.binary_fill_holes(found)


def _measured(nucleus: np.ndarray, protein: np.ndarray) -> tuple[np.ndarray, ...]:
    row = np.full(len(STATISTICS), np.nan)
    rings = np.full(len(RING_EDGES) + 1, np.nan)
    mask = nucleus_mask(nucleus)
    if mask is None:
        return row, rings
    area = mask.sum()
    row[0] = area
    protein = protein.astype(np.float64)
    protein = np.maximum(protein - np.quantile(protein, _BACKGROUND), 0)
    total = protein.sum()
    if total == 0:
        return row, rings
    distance = _edge_distance(mask) / np.sqrt(area / np.pi)
    ring = np.digitize(distance, RING_EDGES)
    sums = np.bincount(ring.ravel(), protein.ravel(), minlength=len(rings))
    row[1:] = (
        protein[mask].sum() / total,
        (protein * distance).sum() / total,
        _granularity(protein),
    )
    return row, sums / total


def _edge_distance(mask: np.ndarray) -> np.ndarray:
    """Returns how far each pixel is from a mask's edge, below 0 inside, [H, W]."""
    from scipy import ndimage

    if mask.all():
        return -np.ones(mask.shape)
    outside = ndimage.distance_transform_edt(~mask)
    return outside - ndimage.distance_transform_edt(mask)


def _granularity(protein: np.ndarray) -> float:
    from scipy import ndimage

    side = 1 + 2 * max(1, round(_GRAIN * min(protein.shape)))
    opened = ndimage.grey_opening(protein, size=(side, side))
    return float(1 - opened.sum() / protein.sum())
