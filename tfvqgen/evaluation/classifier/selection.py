"""Rejection: keeping those of the drawn cells that show best what was asked for."""

# Shapes: M cells that were drawn; L labels.

import numpy as np


def keep_best(
    probabilities: np.ndarray, labels: np.ndarray, share: float
) -> np.ndarray:
    """Chooses, of the cells asked for with each set of labels, the best share.

    A cell is as good as the least likely of the labels it was asked for (Razavi et al.
    2019, section 4.3, reject by one label's). Cells asked for with no label are as
    good as each other: the first ones are kept.

    Args:
        probabilities: By a classifier, [M, L].
        labels: Asked for, multi-hot, [M, L].
        share: Of each set's cells to keep, above 0, at most 1; at least one is kept.

    Returns:
        The kept cells' numbers in order, int64.

    Raises:
        UserError: The share is out of range.
    """
    raise NotImplementedError
