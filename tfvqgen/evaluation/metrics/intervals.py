"""How far a figure may be trusted: bootstrap intervals."""

from collections.abc import Callable

import numpy as np

RESAMPLES = 1000
CONFIDENCE = 0.95
# The quantile of the normal law that leaves out (1 - CONFIDENCE) on both sides.
_NORMAL = 1.959964


def bootstrap_interval(
    rows: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray] | None = None,
    *,
    seed: int,
) -> np.ndarray:
    """Returns the percentile interval of a figure over drawings with replacement.

    The figure is a function of means over rows: a mean itself, the PSNR of a mean
    squared error, a ratio of two sums. It holds for rows that are independent.

    Args:
        rows: One a crop, [N, ...].
        statistic: From means over rows [...] to figures; the means if None.
        seed: Of the drawings; the same seed draws the same rows.

    Returns:
        Lower and upper ends, float64 [2, ...]; NaN where there are fewer than two rows,
        of which nothing can be said.
    """
    statistic = statistic or np.asarray
    rows = np.asarray(rows, np.float64)
    number = len(rows)
    if number < 2:
        some = statistic(rows.mean(axis=0) if number else np.zeros(rows.shape[1:]))
        return np.full((2, *np.shape(some)), np.nan)
    flat = rows.reshape(number, -1)
    rng = np.random.default_rng(seed)
    figures = []
    for _ in range(RESAMPLES):
        drawn = np.bincount(rng.integers(number, size=number), minlength=number)
        means = drawn.astype(np.float64) @ flat / number
        figures.append(statistic(means.reshape(rows.shape[1:])))
    tail = (1 - CONFIDENCE) / 2
    return np.quantile(np.stack(figures), [tail, 1 - tail], axis=0)


def normal_interval(
    value: float, resampled: np.ndarray, least: float | None = None
) -> np.ndarray:
    """Returns the interval of a figure that drawing rows anew makes larger.

    Distances between two sets are larger with fewer different rows, as drawings have:
    percentiles of drawings would lie above the figure. Their spread is used alone.

    Args:
        value: The figure.
        resampled: The same after drawing rows anew, [R].
        least: What it cannot be below.

    Returns:
        Lower and upper ends, float64 [2].
    """
    half = _NORMAL * np.std(resampled, ddof=1)
    low = value - half
    return np.array([low if least is None else max(low, least), value + half])
