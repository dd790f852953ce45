"""Fréchet distance and kernel distance (KID) between two sets of features."""

# Shapes: N and M rows of F features; R resamples, or rows of a matrix root.

from typing import NamedTuple

import numpy as np

FRECHET_RESAMPLES = 30
KERNEL_RESAMPLES = 200
_BLOCK = 512


class Moments(NamedTuple):
    """Mean and covariance of a set of rows, float64.

    The covariance is the transpose of `root` times `root`; R = min(N, F).
    """

    mean: np.ndarray  # [F].
    root: np.ndarray  # [R, F].


def moments(rows: np.ndarray, counts: np.ndarray | None = None) -> Moments:
    """Returns the mean and a root of the sample covariance (over n - 1), in float64.

    There are at least two rows, [N, F]. A row counts as often as `counts` says, [N].
    """
    rows = np.asarray(rows, np.float64)
    counts = np.ones(len(rows)) if counts is None else np.asarray(counts, np.float64)
    number = counts.sum()
    mean = counts @ rows / number
    centred = (rows - mean) * np.sqrt(counts / (number - 1))[:, None]
    if len(rows) <= rows.shape[1]:
        return Moments(mean, centred)
    values, vectors = np.linalg.eigh(centred.T @ centred)
    # Rounding may make an eigenvalue of 0 slightly negative.
    return Moments(mean, np.sqrt(np.maximum(values, 0))[:, None] * vectors.T)


def frechet_distance(one: Moments, other: Moments) -> float:
    """Returns |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) (Dowson and Landau 1982).

    The trace of the square root of the product is the sum of the singular values of
    the product of the roots. This needs no square root of a matrix that is not
    symmetric, and holds for singular covariances, that is fewer rows than features.

    The distance has a bias that falls with the number of rows: compare only distances
    of the same number of rows.
    """
    means = np.square(one.mean - other.mean).sum()
    traces = np.square(one.root).sum() + np.square(other.root).sum()
    product = np.linalg.svd(one.root @ other.root.T, compute_uv=False).sum()
    return float(max(means + traces - 2 * product, 0.0))


def resampled_frechet(rows: np.ndarray, others: np.ndarray, *, seed: int) -> np.ndarray:
    """Returns distances after resampling both sets, [FRECHET_RESAMPLES].

    All are larger than the distance itself, because a resampled set has fewer distinct
    rows: they show how much the distance varies, not where it is.
    """
    rng = np.random.default_rng(seed)

    def resampled(some: np.ndarray) -> Moments:
        chosen = rng.integers(len(some), size=len(some))
        return moments(some, np.bincount(chosen, minlength=len(some)))

    found = [
        frechet_distance(resampled(rows), resampled(others))
        for _ in range(FRECHET_RESAMPLES)
    ]
    return np.array(found)


def kernel_distance(rows: np.ndarray, others: np.ndarray) -> float:
    """Returns the squared maximum mean discrepancy with the kernel (x.y / F + 1)^3.

    Bińkowski et al. 2018, equation 4, for sets of at least two rows. The estimate is
    unbiased: its mean over identically distributed sets is 0 at any size, and single
    values may be negative.
    """
    counts = [np.ones((len(some), 1)) for some in (rows, others)]
    return float(_weighted(rows, others, *counts)[0])


def resampled_kernel(rows: np.ndarray, others: np.ndarray, *, seed: int) -> np.ndarray:
    """Returns distances after resampling both sets, [KERNEL_RESAMPLES].

    A row that occurs twice is not compared with itself, which would make identically
    distributed sets look different.
    """
    rng = np.random.default_rng(seed)
    sizes = (len(rows), len(others))
    counts = [rng.multinomial(n, np.full(n, 1 / n), KERNEL_RESAMPLES).T for n in sizes]
    return _weighted(rows, others, *counts)


def _weighted(rows, others, row_counts, counts) -> np.ndarray:
    """Returns the distance for each column of counts, [N, R] and [M, R] -> [R]."""
    between = row_counts.sum(axis=0, dtype=np.float64) * counts.sum(axis=0)
    return (
        _within(rows, row_counts)
        + _within(others, counts)
        - 2 * _summed(rows, others, row_counts, counts) / between
    )


def _within(rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Returns the mean of the kernel over pairs of different rows, [R]."""
    diagonal = (np.square(rows, dtype=np.float64).sum(axis=1) / rows.shape[1] + 1) ** 3
    squares = np.square(counts, dtype=np.float64)
    sums = _summed(rows, rows, counts, counts) - diagonal @ squares
    pairs = np.square(counts.sum(axis=0, dtype=np.float64)) - squares.sum(axis=0)
    # There are no pairs if a resampled set consists of a single row.
    return sums / np.where(pairs > 0, pairs, np.nan)


def _summed(rows, others, row_counts, counts) -> np.ndarray:
    """Returns the weighted sum of the kernel over all pairs, [R].

    One block of rows at a time, so that memory grows with M and not with N times M.
    """
    others = np.asarray(others, np.float64)
    counts = np.asarray(counts, np.float64)
    total = np.zeros(counts.shape[1])
    for start in range(0, len(rows), _BLOCK):
        part = np.asarray(rows[start : start + _BLOCK], np.float64)
        kernel = part @ others.T / part.shape[1] + 1
        # `kernel ** 3` is an order of magnitude slower.
        kernel = kernel * kernel * kernel
        total += ((kernel @ counts) * row_counts[start : start + _BLOCK]).sum(axis=0)
    return total
