"""The kernel distance (KID): how far apart two sets of features are, without bias."""

# Shapes: N and M rows of F features; R drawings.

import numpy as np

RESAMPLES = 200
SUBSETS = 100
SUBSET_SIZE = 1000
_BLOCK = 512


def kernel_distance(rows: np.ndarray, others: np.ndarray) -> float:
    """Returns the squared maximum mean discrepancy with the kernel (x.y / F + 1)^3.

    Bińkowski et al. 2018, equation 4: unbiased, so that its mean over sets of one law
    is 0 whatever their size, and single values may be below 0.

    Args:
        rows: [N, F], at least two.
        others: [M, F], at least two.
    """
    counts = [np.ones((len(some), 1)) for some in (rows, others)]
    return float(_weighted(rows, others, *counts)[0])


def resampled_distances(
    rows: np.ndarray, others: np.ndarray, *, seed: int
) -> np.ndarray:
    """Returns distances after drawing both sets anew with replacement, [RESAMPLES].

    A row that is drawn twice is not compared with itself, which would make two sets of
    one law look apart.

    Args:
        rows: [N, F].
        others: [M, F].
        seed: Of the drawings.
    """
    rng = np.random.default_rng(seed)
    counts = [
        rng.multinomial(len(some), np.full(len(some), 1 / len(some)), RESAMPLES).T
        for some in (rows, others)
    ]
    return _weighted(rows, others, *counts)


def subset_distances(rows: np.ndarray, others: np.ndarray, *, seed: int) -> np.ndarray:
    """Returns distances between subsets, as KID is usually given: [SUBSETS].

    Their mean is the estimate, comparable with other work where subsets have 1,000
    rows; here they have at most as many as there are.

    Args:
        rows: [N, F].
        others: [M, F].
        seed: Of the choice of subsets.
    """
    rng = np.random.default_rng(seed)
    size = min(SUBSET_SIZE, len(rows), len(others))
    counts = []
    for some in (rows, others):
        chosen = np.zeros((len(some), SUBSETS))
        for subset in range(SUBSETS):
            chosen[rng.permutation(len(some))[:size], subset] = 1
        counts.append(chosen)
    return _weighted(rows, others, *counts)


def _weighted(
    rows: np.ndarray, others: np.ndarray, row_counts: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Returns the distance for each column of counts, [N, R] and [M, R] -> [R]."""
    return (
        _within(rows, row_counts)
        + _within(others, counts)
        - 2 * _between(rows, others, row_counts, counts)
    )


def _within(rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Returns the mean of the kernel over pairs of different rows, [R]."""
    diagonal = (np.square(rows, dtype=np.float64).sum(axis=1) / rows.shape[1] + 1) ** 3
    squares = np.square(counts, dtype=np.float64)
    sums = _summed(rows, rows, counts, counts) - diagonal @ squares
    pairs = np.square(counts.sum(axis=0, dtype=np.float64)) - squares.sum(axis=0)
    # A drawing that has one row alone says nothing.
    return sums / np.where(pairs > 0, pairs, np.nan)


def _between(
    rows: np.ndarray, others: np.ndarray, row_counts: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    pairs = row_counts.sum(axis=0, dtype=np.float64) * counts.sum(axis=0)
    return _summed(rows, others, row_counts, counts) / pairs


def _summed(
    rows: np.ndarray, others: np.ndarray, row_counts: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Returns the sum of the kernel over pairs, each as often as it counts, [R].

    A block of rows at a time, so that memory grows with M and not with N times M.
    """
    others = np.asarray(others, np.float64)
    counts = np.asarray(counts, np.float64)
    total = np.zeros(counts.shape[1])
    for start in range(0, len(rows), _BLOCK):
        part = np.asarray(rows[start : start + _BLOCK], np.float64)
        kernel = part @ others.T / part.shape[1] + 1
        # A power is an order of magnitude slower.
        kernel = kernel * kernel * kernel
        total += ((kernel @ counts) * row_counts[start : start + _BLOCK]).sum(axis=0)
    return total
