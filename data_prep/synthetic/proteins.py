"""The protein channel: one recipe for each localization of Kaggle 2018."""

from collections.abc import Callable

import numpy as np

from data_prep.synthetic.markers import Markers
from data_prep.synthetic.paths import (
    Points,
    at,
    grow,
    points_in_cytoplasm,
    points_in_nuclei,
)
from data_prep.synthetic.tissue import Tissue
from data_prep.synthetic.wells import Well


def nucleoplasm(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Fills the nucleus, grainy, with dimmer nucleoli."""
    canvas = tissue.canvas
    grain = 0.75 + 0.13 * canvas.texture(rng, 1.6) + 0.07 * canvas.texture(rng, 0.8)
    return tissue.nuclei * grain * (1 - rng.uniform(0.3, 0.8) * tissue.nucleoli)


def nuclear_membrane(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """A thin ring around the nucleus with a weak interior."""
    ring = tissue.on_border(tissue.nucleus - 0.3, 0.85) * tissue.body
    folds = tissue.nuclei * (0.10 + 0.08 * tissue.canvas.ridges(rng, 3.5))
    return ring * (0.9 + 0.12 * tissue.canvas.texture(rng, 1.2)) + folds


def nucleoli(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Fills the nucleoli; the nucleoplasm is faint."""
    grain = 0.9 + 0.10 * tissue.canvas.texture(rng, 0.9)
    return tissue.nucleoli * grain + np.float32(0.09) * tissue.nuclei


def nucleoli_fibrillar_center(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Several fine spots within each nucleolus."""
    points = points_in_nuclei(rng, tissue.cells, 160, 0.8)
    rows, columns, inside = tissue.canvas.pixel_of(points.x, points.y)
    within = inside & (tissue.nucleoli[rows * inside, columns * inside] > 0.6)
    chosen = within & (rng.random(len(within)) < 0.55)
    spots = tissue.dots(points, 0.75, np.float32(1.15) * chosen)
    return np.minimum(spots, 1.4) + 0.12 * tissue.nucleoli + 0.05 * tissue.nuclei


def nuclear_speckles(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Irregular islands between the nucleoli."""
    islands = tissue.canvas.texture(rng, 1.9) - np.float32(0.95)
    mask = np.clip(islands * np.float32(2.2), 0, 1)
    inside = np.clip(tissue.nucleus * np.float32(0.4), 0, 1)
    free = 1 - tissue.nucleoli
    return (mask * inside + np.float32(0.13) * tissue.nuclei) * free * tissue.nuclei


def nuclear_bodies(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """A few distinct round spots."""
    count = rng.integers(3, 10, len(tissue.cells))
    points = points_in_nuclei(rng, tissue.cells, count, 0.8)
    weight = rng.uniform(0.7, 1.1, len(points.x))
    return tissue.dots(points, 1.15, weight) + np.float32(0.08) * tissue.nuclei


def endoplasmic_reticulum(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """What the yellow channel shows, with the nuclear envelope."""
    grain = 0.95 + 0.08 * tissue.canvas.texture(rng, 0.9)
    return np.float32(1.15) * markers.reticulum * grain


def golgi_apparatus(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """A compact stack of thick ribbons that hugs one side of the nucleus."""
    cells, per_cell = tissue.cells, 9
    cell = np.repeat(np.arange(len(cells)), per_cell)
    extent = rng.uniform(0.30, 0.55, len(cells))[cell]
    angle = cells.centrosome[cell] + extent * rng.uniform(-1, 1, len(cell))
    half = rng.uniform(0.15, 0.45, len(cell))
    t = np.linspace(-1, 1, int(24 * max(tissue.canvas.scale, 1)))[:, None]
    angles = angle + t * half
    layer = rng.uniform(2.5, 9.5, len(cell))
    wave = rng.uniform(0.4, 1.6, len(cell)) * np.sin(
        4 * t + rng.uniform(0, 2 * np.pi, len(cell))
    )
    radius = cells.nucleus[cell, cells.angle_index(angles)] + layer + wave
    ribbons = tissue.lines(at(cells, cell, angles, radius), 1.05, 0.55)
    ribbons *= 1 - np.float32(0.7) * tissue.nuclei
    grain = 1 + 0.15 * tissue.canvas.texture(rng, 1.0)
    return np.minimum(ribbons, 1.25) * grain + np.float32(0.04) * tissue.body


def peroxisomes(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Very many fine dots all over the cytoplasm, alike in brightness."""
    count = rng.integers(90, 150, len(tissue.cells))
    points = points_in_cytoplasm(rng, tissue.cells, count, 1.2)
    return tissue.dots(points, 0.6, 0.9) + 0.04 * tissue.cytoplasm


def endosomes(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Dots of mixed size and brightness, more of them near the nucleus."""
    count = rng.integers(28, 50, len(tissue.cells))
    points = points_in_cytoplasm(rng, tissue.cells, count, 1.6)
    weight = np.exp(rng.normal(-0.4, 0.5, len(points.x)))
    large = rng.random(len(points.x)) < 0.4
    fine = tissue.dots(points, 0.8, weight * ~large)
    return fine + tissue.dots(points, 1.5, weight * large) + 0.04 * tissue.cytoplasm


def lysosomes(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Large round blobs that crowd beside the nucleus."""
    count = rng.integers(16, 30, len(tissue.cells))
    points = points_in_cytoplasm(rng, tissue.cells, count, 3.0, 0.85)
    weight = rng.uniform(0.6, 1.0, len(points.x))
    return np.minimum(tissue.dots(points, 1.75, weight), 1.3) + 0.04 * tissue.cytoplasm


def microtubule_organizing_center(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """A bright patch beside the nucleus with short rays and satellites."""
    cells = tissue.cells
    cell = np.repeat(np.arange(len(cells)), 26)
    center = _beside_nucleus(tissue, cell, 5.0)
    direction = rng.uniform(-np.pi, np.pi, len(cell))
    t = np.linspace(0, 1, int(10 * max(tissue.canvas.scale, 1)))[:, None]
    reach = t * rng.uniform(4, 11, len(cell))
    x, y = center.x + reach * np.cos(direction), center.y + reach * np.sin(direction)
    rays = tissue.lines(Points(x, y, cell), 0.6, 0.35 * (1 - 0.7 * t[1:]))
    patch = tissue.dots(_beside_nucleus(tissue, np.arange(len(cells)), 5.0), 2.4, 0.9)
    return rays + patch + np.float32(0.06) * tissue.body


def centrosome(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """One or two sharp points beside the nucleus."""
    cells = tissue.cells
    cell = np.repeat(np.arange(len(cells)), 2)
    place = _beside_nucleus(tissue, cell, 4.0)
    second = np.arange(len(cell)) % 2
    angle = rng.uniform(-np.pi, np.pi, len(cell))
    x = place.x + 2.6 * second * np.cos(angle)
    y = place.y + 2.6 * second * np.sin(angle)
    pair = tissue.dots(Points(x, y, cell), 0.95, 1.15)
    return pair + np.float32(0.06) * tissue.body * tissue.thickness


def lipid_droplets(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Rings of mixed size in clusters."""
    count = rng.integers(12, 26, len(tissue.cells))
    points = points_in_cytoplasm(rng, tissue.cells, count, 1.5, 0.85)
    size = rng.choice([1.7, 2.5, 3.4], len(points.x))
    cell = points.cell
    num_points = int(14 * max(tissue.canvas.scale, 1))
    turn = np.linspace(0, 2 * np.pi, num_points, dtype=np.float32)[:, None]
    rings = Points(points.x + size * np.cos(turn), points.y + size * np.sin(turn), cell)
    return tissue.lines(rings, 0.6, 0.8) + np.float32(0.05) * tissue.cytoplasm


def mitochondria(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Many short worms, densest around the nucleus."""
    cells = tissue.cells
    size = cells.outline.mean(1) / 45
    start = points_in_cytoplasm(rng, cells, (75 * size**2), 1.8, 0.85)
    heading = rng.normal(0, 1.0, len(start.cell))
    worms = grow(rng, cells, start, heading, 14, 0.75, tissue.canvas.scale, low=0.3)
    drawn = tissue.lines(worms, 0.9, rng.uniform(0.4, 0.8, len(start.cell)))
    return np.minimum(drawn, 1.2) * (1 - 0.8 * tissue.nuclei) + 0.03 * tissue.cytoplasm


def aggresome(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """One large blob beside the nucleus."""
    cells, per_cell = tissue.cells, 5
    cell = np.repeat(np.arange(len(cells)), per_cell)
    center = _beside_nucleus(tissue, cell, 6.0)
    x = center.x + rng.normal(0, 1.6, len(cell))
    y = center.y + rng.normal(0, 1.6, len(cell))
    blob = tissue.dots(Points(x, y, cell), 3.6, 0.75)
    blob *= 1 + 0.16 * tissue.canvas.texture(rng, 1.7)
    edge = np.clip((blob - 0.7) * 1.6, 0, 1)
    grain = 0.95 + 0.08 * tissue.canvas.texture(rng, 1.2)
    return edge * grain + np.float32(0.06) * tissue.body


def cytosol(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Fills the cytoplasm evenly; the nucleus is dark."""
    canvas = tissue.canvas
    grain = 0.72 + 0.09 * canvas.texture(rng, 2.2) + 0.09 * canvas.texture(rng, 0.8)
    return (tissue.cytoplasm + 0.22 * tissue.nuclei) * tissue.thickness * grain


def cytoplasmic_bodies(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """A few bright round spots over a dim cytosol."""
    count = rng.integers(5, 14, len(tissue.cells))
    points = points_in_cytoplasm(rng, tissue.cells, count, 1.1, 0.85)
    weight = rng.uniform(0.75, 1.1, len(points.x))
    return tissue.dots(points, 1.35, weight) + 0.12 * (
        tissue.cytoplasm * tissue.thickness
    )


def rods_and_rings(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """A few straight rods or rings several micrometres long."""
    count = rng.integers(2, 5, len(tissue.cells))
    points = points_in_cytoplasm(rng, tissue.cells, count, 1.0, 0.75)
    turn = np.linspace(-np.pi, np.pi, int(36 * max(tissue.canvas.scale, 1)))[:, None]
    angle = rng.uniform(-np.pi, np.pi, len(points.x))
    is_rod = rng.random(len(points.x)) < 0.6
    x = np.where(is_rod, 2.1 * turn * np.cos(angle), 3.4 * np.cos(turn))
    y = np.where(is_rod, 2.1 * turn * np.sin(angle), 3.4 * np.sin(turn))
    shapes = Points(points.x + x, points.y + y, points.cell)
    return tissue.lines(shapes, 0.8, 1.0) + np.float32(0.05) * tissue.body


def _beside_nucleus(tissue: Tissue, cell: np.ndarray, distance: float) -> Points:
    """Returns each cell's place of the centrosome, off the nuclear membrane."""
    cells = tissue.cells
    angle = cells.centrosome[cell]
    edge = cells.nucleus[cell, cells.angle_index(angle)]
    return at(cells, cell, angle, edge + distance)


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


# In the order of the Kaggle 2018 indices.
RECIPES: dict[str, Callable] = {
    "Nucleoplasm": nucleoplasm,
    "Nuclear membrane": nuclear_membrane,
    "Nucleoli": nucleoli,
    "Nucleoli fibrillar center": nucleoli_fibrillar_center,
    "Nuclear speckles": nuclear_speckles,
    "Nuclear bodies": nuclear_bodies,
    "Endoplasmic reticulum": endoplasmic_reticulum,
    "Golgi apparatus": golgi_apparatus,
    "Peroxisomes": peroxisomes,
    "Endosomes": endosomes,
    "Lysosomes": lysosomes,
    "Intermediate filaments": intermediate_filaments,
    "Actin filaments": actin_filaments,
    "Focal adhesion sites": focal_adhesion_sites,
    "Microtubules": microtubules,
    "Microtubule ends": microtubule_ends,
    "Cytokinetic bridge": cytokinetic_bridge,
    "Mitotic spindle": mitotic_spindle,
    "Microtubule organizing center": microtubule_organizing_center,
    "Centrosome": centrosome,
    "Lipid droplets": lipid_droplets,
    "Plasma membrane": plasma_membrane,
    "Cell junctions": cell_junctions,
    "Mitochondria": mitochondria,
    "Aggresome": aggresome,
    "Cytosol": cytosol,
    "Cytoplasmic bodies": cytoplasmic_bodies,
    "Rods & rings": rods_and_rings,
}


def stain_protein(
    tissue: Tissue, markers: Markers, well: Well, rng: np.random.Generator
) -> np.ndarray:
    """Draws the green channel: the well's localizations, and a faint leak.

    A protein of several localizations has its molecules divided among them: as bright
    as alone they would add up to more than any exposure is made for.
    """
    share = np.float32(1 / len(well.labels))
    protein = np.float32(well.leak) * tissue.body * tissue.thickness
    for label in well.labels:
        protein = protein + share * RECIPES[label](tissue, markers, rng)
    return protein.astype(np.float32) * tissue.expression
