"""What an evaluation compares: generated cells, real crops, reconstructions."""

# Shapes: M generated cells, N held-out crops, n compared; L labels.

import dataclasses
from pathlib import Path

import numpy as np

from tfvqgen.data.schema import Dataset, Split
from tfvqgen.evaluation.classifier.trained import TrainedClassifier
from tfvqgen.evaluation.classifier.training import CHOOSER, train_judge
from tfvqgen.evaluation.generated_cells import (
    GeneratedCells,
    crops_in_turn,
    draw_cells,
    matching_crops,
)
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.evaluation.image_store import store_reconstructions
from tfvqgen.evaluation.settings import Settings
from tfvqgen.generation.generator import Generator

# Of more real crops features would take long and say little more.
MOST_CROPS = 10_000


@dataclasses.dataclass(frozen=True)
class Standards:
    """Real crops, and reconstructions, that generated cells are compared with.

    The first `compared` of each set are compared with each other.

    Attributes:
        turns: The number in the split of the real crop whose labels each cell is asked
            for with, [M].
        asked: These labels, bool [M, L].
        held_out: Crops of the split that is judged, those of `turns` first.
        training: Crops of the split that was trained on, those first that have the
            same sets of labels as the compared held-out crops; of another split if the
            training split itself is judged; None if there is no other.
        reconstructions: Of the compared training crops.
        compared: n.
    """

    turns: np.ndarray
    asked: np.ndarray
    held_out: ImageSet
    training: ImageSet | None
    reconstructions: ImageSet | None
    compared: int

    def first(self, images: ImageSet) -> ImageSet:
        """Returns the images that are compared."""
        return images.take(np.arange(self.compared))


@dataclasses.dataclass(frozen=True)
class Material(Standards):
    """Standards, and what is compared with them.

    Attributes:
        generated: The cells, M.
    """

    generated: GeneratedCells


def gather(
    generator: Generator,
    dataset: Dataset,
    settings: Settings,
    trained_on: str,
) -> Material:
    """Draws cells and chooses what they are compared with.

    Args:
        generator: The models.
        dataset: The real crops.
        settings: What is asked for.
        trained_on: The split that the models were trained on.
    """
    standards = gather_standards(generator, dataset, settings, trained_on)
    generated = draw(
        generator, dataset, settings, standards.asked, settings.folder / "cells"
    )
    return Material(**vars(standards), generated=generated)


def draw(
    generator: Generator,
    dataset: Dataset,
    settings: Settings,
    labels: np.ndarray,
    folder: Path,
) -> GeneratedCells:
    """Draws a cell for each row of labels as the settings say.

    Args:
        generator: The models.
        dataset: The real crops, of which some teach the classifier that chooses cells.
        settings: What is asked for.
        labels: Multi-hot, [M, L].
        folder: Where drawn cells are kept.
    """
    return draw_cells(
        generator,
        labels,
        seed=settings.seed,
        drawing=settings.drawing,
        keep_best=settings.keep_best,
        chooser=None if settings.keep_best == 1 else train_chooser(dataset, settings),
        folder=folder,
    )


def train_chooser(dataset: Dataset, settings: Settings) -> TrainedClassifier:
    """Returns the classifier that chooses cells, trained if it is not there yet."""
    return train_judge(
        dataset,
        settings.workdir,
        judged=settings.split,
        config=settings.classifier,
        what=CHOOSER,
    )


def gather_standards(
    generator: Generator, dataset: Dataset, settings: Settings, trained_on: str
) -> Standards:
    """Chooses what cells are compared with, however they are drawn.

    Args:
        generator: The models.
        dataset: The real crops.
        settings: What is asked for.
        trained_on: The split that the models were trained on.
    """
    seed = settings.seed
    held_out = ImageSet.of_split(dataset.split(settings.split))
    turns = crops_in_turn(held_out.labels, settings.num_samples, seed)
    asked = held_out.labels[turns]
    compared = min(len(turns), len(held_out), MOST_CROPS)
    held_out = held_out.take(_first(turns[:compared], len(held_out), seed))
    training = reconstructions = None
    if split := _other_split(dataset, settings.split, trained_on):
        training = ImageSet.of_split(split)
        wanted = held_out.labels[:compared]
        matching = matching_crops(training.labels, wanted, seed)
        compared = len(matching)
        training = training.take(_first(matching, len(training), seed))
        reconstructions = store_reconstructions(
            generator,
            training.take(np.arange(compared)),
            folder=settings.folder / "reconstructions",
        )
    return Standards(turns, asked, held_out, training, reconstructions, compared)


def _first(chosen: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Returns the chosen numbers and then all others in any order, at most so many."""
    order = np.random.default_rng(seed).permutation(number)
    others = order[~np.isin(order, chosen)]
    return np.concatenate([chosen, others])[:MOST_CROPS]


def _other_split(dataset: Dataset, judged: str, trained_on: str) -> Split | None:
    """Returns the split that was trained on, or another if that is judged."""
    names = (trained_on, "validation", "test")
    present = {name for name, info in dataset.info.splits.items() if info.num_examples}
    other = next((x for x in names if x != judged and x in present), None)
    return dataset.split(other) if other else None
