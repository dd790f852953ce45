"""Figures of ``metrics.json``: a value, and an interval where there can be one.

A figure is an object of ``value`` and ``interval`` (95 %); n and seed stand in the
object around it. What is not a finite number (the power kept of a channel that is
black) is null.
"""

# Shapes: N rows.

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tfvqgen.evaluation.metrics.intervals import (
    CONFIDENCE,
    RESAMPLES,
    bootstrap_interval,
    normal_interval,
)

Statistic = Callable[[np.ndarray], np.ndarray]


def origin(split: str, number: int, seed: int) -> dict[str, Any]:
    """Returns what stands around figures: whose crops, how many, whence intervals."""
    return {"split": split, "n": number, **interval_origin(seed)}


def interval_origin(seed: int) -> dict[str, Any]:
    """Returns how the intervals of figures were found."""
    return {"seed": seed, "confidence": CONFIDENCE, "resamples": RESAMPLES}


def figure(
    rows: np.ndarray, seed: int, statistic: Statistic = np.asarray
) -> dict[str, Any]:
    """Returns a figure of rows [N] with its interval."""
    return figures(rows[:, None], [""], seed, statistic)[""]


def figures(
    rows: np.ndarray,
    names: Sequence[str],
    seed: int,
    statistic: Statistic = np.asarray,
) -> dict[str, Any]:
    """Returns named figures of rows [N, ..., names] with their intervals."""
    values = statistic(rows.mean(axis=0, dtype=np.float64))
    interval = bootstrap_interval(rows, statistic, seed=seed)
    return {
        name: with_interval(values[index], interval[:, index])
        for index, name in enumerate(names)
    }


def spread_figure(
    value: float, resampled: np.ndarray, least: float | None = None
) -> dict[str, Any]:
    """Returns a distance with its interval by the spread of drawings alone.

    Args:
        value: The distance.
        resampled: The same after drawing rows anew, [R].
        least: What it cannot be below.
    """
    return with_interval(value, normal_interval(value, resampled, least))


def with_interval(value: float, interval: np.ndarray) -> dict[str, Any]:
    """Returns a figure of its value and the ends of its interval."""
    return {"value": finite(value), "interval": [finite(end) for end in interval]}


def finite(value: float) -> float | None:
    """Returns a number that JSON has, None for what is not finite."""
    return float(value) if math.isfinite(value) else None
