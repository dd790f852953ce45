"""Confidence intervals, and the form that metrics have in ``metrics.json``.

A metric is an object of ``value`` and ``interval`` (95 %). The number of rows (``n``)
and the seed are in the object around it. A value that is not finite is null.
"""

# Shapes: N rows, R resamples.

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

RESAMPLES = 1000
CONFIDENCE = 0.95
# The quantile of the normal distribution at the upper end of the interval.
_NORMAL = 1.959964

Statistic = Callable[[np.ndarray], np.ndarray]


def bootstrap_interval(
    rows: np.ndarray, statistic: Statistic = np.asarray, *, seed: int
) -> np.ndarray:
    """Returns the percentile bootstrap interval of a statistic of means over rows.

    The rows, [N, ...], are assumed to be independent. The result is the lower and upper
    ends, float64 [2, ...]; NaN for fewer than two rows. `scipy.stats.bootstrap` takes
    three times as long for 2,000 rows, because it copies the rows of each resample.
    """
    rows = np.asarray(rows, np.float64)
    number = len(rows)
    if number < 2:
        one = statistic(rows.mean(axis=0) if number else np.zeros(rows.shape[1:]))
        return np.full((2, *np.shape(one)), np.nan)
    flat = rows.reshape(number, -1)
    rng = np.random.default_rng(seed)
    tails = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    resampled = []
    for _ in range(RESAMPLES):
        counts = np.bincount(rng.integers(number, size=number), minlength=number)
        means = counts.astype(np.float64) @ flat / number
        resampled.append(statistic(means.reshape(rows.shape[1:])))
    return np.quantile(np.stack(resampled), tails, axis=0)


def interval_origin(seed: int) -> dict[str, Any]:
    """Returns how the intervals were computed."""
    return {"seed": seed, "confidence": CONFIDENCE, "resamples": RESAMPLES}


def metric(
    rows: np.ndarray, seed: int, statistic: Statistic = np.asarray
) -> dict[str, Any]:
    """Returns a statistic (a number) of means over rows [N, ...], with its interval.

    Without rows the value is null.
    """
    rows = np.asarray(rows, np.float64)
    means = rows.mean(axis=0) if len(rows) else np.full(rows.shape[1:], np.nan)
    interval = bootstrap_interval(rows, statistic, seed=seed)
    return with_interval(float(statistic(means)), interval)


def metrics(
    rows: np.ndarray, names: Sequence[str], seed: int, statistic: Statistic = np.asarray
) -> dict[str, Any]:
    """Returns named metrics of rows [N, ..., names] with their bootstrap intervals."""
    values = statistic(rows.mean(axis=0, dtype=np.float64))
    interval = bootstrap_interval(rows, statistic, seed=seed)
    return {
        name: with_interval(values[index], interval[:, index])
        for index, name in enumerate(names)
    }


def distance_metric(
    value: float,
    resampled: np.ndarray,
    least: float = -math.inf,
    most: float = math.inf,
) -> dict[str, Any]:
    """Returns a metric with an interval by the standard deviation of its resamples [R].

    A resampled set has fewer distinct rows than the set itself, which makes for example
    distances between sets larger, so that percentiles would lie above the value. The
    interval ends at the smallest and at the largest possible value.
    """
    half = _NORMAL * np.std(resampled, ddof=1)
    return with_interval(value, np.clip([value - half, value + half], least, most))


def with_interval(value: float, interval: np.ndarray) -> dict[str, Any]:
    """Returns a metric of its value and the ends of its interval."""
    return {"value": finite(value), "interval": [finite(end) for end in interval]}


def finite(value: float) -> float | None:
    """Returns the number, or None if it is not finite, which JSON cannot express."""
    return float(value) if math.isfinite(value) else None
