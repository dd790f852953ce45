"""What the pairing network and its features are measured by: small pure functions.

Shapes: N crops, F features, [N, S, S, C] images in [0, 1], their protein first.
"""

from collections.abc import Sequence

import numpy as np

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
_CHUNK = 512


def neighbours_across_groups(features: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Returns every crop's nearest crop of another group.

    Features are standardized, distances are Euclidean.

    Args:
        features: [N, F].
        groups: [N], anything that can be compared.

    Returns:
        Indices, int [N].
    """
    spread = features.std(axis=0)
    kept = spread > 0
    values = (features[:, kept] - features[:, kept].mean(axis=0)) / spread[kept]
    values = values.astype(np.float32)
    squares = np.sum(values**2, axis=1)
    nearest = np.empty(len(values), int)
    for start in range(0, len(values), _CHUNK):
        rows = slice(start, start + _CHUNK)
        # Less the row's own square, which changes no order.
        distances = squares - 2 * values[rows] @ values.T
        distances[groups[rows, None] == groups] = np.inf
        nearest[rows] = distances.argmin(axis=1)
    return nearest


def agreements(nearest: np.ndarray, labels: Sequence[Sequence[str]]) -> np.ndarray:
    """Tells whose neighbour shares a label, bool [N]."""
    sets = [frozenset(names) for names in labels]
    return np.array([bool(sets[i] & sets[j]) for i, j in enumerate(nearest)])


def mean_over_labels(right: np.ndarray, labels: Sequence[Sequence[str]]) -> float:
    """Returns the mean over the labels of their crops' share of `right`."""
    names = sorted({name for crop in labels for name in crop})
    has = np.array([[name in crop for name in names] for crop in labels])
    return float(np.mean((has * right[:, None]).sum(axis=0) / has.sum(axis=0)))


def group_mean_errors(proteins: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Returns the error of painting each crop as the mean of its group's others.

    Args:
        proteins: [N, S, S].
        groups: [N]; each group has at least two crops.

    Returns:
        Mean squared errors, [N].
    """
    errors = np.empty(len(proteins))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        images = proteins[members].astype(np.float64)
        others = (images.sum(axis=0) - images) / (len(members) - 1)
        errors[members] = np.mean((images - others) ** 2, axis=(1, 2))
    return errors


def intensity_statistics(images: np.ndarray) -> np.ndarray:
    """Returns what is known of crops without looking at shapes.

    Mean, deviation and quantiles of each channel, and the protein's correlation with
    each marker over the pixels.

    Args:
        images: [N, S, S, C].

    Returns:
        [N, 9 C + C - 1].
    """
    pixels = images.reshape(len(images), -1, images.shape[-1]).astype(np.float32)
    means, deviations = pixels.mean(axis=1), pixels.std(axis=1)
    quantiles = np.quantile(pixels, QUANTILES, axis=1)
    centred = (pixels - means[:, None]) / np.maximum(deviations[:, None], 1e-6)
    correlations = np.mean(centred[..., :1] * centred[..., 1:], axis=1)
    return np.concatenate([means, deviations, *quantiles, correlations], axis=1)
