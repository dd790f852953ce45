"""The Fréchet distance between two sets of features, each taken as a normal law."""

# Shapes: N and M rows of F features; R of a root's rows.

from typing import NamedTuple

import numpy as np

RESAMPLES = 30
_BLOCK = 4096


class Moments(NamedTuple):
    """What the distance asks of a set.

    Attributes:
        mean: Of the rows, float64 [F].
        root: A matrix whose transpose times itself is the covariance, float64 [R, F];
            no larger than it need be, R = min(N, F).
    """

    mean: np.ndarray
    root: np.ndarray


def moments(rows: np.ndarray, counts: np.ndarray | None = None) -> Moments:
    """Returns the mean of rows and a root of their covariance, in float64.

    The covariance is that of a sample, over n - 1. Rows are gone through in blocks: the
    mean first, so that nothing large is subtracted from something large.

    Args:
        rows: [N, F], at least two.
        counts: How often each row counts, whole numbers [N]; each once if None.
    """
    if counts is None:
        counts = np.ones(len(rows))
    number = counts.sum()
    mean = _sums(rows, counts) / number
    if len(rows) <= rows.shape[1]:
        centred = (rows - mean) * np.sqrt(counts)[:, None]
        return Moments(mean, centred / np.sqrt(number - 1))
    covariance = np.zeros((rows.shape[1],) * 2)
    for part, weights in _blocks(rows, counts):
        centred = (part - mean) * np.sqrt(weights)[:, None]
        covariance += centred.T @ centred
    values, vectors = np.linalg.eigh(covariance / (number - 1))
    # Rounding may leave an eigenvalue of 0 a little below.
    return Moments(mean, np.sqrt(np.maximum(values, 0))[:, None] * vectors.T)


def frechet_distance(one: Moments, other: Moments) -> float:
    """Returns |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) (Dowson and Landau 1982).

    The trace of the product's square root is the sum of the singular values of the
    roots' product, which needs no square root of a matrix that is not symmetric and
    stands where covariances are singular, as with fewer rows than features.

    With the same two laws it is larger the fewer rows there are: compare only distances
    of the same numbers of rows.
    """
    means = np.square(one.mean - other.mean).sum()
    traces = np.square(one.root).sum() + np.square(other.root).sum()
    product = np.linalg.svd(one.root @ other.root.T, compute_uv=False).sum()
    return float(max(means + traces - 2 * product, 0.0))


def resampled_distances(
    rows: np.ndarray, others: np.ndarray, *, seed: int
) -> np.ndarray:
    """Returns distances after drawing both sets anew with replacement, [RESAMPLES].

    Each drawing has fewer different rows than the sets, so that these distances are all
    larger than the distance itself: they tell how much it varies, not where it is.

    Args:
        rows: [N, F].
        others: [M, F].
        seed: Of the drawings.
    """
    rng = np.random.default_rng(seed)

    def drawn(some: np.ndarray) -> Moments:
        numbers = rng.integers(len(some), size=len(some))
        return moments(some, np.bincount(numbers, minlength=len(some)).astype(float))

    return np.array(
        [frechet_distance(drawn(rows), drawn(others)) for _ in range(RESAMPLES)]
    )


def _sums(rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
    parts = _blocks(rows, counts)
    return np.sum([weights @ part for part, weights in parts], axis=0)


def _blocks(rows: np.ndarray, counts: np.ndarray):
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        yield np.asarray(rows[part], np.float64), counts[part]
