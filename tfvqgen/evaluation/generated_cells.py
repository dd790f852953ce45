"""Which cells are drawn for a report, and which real ones they are compared with."""

# Shapes: N crops of a split, M generated cells, C channels; L labels.

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from tfvqgen.evaluation.classifier.selection import cells_to_draw
from tfvqgen.evaluation.classifier.selection import keep_best as keep_cells
from tfvqgen.evaluation.classifier.trained import TrainedClassifier
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.evaluation.image_store import store_cells
from tfvqgen.generation.request import UNCONDITIONAL, SamplingParameters, Source

# What the kind without labels is called where a label has its usual name.
NO_LABEL = "no label"


@dataclasses.dataclass(frozen=True)
class GeneratedCells:
    """Cells that were drawn, on disk.

    Attributes:
        images: They, with the labels asked for.
        seeds: int64 [M].
    """

    images: ImageSet
    seeds: np.ndarray

    def __len__(self) -> int:
        return len(self.images)


def kinds(labels: np.ndarray) -> np.ndarray:
    """Returns which cells are of which kind: with a label, or with none.

    Args:
        labels: Multi-hot, [N, L].

    Returns:
        bool [N, L + 1].
    """
    labels = np.asarray(labels) > 0
    return np.concatenate([labels, ~labels.any(axis=1, keepdims=True)], axis=1)


def kind_names(vocabulary: Sequence[str]) -> list[str]:
    """Returns what the kinds are called, each by a name of its own."""
    free = UNCONDITIONAL not in vocabulary
    return [*vocabulary, UNCONDITIONAL if free else NO_LABEL]


def crops_in_turn(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Chooses crops whose labels cells are asked for with: each kind in its turn.

    A few crops have every label about as often; as many as there are have each crop
    once, and so the split's own distribution of sets of labels. After that the choice
    starts again.

    Args:
        labels: Multi-hot, [N, L].
        count: How many are wanted.
        seed: Of the order.

    Returns:
        Numbers of crops, int64 [count].
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
    """Chooses cells that show each kind best: those with the fewest other labels.

    Args:
        labels: Multi-hot, [M, L].
        most: How many of each, if there are so many.

    Returns:
        By kind, numbers of cells in order of their choice; kinds without cells are left
        out.
    """
    others = labels.sum(axis=1)
    chosen = {}
    for kind, member in enumerate(kinds(labels).T):
        cells = np.flatnonzero(member)
        if len(cells):
            order = np.argsort(others[cells], kind="stable")
            chosen[kind] = cells[order][:most].tolist()
    return chosen


def draw_cells(
    source: Source,
    labels: np.ndarray,
    *,
    seed: int,
    drawing: SamplingParameters,
    keep_best: float,
    chooser: TrainedClassifier | None,
    folder: str | os.PathLike,
) -> GeneratedCells:
    """Draws a cell for each row of labels, unless they are on disk already.

    Args:
        source: Where cells come from.
        labels: Multi-hot, [M, L].
        seed: Of the first cell drawn; the next has the next.
        drawing: Temperature, top_p and guidance.
        keep_best: The share of the drawn cells that is kept; 1 draws no more than are
            wanted.
        chooser: Says how much a cell looks like its labels; needed below 1.
        folder: Where drawn cells are kept.
    """
    labels = np.asarray(labels) > 0
    rows = cells_to_draw(labels, keep_best)
    drawn = store_cells(source, labels[rows], seed=seed, drawing=drawing, folder=folder)
    kept = np.arange(len(rows))
    if keep_best < 1:
        kept = keep_cells(chooser.recognise(drawn), drawn.labels, keep_best)
    kept = kept[in_the_order_of(labels, drawn.labels[kept])]
    return GeneratedCells(drawn.take(kept), seed + kept)


def in_the_order_of(wanted: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Returns the order in which found labels are the wanted ones.

    Args:
        wanted: Sets of labels, bool [M, L].
        found: The same sets in another order, [M, L].

    Returns:
        Numbers of rows of `found`, int64 [M]; of equal sets the first comes first.
    """
    order = np.empty(len(wanted), np.int64)
    order[np.lexsort(kinds(wanted).T)] = np.lexsort(kinds(found).T)
    return order


def matching_crops(labels: np.ndarray, wanted: np.ndarray, seed: int) -> np.ndarray:
    """Chooses different crops with the wanted sets of labels, as far as there are.

    Where a set of labels has too few crops, any others are taken.

    Args:
        labels: Of the crops to choose from, bool [N, L].
        wanted: Sets of labels, bool [M, L].
        seed: Of the choice.

    Returns:
        Numbers of crops, int64 [min(M, N)].
    """
    order = np.random.default_rng(seed).permutation(len(labels)).tolist()
    waiting: dict[bytes, list[int]] = {}
    for crop in order:
        waiting.setdefault(labels[crop].tobytes(), []).append(crop)
    chosen = []
    for row in wanted[: len(labels)]:
        same = waiting.get(row.tobytes())
        chosen.append(same.pop() if same else None)
    used = set(chosen)
    others = iter([crop for crop in order if crop not in used])
    return np.array([next(others) if x is None else x for x in chosen], np.int64)


def channel_means(images: ImageSet, what: str) -> np.ndarray:
    """Returns the mean of each channel of each image, in [0, 1], [N, C]."""
    means = [
        batch.mean(axis=(1, 2), dtype=np.float64) / np.iinfo(batch.dtype).max
        for batch in images.batches(what)
    ]
    return np.concatenate(means)
