"""Cells on a canvas: the cell of every pixel and the distances to its borders.

A pixel that several cells reach belongs to the cell that is deeper there. The border
runs where both are equally deep, so that neighbours touch along a line, as in a
confluent culture.
"""

import dataclasses
import functools

import numpy as np

from data_prep.synthetic.canvas import Canvas
from data_prep.synthetic.cell_outlines import (
    MAX_RADIUS,
    NUM_ANGLES,
    CellOutlines,
    Points,
    at,
    points_in_nuclei,
)

_FAR = np.float32(-60.0)
# Neighbours do not cover a nucleus or the few units around it: there, the cell counts
# as deeper than any other.
_PROTECTED = np.float32(4.0)
_STEEP = np.float32(10.0)


@dataclasses.dataclass
class Tissue:
    """Maps [H, W] of a canvas; distances in units, positive inside."""

    canvas: Canvas
    cells: CellOutlines
    owner: np.ndarray  # int32: 1 + index of the cell, 0 outside.
    depth: np.ndarray  # Distance to the border of the cell.
    second: np.ndarray  # Depth that the next cell would have here.
    nucleus: np.ndarray  # Distance to the border of the owner's nucleus.
    nucleoli: np.ndarray  # Soft mask in [0, 1].

    @functools.cached_property
    def body(self) -> np.ndarray:
        """Soft mask of the cells."""
        return self.canvas.soft(self.depth, 0.6)

    @functools.cached_property
    def nuclei(self) -> np.ndarray:
        """Soft mask of the nuclei."""
        return self.canvas.soft(self.nucleus, 0.5) * self.body

    @functools.cached_property
    def cytoplasm(self) -> np.ndarray:
        """Soft mask of the cells without their nuclei."""
        return self.body * (1 - self.nuclei)

    @functools.cached_property
    def thickness(self) -> np.ndarray:
        """Thickness of the cell: 1 near the nucleus, small at the border."""
        edge = np.sqrt(np.clip(self.depth * np.float32(1 / 14), 0, 1))
        return edge * (np.float32(0.45) + np.float32(0.55) * self.near_nucleus(28))

    def per_cell(self, values: np.ndarray, outside) -> np.ndarray:
        """Returns the map of a value per cell [n]."""
        return np.append(outside, values)[self.owner]

    def near_nucleus(self, reach: float) -> np.ndarray:
        """Returns 1 on the nucleus, falling over `reach` units around it."""
        return np.exp(np.clip(self.nucleus, -30 * reach, 0) * np.float32(1 / reach))

    def on_border(self, distance: np.ndarray, width: float) -> np.ndarray:
        """Returns a ridge of height 1 where `distance` is 0; `width` is in units."""
        pixels = self.canvas.sigma_in_pixels(width)
        fall = np.square(distance * np.float32(self.canvas.scale / pixels))
        return np.exp(-np.minimum(fall, 30))  # Denormal numbers beyond are slow.

    def steps(self, count: float, low: float = 0, high: float = 1, least: float = 1):
        """Returns [T, 1] values from `low` to `high`, `count` at 1 pixel per unit."""
        number = int(count * max(self.canvas.scale, least))
        return np.linspace(low, high, number)[:, None]

    def own(self, points: Points) -> np.ndarray:
        """Returns whether points lie on pixels of the cell that they belong to."""
        rows, columns, inside = self.canvas.pixel_of(points.x, points.y)
        index = (rows * self.canvas.shape[1] + columns) * inside
        return inside & (self.owner.ravel().take(index) == points.cell + 1)

    def dots(self, points: Points, sigma: float, weight=1.0) -> np.ndarray:
        """Draws spots with peaks of `weight`, each only within its own cell."""
        return self.canvas.dots(points.x, points.y, sigma, weight * self.own(points))

    def lines(self, paths: Points, sigma: float, weight=1.0) -> np.ndarray:
        """Draws lines [T, F], each only within its own cell."""
        return self.canvas.lines(paths.x, paths.y, sigma, weight * self.own(paths)[1:])


def paint(canvas: Canvas, cells: CellOutlines, rng: np.random.Generator) -> Tissue:
    """Lays out the cells on the canvas."""
    shape = canvas.shape
    best = np.full(shape, -10, np.float32)
    second = np.full(shape, -10, np.float32)
    nucleus = np.full(shape, _FAR, np.float32)
    owner = np.zeros(shape, np.int32)
    nucleus_slant, outline_slant = _slant(cells.nucleus), _slant(cells.outline)
    for cell in range(len(cells)):
        placed = _window(canvas, cells, cell)
        if placed is None:
            continue
        window, radius, angle = placed
        to_nucleus = cells.nucleus[cell].take(angle) - radius
        to_nucleus *= nucleus_slant[cell].take(angle)
        depth = cells.outline[cell].take(angle) - radius
        depth *= outline_slant[cell].take(angle)
        protected = to_nucleus + _PROTECTED
        np.maximum(depth, protected, out=depth)
        depth += np.clip(protected * _STEEP, 0, MAX_RADIUS)
        wins = depth > best[window]
        np.maximum(second[window], np.minimum(depth, best[window]), out=second[window])
        np.maximum(best[window], depth, out=best[window])
        np.copyto(nucleus[window], to_nucleus, where=wins)
        np.copyto(owner[window], np.int32(cell + 1), where=wins)
    inside = best > 0
    to_border = np.minimum(best, (best - second) * np.float32(0.5))
    tissue = Tissue(
        canvas=canvas,
        cells=cells,
        owner=owner * inside,
        depth=np.where(inside, to_border, best),
        second=second,
        nucleus=nucleus,
        nucleoli=_nucleoli(canvas, cells, nucleus, rng),
    )
    return dataclasses.replace(tissue, cells=_with_free_centrosomes(tissue))


def _with_free_centrosomes(tissue: Tissue, turns: int = 8) -> CellOutlines:
    """Turns centrosomes that a neighbour covers around the nucleus to a free place."""
    cells = tissue.cells
    cell = np.arange(len(cells))
    angle = cells.centrosome.copy()
    for _ in range(turns):
        edge = cells.nucleus[cell, cells.angle_index(angle)]
        covered = ~tissue.own(at(cells, cell, angle, edge + 9))
        angle[covered] += np.float32(2 * np.pi / turns)
    return dataclasses.replace(cells, centrosome=angle)


def _slant(contours: np.ndarray) -> np.ndarray:
    """Returns [n, A] factors from differences of radii to distances to the contour.

    A factor is 1 over the length of the difference's gradient at the contour, so that a
    rim has the same width on the side and at the tip of a long cell.
    """
    change = np.roll(contours, -1, axis=1) - np.roll(contours, 1, axis=1)
    change *= np.float32(NUM_ANGLES / (4 * np.pi))
    return 1 / np.sqrt(1 + np.square(change / contours))


@functools.cache
def _polar_table(scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns radius (units) and angle index of every pixel around a cell's centre."""
    reach = int(np.ceil((MAX_RADIUS + 8) * scale))
    steps = np.arange(-reach, reach + 1, dtype=np.float32) / np.float32(scale)
    radius = np.hypot(steps[:, None], steps[None, :])
    turns = np.arctan2(steps[:, None], steps[None, :]) / (2 * np.pi) + 0.5
    return radius, (turns * NUM_ANGLES).astype(np.intp) % NUM_ANGLES


def _window(canvas: Canvas, cells: CellOutlines, cell: int):
    """Returns the part of the canvas that a cell may reach, and its polar table."""
    radius, angle = _polar_table(canvas.scale)
    middle = len(radius) // 2
    reach = min(int((cells.outline[cell].max() + 7) * canvas.scale), middle)
    row = round(cells.y[cell] * canvas.scale - 0.5)
    column = round(cells.x[cell] * canvas.scale - 0.5)
    height, width = canvas.shape
    top, bottom = max(row - reach, 0), min(row + reach + 1, height)
    left, right = max(column - reach, 0), min(column + reach + 1, width)
    if top >= bottom or left >= right:
        return None
    part = (
        slice(top - row + middle, bottom - row + middle),
        slice(left - column + middle, right - column + middle),
    )
    return (slice(top, bottom), slice(left, right)), radius[part], angle[part]


def _nucleoli(canvas: Canvas, cells: CellOutlines, nucleus, rng) -> np.ndarray:
    """Draws one to four nucleoli per nucleus, none in dividing cells."""
    count = np.where(cells.mitotic, 0, rng.integers(1, 5, len(cells)))
    points = points_in_nuclei(rng, cells, count, 0.62)
    size = rng.uniform(2.4, 5.2, len(points.x)) * (1 - 0.08 * count[points.cell])
    depth = np.full(canvas.shape, _FAR, np.float32)
    radius, _ = _polar_table(canvas.scale)
    middle = len(radius) // 2
    rows, columns, inside = canvas.pixel_of(points.x, points.y)
    for i in np.flatnonzero(inside):
        reach = int((size[i] + 3) * canvas.scale)
        top, left = max(rows[i] - reach, 0), max(columns[i] - reach, 0)
        window = depth[top : rows[i] + reach + 1, left : columns[i] + reach + 1]
        up, across = top - rows[i] + middle, left - columns[i] + middle
        part = radius[up : up + window.shape[0], across : across + window.shape[1]]
        np.maximum(window, np.float32(size[i]) - part, out=window)
    depth += np.float32(0.7) * canvas.texture(rng, 1.6)
    return canvas.soft(np.minimum(depth, nucleus - 1), 0.6)
