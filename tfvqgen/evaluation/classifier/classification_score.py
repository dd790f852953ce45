"""The classification accuracy score: what classifiers learn from generated cells.

"Classification accuracy score for conditional generative models", Ravuri and Vinyals
2019: a classifier that learns from generated images alone and is tested on real ones
shows what generated cells lack, in variety as in likeness, better than pictures do.
"""

# Shapes: N crops, L labels.

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfvqgen.data.schema import Split
from tfvqgen.evaluation.classifier.recognition import compared, recognition
from tfvqgen.evaluation.classifier.training import train_classifier
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.evaluation.metrics.classification import is_right
from tfvqgen.training.stages.classifier import ClassifierConfig

REAL = "real"


def classification_score(
    learnt_from: Mapping[str, Split],
    judged: ImageSet,
    workdir: str | os.PathLike,
    *,
    config: ClassifierConfig | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Trains the same network on real cells and others, and tests all on real crops.

    Args:
        learnt_from: ``real``: the crops that the generator was trained on; and others
            with the same labels, as many: ``reconstructions``, ``generated``.
        judged: Real crops of other groups.
        workdir: Where classifiers are kept and found again.
        config: How all of them are trained.
        seed: Of their training and of the bootstrap.

    Returns:
        For each of `learnt_from` what :func:`recognition` returns, with
        ``num_learnt_from``, and for others than real ``accuracy_over_real``: what they
        reach of the real-trained accuracy.

    Raises:
        DataError: A record is damaged.
    """
    found: dict[str, Any] = {}
    right: dict[str, np.ndarray] = {}
    labels = judged.labels
    for name, split in learnt_from.items():
        classifier = train_classifier(
            split, judged.split, workdir, what=name, config=config, seed=seed
        )
        probabilities = classifier.recognise(judged)
        right[name] = is_right(probabilities, labels)[labels.any(axis=1)]
        found[name] = {
            "num_learnt_from": split.num_examples,
            **recognition(probabilities, labels, classifier.labels, seed=seed),
        }
        if name != REAL:
            found[name]["accuracy_over_real"] = compared(right[name], right[REAL], seed)
    return found
