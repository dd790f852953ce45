"""What a protein of the nucleus looks like: one function a localization.

Each takes (tissue, markers, rng) and returns float32 [H, W], about 1 where bright.
"""

import numpy as np

from data_prep.synthetic.markers import Markers
from data_prep.synthetic.paths import points_in_nuclei
from data_prep.synthetic.tissue import Tissue


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
