"""Rejection: keeping those of the drawn cells that show best what was asked for."""

# Shapes: M cells that were drawn; L labels.

import math

import numpy as np

from tfvqgen.errors import require_in_range


def cells_to_draw(labels: np.ndarray, share: float) -> np.ndarray:
    """Returns what to ask for so that each row of labels is there once after rejection.

    Each set of labels that is wanted n times is asked for ceil(n / share) times;
    :func:`keep_best` of that many keeps n.

    Args:
        labels: Wanted, multi-hot, [N, L].
        share: Of the cells to keep, above 0, at most 1.

    Returns:
        The number of a row of `labels` for each cell to draw, int64 [M]; every row's
        number is there, and with share 1 just once, in order.

    Raises:
        UserError: The share is out of range.
    """
    _check(share)
    rows = []
    for members in _sets(labels):
        count = math.ceil(_exact(len(members) / share))
        rows.append(np.resize(members, count))
    return np.sort(np.concatenate(rows)) if rows else np.zeros(0, np.int64)


def keep_best(
    probabilities: np.ndarray, labels: np.ndarray, share: float
) -> np.ndarray:
    """Chooses, of the cells asked for with each set of labels, the best share.

    A cell is as good as the least likely of the labels it was asked for, by a
    classifier; of cells that are as good as each other the first are kept, so that
    cells asked for with no label are not chosen between. For one label a cell it is the
    "classifier based rejection sampling" of VQ-VAE-2 (Razavi et al. 2019).

    Args:
        probabilities: By a classifier, [M, L].
        labels: Asked for, multi-hot, [M, L].
        share: Of each set's cells to keep, above 0, at most 1; rounded down, but at
            least one is kept.

    Returns:
        The kept cells' numbers in order, int64.

    Raises:
        UserError: The share is out of range.
    """
    _check(share)
    asked = np.asarray(labels) > 0
    goodness = np.where(asked, probabilities, 1.0).min(axis=1, initial=1.0)
    kept = []
    for members in _sets(asked):
        count = max(1, math.floor(_exact(len(members) * share)))
        order = np.argsort(-goodness[members], kind="stable")
        kept.append(members[order][:count])
    return np.sort(np.concatenate(kept)) if kept else np.zeros(0, np.int64)


def _sets(labels: np.ndarray) -> list[np.ndarray]:
    """Returns the numbers of the rows of each different set of labels."""
    asked = np.asarray(labels) > 0
    if not len(asked):
        return []
    _, which = np.unique(asked, axis=0, return_inverse=True)
    which = which.reshape(-1)
    return [np.flatnonzero(which == number) for number in range(which.max() + 1)]


def _exact(number: float) -> float:
    """Takes away what rounding adds: 3 / 0.3 is 10."""
    return round(number, 9)


def _check(share: float) -> None:
    require_in_range("share", share, 0 < share <= 1, "above 0, at most 1")
