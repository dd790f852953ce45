"""What there is to learn from generated cells: the classification accuracy score."""

from typing import Any

from tfvqgen.data.schema import Dataset
from tfvqgen.errors import UserError
from tfvqgen.evaluation.classifier.classification_score import (
    REAL,
    classification_score,
)
from tfvqgen.evaluation.classifier.training import judge_split
from tfvqgen.evaluation.extractors.choice import CLASSIFIER
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.evaluation.image_store import store_chosen, store_reconstructions
from tfvqgen.evaluation.material import draw
from tfvqgen.evaluation.sections.generation import GENERATED, RECONSTRUCTIONS
from tfvqgen.evaluation.settings import Settings
from tfvqgen.generation.generator import Generator


def require_learnable(dataset: Dataset, settings: Settings, trained_on: str) -> None:
    """Raises UserError if what is asked for needs crops that are not there.

    Args:
        dataset: Real crops.
        settings: What is asked for.
        trained_on: The split that the models were trained on.
    """
    if judge_split(dataset, settings.split) is None:
        expected = (
            "nothing judges cells: expected crops with labels in a split besides "
            f"{trained_on} and that which is judged, for "
        )
        if settings.keep_best < 1:
            raise UserError(
                f"{expected}keep_best below 1. Received: keep_best={settings.keep_best}"
            )
        if CLASSIFIER in settings.extractors:
            raise UserError(
                f"{expected}that extractor. Received: extractor={CLASSIFIER}"
            )
    if not settings.classification_score:
        return
    if settings.split == trained_on:
        raise UserError(
            "the classification score is tested on crops that nothing was trained on: "
            f"expected another split. Received: split={settings.split}"
        )
    if not any(dataset.split(trained_on).label_counts.values()):
        raise UserError(
            "the classification score is of labels: expected crops with labels. "
            f"Received: split={trained_on} without any"
        )


def learn(
    generator: Generator, dataset: Dataset, settings: Settings, trained_on: str
) -> dict[str, Any]:
    """Trains classifiers on generated cells, reconstructions and real crops.

    For each crop that the generator was trained on there is a cell with its labels,
    drawn, and chosen from what was drawn, as the settings say. All are kept on disk.

    Args:
        generator: The models.
        dataset: Real crops.
        settings: What is asked for.
        trained_on: The split that the models were trained on.
    """
    real = ImageSet.of_split(dataset.split(trained_on))
    folder = settings.folder / "cells_to_learn_from"
    cells = draw(generator, dataset, settings, real.labels, folder).images
    if settings.keep_best < 1:
        chosen = settings.folder / "chosen_to_learn_from"
        cells = store_chosen(cells, generator.model_info, folder=chosen)
    made = store_reconstructions(
        generator, real, folder=settings.folder / "reconstructions_to_learn_from"
    )
    learnt_from = {
        REAL: real.split,
        RECONSTRUCTIONS: made.split,
        GENERATED: cells.split,
    }
    judged = ImageSet.of_split(dataset.split(settings.split))
    return classification_score(
        learnt_from,
        judged,
        settings.workdir,
        config=settings.classifier,
        seed=settings.seed,
    )
