"""Distances between the distributions of one number in two sets."""

# Shapes: N and M values.

from collections.abc import Callable

import numpy as np

RESAMPLES = 200


def wasserstein(values: np.ndarray, others: np.ndarray) -> float:
    """Returns the Wasserstein-1 distance, in the values' unit.

    It is the area between both cumulative distributions: how far values must be moved
    on average to make one set the other.

    Args:
        values: [N].
        others: [M].
    """
    every, one, other = _cumulative(values, others)
    return float(np.sum(np.abs(one - other)[:-1] * np.diff(every)))


def kolmogorov_smirnov(values: np.ndarray, others: np.ndarray) -> float:
    """Returns the largest difference between both cumulative distributions.

    Args:
        values: [N].
        others: [M].
    """
    _, one, other = _cumulative(values, others)
    return float(np.abs(one - other).max())


def resampled(
    statistic: Callable[[np.ndarray, np.ndarray], float],
    values: np.ndarray,
    others: np.ndarray,
    *,
    seed: int,
) -> np.ndarray:
    """Returns a distance after drawing both sets anew with replacement, [RESAMPLES].

    Args:
        statistic: The distance.
        values: [N].
        others: [M].
        seed: Of the drawings.
    """
    rng = np.random.default_rng(seed)

    def drawn(some: np.ndarray) -> np.ndarray:
        return some[rng.integers(len(some), size=len(some))]

    return np.array([statistic(drawn(values), drawn(others)) for _ in range(RESAMPLES)])


def _cumulative(values: np.ndarray, others: np.ndarray):
    """Returns all values in order, and which share of each set is up to there."""
    every = np.sort(np.concatenate([values, others]))
    shares = [
        np.searchsorted(np.sort(some), every, side="right") / len(some)
        for some in (values, others)
    ]
    return every, *shares
