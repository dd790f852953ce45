"""What the cells of one well share: labels, cell line, density, staining and camera.

A well is a pure function of (seed, index), so that wells can be made in any order by
any number of processes. Lengths in this package are in *units* of .32 micrometres: one
pixel of a 512-pixel Kaggle 2018 field, or of a crop of 128 pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

UNIT_IN_MICROMETRES = 0.32
CROP_SIDE = 128  # units of tissue that a crop shows, whatever its pixels
CHANNELS = ("red", "green", "blue", "yellow")
MIN_CELLS, MAX_CELLS = 10, 20
TWO_LABELS = 0.15  # share of wells whose protein has two localizations

# The random streams of a well; the label stream is shared by a round of wells.
_LABELS, _HABITS, CELLS, PAINT, CAMERA, DEFECTS = range(6)


@dataclass(frozen=True)
class CellLine:
    """The habits of a made-up cell line; lengths in units, ratios bare."""

    name: str
    nucleus_radius: float
    nucleus_elongation: float
    nucleus_lobes: float
    cell_ratio: float  # radius of the cell over that of its nucleus
    elongation: float
    roughness: float
    spikes: float  # mean number of protrusions
    fibres: float  # density of microtubules
    curl: float  # how fast microtubules turn


LINES = (
    CellLine("synthetic-cobble", 20, 1.15, 0.03, 2.1, 1.15, 0.10, 0.3, 0.9, 0.22),
    CellLine("synthetic-spread", 23, 1.25, 0.03, 2.4, 1.30, 0.16, 1.0, 1.3, 0.16),
    CellLine("synthetic-spindle", 19, 1.45, 0.03, 2.0, 1.90, 0.14, 1.4, 1.1, 0.08),
    CellLine("synthetic-small", 17, 1.20, 0.05, 1.8, 1.25, 0.12, 0.6, 0.7, 0.20),
    CellLine("synthetic-lobed", 22, 1.20, 0.11, 1.9, 1.20, 0.18, 0.8, 1.0, 0.26),
)


@dataclass(frozen=True)
class Well:
    """One well. Per-channel values are in the order of `CHANNELS`."""

    seed: int
    index: int
    labels: tuple[str, ...]
    line: CellLine
    num_cells: int  # cells that crops are cut around
    cell_area: float  # units squared of the plate a cell
    gains: tuple[float, ...]
    haze: tuple[float, ...]  # share of the light that is out of focus
    background: tuple[float, ...]
    photons: tuple[float, ...]  # at full intensity
    blur: float  # units; deviation of the optical blur
    leak: float  # diffuse protein everywhere in the cell

    @property
    def name(self) -> str:
        """The group's name in crops.csv."""
        return f"synthetic-{self.seed}-{self.index:05d}"

    def rng(self, stream: int) -> np.random.Generator:
        """Returns the well's random generator of a stream, at its start."""
        return np.random.default_rng((self.seed, self.index, stream))


def labels_of_well(
    seed: int, index: int, vocabulary: Sequence[str]
) -> tuple[str, ...]:
    """Draws a well's one or two labels, in the vocabulary's order.

    Every round of ``len(vocabulary)`` wells has each label once, in an order of its
    own; the second label of some wells is free.
    """
    place = index % len(vocabulary)
    round_rng = np.random.default_rng((seed, index // len(vocabulary), _LABELS))
    chosen = {int(round_rng.permutation(len(vocabulary))[place])}
    rng = np.random.default_rng((seed, index, _HABITS, _LABELS))
    if len(vocabulary) > 1 and rng.random() < TWO_LABELS:
        others = [i for i in range(len(vocabulary)) if i not in chosen]
        chosen.add(int(rng.choice(others)))
    return tuple(vocabulary[i] for i in sorted(chosen))


def make_well(seed: int, index: int, vocabulary: Sequence[str]) -> Well:
    """Makes the well `index` of a data set: a pure function of its arguments."""
    labels = labels_of_well(seed, index, vocabulary)
    rng = np.random.default_rng((seed, index, _HABITS))
    line = LINES[rng.integers(len(LINES))]
    crowding = rng.random()
    if "Cell junctions" in labels:
        crowding = 1.0  # junctions need a neighbour
    radius = line.nucleus_radius * line.cell_ratio
    return Well(
        seed=seed,
        index=index,
        labels=labels,
        line=line,
        num_cells=int(rng.integers(MIN_CELLS, MAX_CELLS + 1)),
        cell_area=float(radius**2 * (6.2 - 3.2 * crowding)),
        gains=_floats(rng, (0.5, 0.5, 0.5, 0.45), (1.0, 0.95, 0.9, 0.95)),
        haze=_floats(rng, (0.03,) * 4, (0.16, 0.20, 0.08, 0.20)),
        background=_floats(rng, (0.0,) * 4, (0.02, 0.03, 0.015, 0.03)),
        photons=_floats(rng, (60,) * 4, (300, 250, 400, 250)),
        blur=float(rng.uniform(0.0, 0.7)),
        leak=float(rng.uniform(0.01, 0.06)),
    )


def _floats(rng, low, high) -> tuple[float, ...]:
    return tuple(float(value) for value in rng.uniform(low, high))


def num_wells_for(num_cells: int, num_labels: int) -> int:
    """Returns over how many wells at least `num_cells` crops are spread.

    Wells of 10 to 20 cells when there are many; smaller ones when there are few, so
    that each label has three wells (one for each split), or at least one.
    """
    full = -(-2 * num_cells // (MIN_CELLS + MAX_CELLS))
    three_each = min(3 * num_labels, num_cells // 4)
    return max(full, three_each, min(num_labels, num_cells))


def plan_wells(
    seed: int, num_cells: int, vocabulary: Sequence[str]
) -> list[tuple[Well, int]]:
    """Returns the wells and how many crops are cut from each; the sum is `num_cells`."""
    limit = -(-num_cells // num_wells_for(num_cells, len(vocabulary)))
    if limit > (MIN_CELLS + MAX_CELLS) // 2 - 1:
        limit = MAX_CELLS
    plan: list[tuple[Well, int]] = []
    left = num_cells
    while left:
        well = make_well(seed, len(plan), vocabulary)
        count = min(well.num_cells, limit, left)
        plan.append((well, count))
        left -= count
    return plan
