"""What a classifier recognises in cells, as the objects of ``metrics.json``.

What cannot be said (the recall of a label that no cell has) is null.
"""

# Shapes: N cells; L labels.

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfvqgen.evaluation.classifier.trained import TrainedClassifier
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.evaluation.metrics.classification import (
    average_precision,
    confusion_matrix,
    is_right,
)
from tfvqgen.evaluation.metrics.intervals import CONFIDENCE, bootstrap_interval
from tfvqgen.evaluation.sections.figures import (
    finite,
    interval_origin,
    with_interval,
)

# Precisions are sums over all cells, again for each drawing: fewer drawings of them.
_PRECISION_RESAMPLES = 200


def label_agreement(
    judge: TrainedClassifier, cells: Mapping[str, ImageSet], *, seed: int
) -> dict[str, Any]:
    """Returns how often the judge recognises what cells show, or were asked for.

    Args:
        judge: Trained on other groups than the generator.
        cells: ``generated``, and to compare with ``reconstructions`` and ``real``
            crops; each with the labels asked for, or its own.
        seed: Of the bootstrap.

    Returns:
        ``judge`` (what it is), ``labels`` (the vocabulary, the order of confusions) and
        for each of the cells what :func:`recognition` returns.
    """
    return {
        "judge": {"learnt_from": judge.trained_on, "fingerprint": judge.fingerprint},
        "labels": list(judge.labels),
        **{
            name: recognition(
                judge.recognise(images), images.labels, judge.labels, seed=seed
            )
            for name, images in cells.items()
        },
    }


def recognition(
    probabilities: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    *,
    seed: int,
) -> dict[str, Any]:
    """Returns how well cells are recognised; cells without labels do not count.

    Args:
        probabilities: By a classifier, [N, L].
        labels: Asked for, or the crops' own, multi-hot, [N, L].
        names: Of the labels.
        seed: Of the bootstrap.

    Returns:
        ``accuracy``: the share of cells whose highest label is among theirs;
        ``balanced_accuracy``: the mean over labels of that share, which rare labels
        count in as common ones do; ``mean_average_precision``: over labels, of the
        cells in the order of each label's probability; ``by_label``: of the cells with
        a label their number, the share whose highest label is among theirs
        (``recognised``) and the ``average_precision``; ``confusion``: [L, L] cells of a
        label (row) by what they were taken for (column).
    """
    asked = np.asarray(labels) > 0
    some = asked.any(axis=1)
    probabilities, asked = np.asarray(probabilities)[some], asked[some]
    right = is_right(probabilities, asked).astype(np.float64)
    counts = asked.sum(axis=0)
    precisions = average_precision(probabilities, asked)
    return {
        "n": len(asked),
        **interval_origin(seed),
        "accuracy": _share(right, seed),
        "balanced_accuracy": _balanced(right, asked, seed),
        "mean_average_precision": {
            **with_interval(
                _mean(precisions), _precision_interval(probabilities, asked, seed)
            ),
            "resamples": _PRECISION_RESAMPLES,
        },
        "by_label": {
            name: {
                "n": int(counts[index]),
                "recognised": _share(right[asked[:, index]], seed),
                "average_precision": {"value": finite(precisions[index])},
            }
            for index, name in enumerate(names)
        },
        "confusion": confusion_matrix(probabilities, asked).tolist(),
    }


def compared(right: np.ndarray, right_before: np.ndarray, seed: int) -> dict[str, Any]:
    """Returns one share of right cells over another one of the same cells.

    Args:
        right: Which cells are right, bool [N].
        right_before: Which were before, bool [N].
        seed: Of the bootstrap; the same cells are drawn for both.
    """

    def ratio(means: np.ndarray) -> np.ndarray:
        # Where nothing was right before, nothing can be said.
        return np.array([means[0] / means[1] if means[1] else np.nan])

    rows = np.stack([right, right_before], axis=1).astype(np.float64)
    value = ratio(rows.sum(axis=0))[0]
    return with_interval(value, bootstrap_interval(rows, ratio, seed=seed)[:, 0])


def _balanced(right: np.ndarray, asked: np.ndarray, seed: int) -> dict[str, Any]:
    """Returns the mean over labels of the share of their cells that are right."""

    def mean_share(means: np.ndarray) -> np.ndarray:
        found, there = means
        with np.errstate(invalid="ignore"):
            return np.array([_mean(found / there)])

    rows = np.stack([right[:, None] * asked, asked], axis=1).astype(np.float64)
    value = mean_share(rows.sum(axis=0))[0]
    return with_interval(value, bootstrap_interval(rows, mean_share, seed=seed)[:, 0])


def _precision_interval(
    probabilities: np.ndarray, asked: np.ndarray, seed: int
) -> np.ndarray:
    number = len(asked)
    if number < 2:
        return np.full(2, np.nan)
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(_PRECISION_RESAMPLES):
        drawn = np.bincount(rng.integers(number, size=number), minlength=number)
        found.append(_mean(average_precision(probabilities, asked, drawn)))
    tail = (1 - CONFIDENCE) / 2
    return np.quantile(found, [tail, 1 - tail])


def _share(right: np.ndarray, seed: int) -> dict[str, Any]:
    value = right.mean() if len(right) else np.nan
    return with_interval(value, bootstrap_interval(right, seed=seed))


def _mean(values: np.ndarray) -> float:
    """Returns the mean of those values that are numbers."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else math.nan
