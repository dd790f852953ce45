"""Whether samples are nearer to what was learnt than to what was not."""

# Shapes: Q queries, N training rows and M held-out rows, of F features.

from typing import NamedTuple

import numpy as np

from tfvqgen.evaluation.metrics.distances import nearest

# A copy of a held-out row is infinitely nearer to that, which no mean can hold.
_MOST = 1e3


class Nearness(NamedTuple):
    """How near each query is to training rows, compared with held-out rows.

    Attributes:
        ratio: The distance to the nearest training row over that to the nearest of as
            many held-out rows, the mean over disjoint sets of training rows, [Q].
            About 1 if training rows are no nearer.
        overall: The same with all training rows at once, [Q]: below `ratio`, as there
            are more of them; 0 for a copy of any.
        training: Which training row is the nearest, [Q].
        held_out: Which held-out row is, [Q].
    """

    ratio: np.ndarray
    overall: np.ndarray
    training: np.ndarray
    held_out: np.ndarray


def nearness(
    queries: np.ndarray, training: np.ndarray, held_out: np.ndarray, *, seed: int
) -> Nearness:
    """Compares distances to training rows with those to held-out rows.

    Sets of different size can't be compared: in the larger one something is nearer. So
    the training rows are parted into sets of as many as the held-out rows (or some of
    the held-out rows are taken, if they are more).

    Args:
        queries: Float [Q, F].
        training: Float [N, F].
        held_out: Float [M, F].
        seed: Of the parts.
    """
    rng = np.random.default_rng(seed)
    size = min(len(training), len(held_out))
    kept = np.sort(rng.permutation(len(held_out))[:size])
    far_held_out, which_held_out = nearest(queries, held_out[kept])
    order = rng.permutation(len(training))
    ratios, best, which = [], np.full(len(queries), np.inf), None
    for start in range(0, len(training), size):
        part = order[start : start + size]
        far, chosen = nearest(queries, training[part])
        if len(part) == size:
            ratios.append(_ratio(far, far_held_out))
        which = part[chosen] if which is None else which
        which = np.where(far < best, part[chosen], which)
        best = np.minimum(far, best)
    return Nearness(
        ratio=np.mean(ratios, axis=0),
        overall=_ratio(best, far_held_out),
        training=which,
        held_out=kept[which_held_out],
    )


def share_below(values: np.ndarray, others: np.ndarray, share: float) -> np.ndarray:
    """Returns which values are below the smallest `share` of others, float64.

    Their mean is about `share` if both are of one law.

    Args:
        values: [Q].
        others: What is usual, [R].
        share: From 0 to 1.
    """
    return (values < np.quantile(others, share)).astype(np.float64)


def _ratio(distances: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Divides distances; two of 0 are alike, and no ratio is above _MOST."""
    both = (distances == 0) & (others == 0)
    ratio = distances / np.maximum(others, np.finfo(np.float64).tiny)
    return np.where(both, 1.0, np.minimum(ratio, _MOST))
