"""How well localizations are recognised."""

# Shapes: N cells, L labels.

import numpy as np


def top_label(scores: np.ndarray) -> np.ndarray:
    """Returns each cell's highest label, int64 [N]; the first of equal ones."""
    return np.asarray(scores).argmax(axis=1)


def is_right(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns whether each cell's highest label is among its labels, bool [N].

    Args:
        scores: Of any scale, [N, L].
        labels: Multi-hot, [N, L].
    """
    return np.asarray(labels)[np.arange(len(scores)), top_label(scores)] > 0


def confusion_matrix(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts what cells were taken for, float64 [L of the cells, L recognised].

    A cell of several labels counts as one in all: for the label that was recognised if
    that is among its own, else in equal parts for each of its own. A cell without
    labels does not count.

    Args:
        scores: Of any scale, [N, L].
        labels: Multi-hot, [N, L].
    """
    owned = np.asarray(labels) > 0
    recognised = top_label(scores)
    found = np.eye(owned.shape[1])[recognised]
    shares = owned / np.maximum(owned.sum(axis=1, keepdims=True), 1)
    shares = np.where(is_right(scores, owned)[:, None], found, shares)
    return shares.T @ found


def average_precision(
    scores: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Returns each label's average precision, [L]; NaN where no cell has the label.

    The sum over thresholds of the precision there times the gain in recall, as
    scikit-learn has it; cells of equal scores are told apart by no threshold. What
    knows nothing has the share of the cells that have the label.

    Args:
        scores: Of any scale, [N, L].
        labels: Multi-hot, [N, L].
        weights: How often each cell counts, [N]; once if None.
    """
    scores, owned = np.asarray(scores), np.asarray(labels) > 0
    weights = np.ones(len(scores)) if weights is None else np.asarray(weights)
    columns = zip(scores.T, owned.T, strict=True)
    return np.array([_average_precision(*column, weights) for column in columns])


def _average_precision(scores, owned, weights) -> float:
    order = np.argsort(-scores, kind="stable")
    weight = weights[order]
    right = np.cumsum(weight * owned[order])
    if not len(order) or right[-1] == 0:
        return np.nan
    counted = np.cumsum(weight)
    # Where the next cell has a lower score, and at the end.
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    gains = np.diff(right[ends], prepend=0)
    # No cell counts before the first that has a weight; its gain is 0.
    precision = right[ends] / np.maximum(counted[ends], 1e-12)
    return float(np.sum(gains * precision) / right[-1])
