"""Wells: the labels, cell line, density, staining and camera that cells share.

A well depends only on (seed, index), so that wells can be made in any order by any
number of processes. Lengths in this package are in units of 0.32 micrometres: one pixel
of a 512-pixel Kaggle 2018 field, or of a crop of 128 pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

UNIT_IN_MICROMETRES = 0.32
CROP_SIDE = 128  # Units of tissue that a crop shows, for any number of pixels.
CHANNELS = ("red", "green", "blue", "yellow")
MIN_CELLS, MAX_CELLS = 10, 20
_CELL_AREA = (6000, 13_000)  # Square units per cell: 20 to 44 cells in a field.
TWO_LABELS = 0.15  # Share of wells whose protein has two localizations.

# The random streams of a well; the label stream is shared by a round of wells.
_LABELS, _HABITS, CELLS, PAINT, CAMERA, SHADE, DEFECTS = range(7)


@dataclass(frozen=True)
class CellLine:
    """The shape of an invented cell line; lengths in units."""

    name: str
    nucleus_radius: float
    nucleus_elongation: float
    nucleus_lobes: float
    cell_ratio: float  # Radius of the cell divided by that of its nucleus.
    elongation: float
    roughness: float
    spikes: float  # Mean number of protrusions.
    fibres: float  # Density of microtubules.
    curl: float  # Curvature of microtubules.


LINES = (
    CellLine("synthetic-cobble", 22, 1.15, 0.03, 2.0, 1.15, 0.10, 0.2, 0.9, 0.16),
    CellLine("synthetic-spread", 25, 1.25, 0.03, 2.3, 1.30, 0.16, 0.6, 1.3, 0.12),
    CellLine("synthetic-spindle", 21, 1.45, 0.03, 1.9, 1.80, 0.14, 1.0, 1.1, 0.06),
    CellLine("synthetic-small", 18, 1.20, 0.05, 1.7, 1.25, 0.14, 0.4, 0.8, 0.14),
    CellLine("synthetic-lobed", 24, 1.20, 0.12, 1.8, 1.20, 0.20, 0.5, 1.0, 0.18),
)


@dataclass(frozen=True)
class Well:
    """One well; values per channel are in the order of `CHANNELS`."""

    seed: int
    index: int
    labels: tuple[str, ...]
    line: CellLine
    num_cells: int  # Cells that get a crop.
    cell_area: float  # Square units of the plate per cell.
    gains: tuple[float, ...]
    haze: tuple[float, ...]  # Share of the light that is out of focus.
    background: tuple[float, ...]
    photons: tuple[float, ...]  # At full intensity.
    blur: float  # Units; deviation of the optical blur.
    leak: float  # Diffuse protein everywhere in the cell.

    @property
    def name(self) -> str:
        """The name of the group in crops.csv."""
        return f"synthetic-{self.seed}-{self.index:05d}"

    def rng(self, stream: int) -> np.random.Generator:
        """Returns the well's random generator of a stream, at its start."""
        return np.random.default_rng((self.seed, self.index, stream))


def make_well(seed: int, index: int, vocabulary: Sequence[str]) -> Well:
    """Makes the well `index` of a data set.

    It has one or two labels, in the order of the vocabulary. Every round of
    ``len(vocabulary)`` wells has each label once, in an order of its own; the second
    label is independent.
    """
    place = index % len(vocabulary)
    round_rng = np.random.default_rng((seed, index // len(vocabulary), _LABELS))
    chosen = {int(round_rng.permutation(len(vocabulary))[place])}
    rng = np.random.default_rng((seed, index, _HABITS, _LABELS))
    if len(vocabulary) > 1 and rng.random() < TWO_LABELS:
        others = [i for i in range(len(vocabulary)) if i not in chosen]
        chosen.add(int(rng.choice(others)))
    labels = tuple(vocabulary[i] for i in sorted(chosen))
    rng = np.random.default_rng((seed, index, _HABITS))

    def uniform(low, high) -> tuple[float, ...]:
        return tuple(rng.uniform(low, high).tolist())

    line = LINES[rng.integers(len(LINES))]
    crowding = rng.random()
    if "Cell junctions" in labels:
        crowding = 1.0  # Junctions need a neighbour.
    radius = line.nucleus_radius * line.cell_ratio
    return Well(
        seed=seed,
        index=index,
        labels=labels,
        line=line,
        num_cells=int(rng.integers(MIN_CELLS, MAX_CELLS + 1)),
        cell_area=float(np.clip(radius**2 * (6.6 - 3.3 * crowding), *_CELL_AREA)),
        gains=uniform((0.4, 0.4, 0.5, 0.4), (1.0, 0.9, 1.0, 1.0)),
        haze=uniform(0.03, (0.16, 0.20, 0.08, 0.20)),
        background=uniform(0.0, (0.02, 0.03, 0.015, 0.03)),
        photons=uniform((60, 50, 80, 40), (250, 200, 400, 160)),
        blur=float(rng.uniform(0.0, 0.5)),
        leak=float(rng.uniform(0.01, 0.06)),
    )


def plan_wells(
    seed: int, num_cells: int, vocabulary: Sequence[str]
) -> list[tuple[Well, int]]:
    """Returns wells and their numbers of crops, `num_cells` in all.

    A small data set takes only some cells of each well, so that each label has three
    wells (one for each split), or at least one.
    """
    three_each = min(3 * len(vocabulary), num_cells // 4)
    one_each = min(len(vocabulary), num_cells)
    most = num_cells // max(three_each, one_each)
    plan, left = [], num_cells
    while left:
        well = make_well(seed, len(plan), vocabulary)
        count = min(well.num_cells, most, left)
        plan.append((well, count))
        left -= count
    return plan
