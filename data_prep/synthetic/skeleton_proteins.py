"""What a protein of fibres, borders and division looks like: a function a localization.

Each takes (tissue, markers, rng) and returns float32 [H, W], about 1 where bright.
"""

import numpy as np

from data_prep.synthetic.markers import Markers
from data_prep.synthetic.paths import Points, at, grow, points_in_cytoplasm
from data_prep.synthetic.tissue import Tissue


def intermediate_filaments(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """A wavy cage that is dense around the nucleus."""
    start = points_in_cytoplasm(rng, tissue.cells, 70, 3.0)
    heading = rng.uniform(-np.pi, np.pi, len(start.cell))
    scale = tissue.canvas.scale
    lines = grow(rng, tissue.cells, start, heading, 48, 0.65, scale, low=0.38, high=0.9)
    net = tissue.lines(lines, 0.6, rng.uniform(0.12, 0.50, len(start.cell)))
    return net * (1 - 0.8 * tissue.nuclei) * (0.25 + 0.9 * tissue.near_nucleus(14))


def actin_filaments(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Parallel straight fibres through each cell, and its rim."""
    cells = tissue.cells
    start = points_in_cytoplasm(rng, cells, np.where(cells.mitotic, 0, 26), 1.0, 0.9)
    direction = cells.axis[start.cell] + rng.normal(0, 0.10, len(start.cell))
    half = rng.uniform(15, 38, len(start.cell))
    along = np.linspace(-1, 1, int(76 * max(tissue.canvas.scale, 0.5)))[:, None] * half
    x = start.x + along * np.cos(direction)
    y = start.y + along * np.sin(direction)
    weight = rng.uniform(0.25, 0.75, len(start.cell))
    fibres = tissue.lines(Points(x, y, start.cell), 0.55, weight)
    rim = tissue.on_border(tissue.depth - 0.8, 1.1) * tissue.body
    return fibres * (1 - 0.35 * tissue.nuclei) + 0.55 * rim + 0.04 * tissue.body


def focal_adhesion_sites(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Short thick dashes under the border that point outwards."""
    cells = tissue.cells
    angle = _clustered_angles(rng, len(cells), 26)
    cell = np.repeat(np.arange(len(cells)), 26)
    edge = cells.outline[cell, cells.angle_index(angle)]
    begin = edge * rng.uniform(0.74, 0.90, len(cell))
    t = np.linspace(0, 1, int(8 * max(tissue.canvas.scale, 1)))[:, None]
    reach = begin + t * rng.uniform(3, 6.5, len(cell))
    dashes = tissue.lines(at(cells, cell, angle, reach), 0.95, 0.9)
    return dashes + np.float32(0.07) * tissue.body * tissue.thickness


def _clustered_angles(rng, num_cells: int, count: int) -> np.ndarray:
    """Returns angles that gather at three sides of each cell."""
    sides = rng.uniform(-np.pi, np.pi, (num_cells, 3))
    which = rng.integers(0, 3, (num_cells, count))
    spread = rng.normal(0, 0.45, (num_cells, count))
    return (np.take_along_axis(sides, which, 1) + spread).ravel()


def microtubules(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """What the red channel shows."""
    return np.float32(1.1) * markers.microtubules


def microtubule_ends(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Comets: short outward dashes, brighter at the tip, up to the border."""
    cells = tissue.cells
    start = points_in_cytoplasm(rng, cells, np.where(cells.mitotic, 0, 85), 0.6, 0.92)
    angle = np.arctan2(start.y - cells.y[start.cell], start.x - cells.x[start.cell])
    direction = angle + rng.normal(0, 0.5, len(start.cell))
    t = np.linspace(0, 1, int(8 * max(tissue.canvas.scale, 1)))[:, None]
    x = start.x + 4.2 * t * np.cos(direction)
    y = start.y + 4.2 * t * np.sin(direction)
    comets = tissue.lines(Points(x, y, start.cell), 0.55, np.square(t[1:]))
    return np.float32(1.1) * comets + np.float32(0.05) * tissue.body


def cytokinetic_bridge(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """The bridge between two daughter cells, brightest at its midbody."""
    faint = 0.05 * tissue.body * tissue.thickness
    return markers.bridges * 0.8 + markers.midbodies * 0.9 + faint


def mitotic_spindle(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """The spindles of dividing cells; the others show their microtubules faintly."""
    rest = markers.microtubules - 0.8 * markers.spindles - 0.9 * markers.bridges
    return markers.spindles + np.float32(0.12) * np.maximum(rest, 0)


def plasma_membrane(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """The border of each cell, unevenly bright, over a faint body."""
    rim = tissue.on_border(tissue.depth - 0.5, 0.95) * (tissue.depth > -2.5)
    ruffles = np.clip(0.8 + 0.22 * tissue.canvas.texture(rng, 5), 0.3, 1.3)
    grain = 0.10 + 0.03 * tissue.canvas.texture(rng, 1.0)
    return rim * ruffles + tissue.body * grain * (1 - 0.6 * tissue.nuclei)


def cell_junctions(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Beaded lines where two cells touch, and nowhere else."""
    touching = tissue.canvas.soft(tissue.second + 1.0, 0.8)
    line = tissue.on_border(tissue.depth, 1.1) * touching
    beads = np.clip(0.85 + 0.40 * tissue.canvas.texture(rng, 1.8), 0.2, 1.5)
    return line * beads + np.float32(0.04) * tissue.body
