"""How well localizations are recognised."""

# Shapes: N cells, L labels.

import numpy as np


def top_label(scores: np.ndarray) -> np.ndarray:
    """Returns each cell's highest label, int64 [N]; the first of equal ones."""
    raise NotImplementedError


def is_right(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns whether each cell's highest label is among its labels, bool [N].

    Args:
        scores: Of any scale, [N, L].
        labels: Multi-hot, [N, L].
    """
    raise NotImplementedError


def confusion_matrix(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts which label cells were taken for, float64 [L asked for, L recognised].

    A cell of several labels counts for one in all: as its own label if the highest
    label is among them, else in equal parts for each of them.
    """
    raise NotImplementedError


def average_precision(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns each label's average precision, [L]; NaN where no cell has the label."""
    raise NotImplementedError
