"""Which cells are drawn for a report, and what is measured of them."""

# Shapes: N crops of a split, M generated cells, C channels; L labels.

import dataclasses
from collections.abc import Collection, Sequence

import numpy as np
from tqdm import tqdm

from tfvqgen.generation.request import UNCONDITIONAL
from tfvqgen.generation.source import Source

BATCH_SIZE = 32


@dataclasses.dataclass(frozen=True)
class GeneratedCells:
    """What is kept of cells that were drawn.

    Attributes:
        labels: Asked for, multi-hot, float32 [M, L].
        seeds: int64 [M].
        intensity: Mean of each channel, in [0, 1], [M, C].
        images: The pictured cells, uint8 or uint16 [H, W, C] by number.
    """

    labels: np.ndarray
    seeds: np.ndarray
    intensity: np.ndarray
    images: dict[int, np.ndarray]


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
    """Returns what the kinds are called."""
    return [*vocabulary, UNCONDITIONAL]


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
    pictured: Collection[int],
) -> GeneratedCells:
    """Draws a cell for each row of labels, at temperature 1 and without guidance.

    Args:
        source: Where cells come from.
        labels: Multi-hot, [M, L].
        seed: Of the first cell; the next has the next.
        pictured: Numbers of the cells whose images are kept.
    """
    labels = np.asarray(labels, np.float32)
    seeds = seed + np.arange(len(labels), dtype=np.int64)
    largest = np.iinfo(source.about.dtype).max
    pictured = set(pictured)
    intensity: list[np.ndarray] = []
    kept = {}
    with tqdm(desc="generated cells", total=len(labels), unit="cell") as progress:
        for start in range(0, len(labels), BATCH_SIZE):
            rows = slice(start, start + BATCH_SIZE)
            images = _draw(source, labels[rows], seeds[rows])
            intensity.extend(images.mean(axis=(1, 2), dtype=np.float64) / largest)
            kept.update(
                (start + row, image)
                for row, image in enumerate(images)
                if start + row in pictured
            )
            progress.update(len(images))
    return GeneratedCells(labels, seeds, np.stack(intensity), kept)


def _draw(source: Source, labels: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
    ones = np.ones(len(labels), np.float32)
    cells = source.generate(labels, seeds, ones, ones, 0 * ones)
    return np.asarray(cells.image)
