"""What a protein of the cytoplasm's organelles looks like: a function a localization.

Each takes (tissue, markers, rng) and returns float32 [H, W], about 1 where bright.
"""

import numpy as np

from data_prep.synthetic.markers import Markers
from data_prep.synthetic.paths import Points, at, grow, points_in_cytoplasm
from data_prep.synthetic.tissue import Tissue


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
