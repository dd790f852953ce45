"""The cells to generate for an evaluation, and the real crops to compare them with."""

# Shapes: N crops of a split, M generated cells, n compared; L labels.

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tfvqgen.data.schema import Dataset
from tfvqgen.evaluation.classifiers import REJECTION, evaluation_classifier
from tfvqgen.evaluation.generated_images import store_cells, store_reconstructions
from tfvqgen.evaluation.image_sets import TRAINED_ON, ImageSet
from tfvqgen.evaluation.settings import EvaluationSettings
from tfvqgen.generation.generator import Generator
from tfvqgen.generation.request import UNCONDITIONAL, Source

# Names of the sets that are compared with held-out crops.
GENERATED, RECONSTRUCTIONS, REAL = "generated", "reconstructions", "real"
# The name of the kind without labels if a label is called `any`.
NO_LABEL = "no label"
# More real crops would make features slow and hardly more precise.
MAX_CROPS = 10_000


def kinds(labels: np.ndarray) -> np.ndarray:
    """Returns which cells have each label, and which have none, bool [N, L + 1]."""
    labels = np.asarray(labels) > 0
    return np.concatenate([labels, ~labels.any(axis=1, keepdims=True)], axis=1)


def kind_names(vocabulary: Sequence[str]) -> list[str]:
    """Returns the names of the :func:`kinds`, all different."""
    free = UNCONDITIONAL not in vocabulary
    return [*vocabulary, UNCONDITIONAL if free else NO_LABEL]


def crops_in_turn(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Chooses crops of each kind in turn by their labels [N, L], int64 [count].

    Few crops have every label about equally often. As many as there are contain each
    crop once, and so have the distribution of labels of the split. After that the
    choice starts again.
    """
    rng = np.random.default_rng(seed)
    chosen: list[int] = []
    while len(chosen) < count:
        order = rng.permutation(len(labels))
        waiting = [iter(order[kind[order]]) for kind in kinds(labels).T]
        used: set[int] = set()
        while waiting:
            still = []
            for crops in waiting:
                crop = next((x for x in crops if x not in used), None)
                if crop is not None:
                    used.add(crop)
                    chosen.append(int(crop))
                    still.append(crops)
            waiting = still
    return np.array(chosen[:count], np.int64)


def examples_of_kinds(labels: np.ndarray, most: int) -> dict[int, list[int]]:
    """Returns the cells of each kind with the fewest other labels, if there are any."""
    others = labels.sum(axis=1)
    chosen = {}
    for kind, member in enumerate(kinds(labels).T):
        cells = np.flatnonzero(member)
        if len(cells):
            order = np.argsort(others[cells], kind="stable")
            chosen[kind] = cells[order][:most].tolist()
    return chosen


def matching_crops(labels: np.ndarray, requested: np.ndarray, seed: int) -> np.ndarray:
    """Chooses different crops with the requested sets of labels, as far as possible.

    From crops with labels [N, L] those with labels [M, L] are chosen, int64
    [min(M, N)]. If a set of labels has too few crops, other crops are chosen instead.
    """
    order = np.random.default_rng(seed).permutation(len(labels)).tolist()
    waiting: dict[bytes, list[int]] = {}
    for crop in order:
        waiting.setdefault(labels[crop].tobytes(), []).append(crop)
    chosen = []
    for row in requested[: len(labels)]:
        same = waiting.get(row.tobytes())
        chosen.append(same.pop() if same else None)
    used = set(chosen)
    others = iter([crop for crop in order if crop not in used])
    return np.array([next(others) if x is None else x for x in chosen], np.int64)


def rows_to_sample(labels: np.ndarray, share: float) -> np.ndarray:
    """Returns which rows of labels to sample so that :func:`keep_best` keeps each once.

    A set of labels that is requested n times is sampled ceil(n / share) times.
    """
    # 3 / 0.3 is 10 without its rounding error.
    rows = [
        np.resize(members, math.ceil(round(len(members) / share, 9)))
        for members in _label_sets(labels)
    ]
    return np.sort(np.concatenate(rows)) if rows else np.zeros(0, np.int64)


def keep_best(
    probabilities: np.ndarray, labels: np.ndarray, share: float
) -> np.ndarray:
    """Chooses the best cells of each set of labels.

    The score of a cell is the probability of its least likely requested label; of equal
    scores the first are kept, so that cells without labels are not selected. For one
    label per cell it is the "classifier based rejection sampling" of VQ-VAE-2 (Razavi
    et al. 2019).

    Probabilities and requested labels are [N, L]. Of each set of labels the share,
    above 0, at most 1, is kept; rounded down, but at least one cell. The result is the
    indices of the cells to keep in order, int64.
    """
    requested = np.asarray(labels) > 0
    score = np.where(requested, probabilities, 1.0).min(axis=1, initial=1.0)
    kept = []
    for members in _label_sets(requested):
        count = max(1, math.floor(round(len(members) * share, 9)))
        order = np.argsort(-score[members], kind="stable")
        kept.append(members[order][:count])
    return np.sort(np.concatenate(kept)) if kept else np.zeros(0, np.int64)


def _label_sets(labels: np.ndarray) -> list[np.ndarray]:
    """Returns the indices of the rows of each different set of labels."""
    if not len(labels):
        return []
    _, which = np.unique(np.asarray(labels) > 0, axis=0, return_inverse=True)
    which = which.reshape(-1)
    return [np.flatnonzero(which == number) for number in range(which.max() + 1)]


@dataclasses.dataclass(frozen=True)
class GeneratedCells:
    """Generated cells, stored on disk with the requested labels."""

    images: ImageSet
    seeds: np.ndarray  # int64 [M].


def sample_cells(
    source: Source,
    dataset: Dataset,
    settings: EvaluationSettings,
    labels: np.ndarray,
    folder: Path,
) -> GeneratedCells:
    """Samples a cell for each row of labels, unless they are stored already.

    With `settings.keep_best` below 1 more cells are sampled and stored, and the
    rejection classifier, trained on crops of the dataset, keeps the best.
    """
    labels = np.asarray(labels) > 0
    rows = rows_to_sample(labels, settings.keep_best)
    sampled = store_cells(
        source,
        labels[rows],
        seed=settings.seed,
        sampling=settings.sampling,
        folder=folder,
    )
    kept = np.arange(len(rows))
    if settings.keep_best < 1:
        classifier = evaluation_classifier(
            dataset,
            settings.workdir,
            evaluated=settings.split,
            config=settings.classifier,
            role=REJECTION,
        )
        probabilities = classifier.predict(sampled)
        kept = keep_best(probabilities, sampled.labels, settings.keep_best)
    # Sorted by labels, the kept cells are the requested rows sorted in the same way.
    order = np.empty(len(labels), np.int64)
    order[np.lexsort(kinds(labels).T)] = np.lexsort(kinds(sampled.labels[kept]).T)
    return GeneratedCells(sampled.take(kept[order]), settings.seed + kept[order])


@dataclasses.dataclass(frozen=True)
class ReferenceSets:
    """Real crops and reconstructions that generated cells are compared with.

    The first `compared` images of each set are compared with each other. The training
    crops are of another split if the training split is evaluated; those with the same
    labels as the compared held-out crops come first. If there is no other split,
    `training` and `reconstructions` are None.
    """

    crop_numbers: np.ndarray  # The crop whose labels each generated cell has, [M].
    requested: np.ndarray  # These labels, bool [M, L].
    held_out: ImageSet  # Of the evaluated split; those of `crop_numbers` come first.
    training: ImageSet | None
    reconstructions: ImageSet | None  # Of the compared training crops.
    compared: int  # n.


def reference_sets(
    generator: Generator, dataset: Dataset, settings: EvaluationSettings
) -> ReferenceSets:
    """Chooses the crops that generated cells are compared with."""
    seed = settings.seed
    held_out = ImageSet.of_split(dataset.split(settings.split))
    crop_numbers = crops_in_turn(held_out.labels, settings.num_samples, seed)
    requested = held_out.labels[crop_numbers]
    compared = min(len(crop_numbers), len(held_out), MAX_CROPS)
    held_out = held_out.take(_first(crop_numbers[:compared], len(held_out), seed))
    splits = dataset.info.splits
    others = [
        name
        for name in (TRAINED_ON, "validation", "test")
        if name != settings.split and name in splits and splits[name].num_examples
    ]
    training = reconstructions = None
    if others:
        training = ImageSet.of_split(dataset.split(others[0]))
        matching = matching_crops(training.labels, held_out.labels[:compared], seed)
        compared = len(matching)
        training = training.take(_first(matching, len(training), seed))
        some, folder = training.take(range(compared)), settings.folder
        reconstructions = store_reconstructions(
            generator, some, folder=folder / "reconstructions"
        )
    return ReferenceSets(
        crop_numbers, requested, held_out, training, reconstructions, compared
    )


def _first(chosen: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Returns the chosen indices and then all others in random order, MAX_CROPS."""
    order = np.random.default_rng(seed).permutation(number)
    others = order[~np.isin(order, chosen)]
    return np.concatenate([chosen, others])[:MAX_CROPS]
