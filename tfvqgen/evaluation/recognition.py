"""Recognition of labels by classifiers: label agreement, classification score.

What cannot be measured, such as the recall of a label that no cell has, is null.
"""

# Shapes: N cells; L labels.

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfvqgen.data.schema import Dataset, Split
from tfvqgen.evaluation.cells import GENERATED, REAL, RECONSTRUCTIONS, sample_cells
from tfvqgen.evaluation.classifiers import TrainedClassifier, train_classifier
from tfvqgen.evaluation.generated_images import store_reconstructions, store_selection
from tfvqgen.evaluation.image_sets import TRAINED_ON, ImageSet
from tfvqgen.evaluation.metrics.intervals import (
    distance_metric,
    finite,
    interval_origin,
    metric,
)
from tfvqgen.evaluation.settings import EvaluationSettings
from tfvqgen.generation.generator import Generator
from tfvqgen.training.stages.classifier import ClassifierConfig

# Average precision takes longer to compute, and is resampled less often.
_PRECISION_RESAMPLES = 100


def is_right(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns whether the highest score of each cell is one of its labels, bool [N]."""
    top = np.asarray(scores).argmax(axis=1)
    return np.asarray(labels)[np.arange(len(top)), top] > 0


def confusion_matrix(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts cells by their own label (row) and the recognized label (column), [L, L].

    Each cell with labels counts as one: if the recognized label is one of its own, for
    that label, otherwise in equal parts for each of its own labels. (The function of
    scikit-learn takes one label per cell.)
    """
    owned = np.asarray(labels) > 0
    recognized = np.eye(owned.shape[1])[np.asarray(scores).argmax(axis=1)]
    shares = owned / np.maximum(owned.sum(axis=1, keepdims=True), 1)
    shares = np.where(is_right(scores, owned)[:, None], recognized, shares)
    return shares.T @ recognized


def average_precision(
    scores: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Returns the average precision of each label, [L]; NaN if no cell has the label.

    A cell counts as often as its weight says, [N]; once by default.
    """
    from sklearn.metrics import average_precision_score

    owned = np.asarray(labels) > 0
    found = np.full(owned.shape[1], np.nan)
    counted = owned if weights is None else owned[np.asarray(weights) > 0]
    for label in np.flatnonzero(counted.any(axis=0)):
        found[label] = average_precision_score(
            owned[:, label], scores[:, label], sample_weight=weights
        )
    return found


def label_agreement(
    classifier: TrainedClassifier, cells: Mapping[str, ImageSet], *, seed: int
) -> dict[str, Any]:
    """Returns the :func:`recognition` of sets of cells by a classifier."""
    names = classifier.labels
    return {
        "classifier": {
            "trained_on": classifier.trained_on,
            "fingerprint": classifier.fingerprint,
        },
        "labels": list(names),
        **{
            name: recognition(classifier.predict(some), some.labels, names, seed=seed)
            for name, some in cells.items()
        },
    }


def recognition(
    probabilities: np.ndarray, labels: np.ndarray, names: Sequence[str], *, seed: int
) -> dict[str, Any]:
    """Returns how well cells are recognized; cells without labels do not count.

    Returns:
        ``accuracy``: the share of cells whose most likely label is one of their own;
        ``balanced_accuracy``: its mean over labels; ``mean_average_precision`` over
        labels; ``by_label``: of the cells with a label the number, the share whose most
        likely label is one of their own (``recognised``) and the
        ``average_precision``; ``confusion``: see :func:`confusion_matrix`.
    """
    owned = np.asarray(labels) > 0
    labelled = owned.any(axis=1)
    probabilities, owned = np.asarray(probabilities)[labelled], owned[labelled]
    right = is_right(probabilities, owned).astype(np.float64)
    precisions = average_precision(probabilities, owned)
    resampled = _resampled_precision(probabilities, owned, seed)

    def mean_share(means: np.ndarray) -> float:
        found, there = means
        with np.errstate(invalid="ignore"):
            return _known_mean(found / there)

    return {
        "n": len(owned),
        **interval_origin(seed),
        "accuracy": metric(right, seed),
        "balanced_accuracy": metric(
            np.stack([right[:, None] * owned, owned], axis=1), seed, mean_share
        ),
        "mean_average_precision": {
            **distance_metric(_known_mean(precisions), resampled, least=0, most=1),
            "resamples": _PRECISION_RESAMPLES,
        },
        "by_label": {
            name: {
                "n": int(owners.sum()),
                "recognised": metric(right[owners], seed),
                "average_precision": {"value": finite(precision)},
            }
            for name, owners, precision in zip(names, owned.T, precisions, strict=True)
        },
        "confusion": confusion_matrix(probabilities, owned).tolist(),
    }


def score_generator(
    generator: Generator, dataset: Dataset, settings: EvaluationSettings
) -> dict[str, Any]:
    """Trains classifiers on generated cells, reconstructions and real crops.

    For each training crop of the generator there is one generated cell with its labels.
    All images are stored beside the report.
    """
    real = ImageSet.of_split(dataset.split(TRAINED_ON))
    beside = settings.folder / "cells_to_learn_from"
    cells = sample_cells(generator, dataset, settings, real.labels, beside).images
    if settings.keep_best < 1:
        beside = settings.folder / "chosen_to_learn_from"
        cells = store_selection(cells, generator.model_info, folder=beside)
    beside = settings.folder / "reconstructions_to_learn_from"
    reconstructions = store_reconstructions(generator, real, folder=beside)
    sets = {REAL: real, RECONSTRUCTIONS: reconstructions, GENERATED: cells}
    return classification_score(
        {name: images.split for name, images in sets.items()},
        ImageSet.of_split(dataset.split(settings.split)),
        settings.workdir,
        config=settings.classifier,
        seed=settings.seed,
    )


def classification_score(
    training: Mapping[str, Split],
    tested: ImageSet,
    workdir: str | os.PathLike,
    *,
    config: ClassifierConfig | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Trains the same network on several sets of cells, and tests it on real crops.

    Ravuri and Vinyals 2019: a classifier that is trained on generated images alone and
    tested on real ones shows what generated images lack in fidelity and variety.

    The training sets are ``real`` crops first, then other sets of the same labels and
    size. The tested crops are real ones of other groups.

    Returns:
        For each set the result of :func:`recognition`, with ``num_trained_on``, and for
        sets other than real ``accuracy_over_real``.
    """
    found: dict[str, Any] = {}
    right = {}
    labels = tested.labels
    for name, split in training.items():
        classifier = train_classifier(
            split, tested.split, workdir, role=name, config=config, seed=seed
        )
        probabilities = classifier.predict(tested)
        right[name] = is_right(probabilities, labels)[labels.any(axis=1)]
        found[name] = recognition(probabilities, labels, classifier.labels, seed=seed)
        found[name]["num_trained_on"] = split.num_examples
        if name != REAL:
            ratio = accuracy_ratio(right[name], right[REAL], seed)
            found[name]["accuracy_over_real"] = ratio
    return found


def accuracy_ratio(right: np.ndarray, reference: np.ndarray, seed: int) -> dict:
    """Returns the accuracy of a classifier over that of another one on the same cells.

    Both tell which cells are recognized, bool [N], and are resampled together.
    """

    def ratio(means: np.ndarray) -> float:
        return means[0] / means[1] if means[1] else np.nan

    return metric(np.stack([right, reference], axis=1), seed, ratio)


def _resampled_precision(
    probabilities: np.ndarray, owned: np.ndarray, seed: int
) -> np.ndarray:
    number = len(owned)
    if number < 2:
        return np.full(2, np.nan)
    rng, found = np.random.default_rng(seed), []
    for _ in range(_PRECISION_RESAMPLES):
        counts = np.bincount(rng.integers(number, size=number), minlength=number)
        found.append(_known_mean(average_precision(probabilities, owned, counts)))
    return np.array(found)


def _known_mean(values: np.ndarray) -> float:
    """Returns the mean of the values that are not NaN."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan
