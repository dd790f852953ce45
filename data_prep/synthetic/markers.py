"""The three channels that every cell shows: microtubules, nucleus, reticulum.

All maps are float32 [H, W] and around 1 where a structure is bright.
"""

from dataclasses import dataclass

import numpy as np

from data_prep.synthetic.paths import Points, at, grow, points_in_cytoplasm
from data_prep.synthetic.tissue import Tissue
from data_prep.synthetic.wells import Well


@dataclass(frozen=True)
class Markers:
    """What the reference channels show, and structures that proteins share."""

    microtubules: np.ndarray  # with spindles and bridges: the red channel
    spindles: np.ndarray  # those of dividing cells alone
    bridges: np.ndarray  # between sister cells, without the midbody
    midbodies: np.ndarray  # the bright knot in the middle of each bridge
    chromatin: np.ndarray  # the blue channel
    reticulum: np.ndarray  # the yellow channel


def stain_markers(tissue: Tissue, well: Well, rng: np.random.Generator) -> Markers:
    """Draws the reference channels of a tissue."""
    spindles = _spindles(tissue, rng)
    bridges, midbodies = _bridges(tissue)
    interphase = _microtubules(tissue, well, rng)
    return Markers(
        microtubules=interphase + 0.8 * spindles + 0.9 * bridges,
        spindles=spindles,
        bridges=bridges,
        midbodies=midbodies,
        chromatin=_chromatin(tissue, rng),
        reticulum=_reticulum(tissue, rng),
    )


def _microtubules(tissue: Tissue, well: Well, rng) -> np.ndarray:
    """A dense net: most fibres start near the nucleus, some bundle along the border."""
    cells = tissue.cells
    size = np.where(cells.mitotic, 0, cells.outline.mean(1) / 45)
    inner = points_in_cytoplasm(rng, cells, (65 * well.line.fibres * size**2), 2.5)
    heading = rng.normal(0, 1.1, len(inner.cell))
    outer = points_in_cytoplasm(rng, cells, (28 * well.line.fibres * size), 0.7)
    side = rng.choice([-1.4, 1.4], len(outer.cell))
    start = Points(
        np.append(inner.x, outer.x),
        np.append(inner.y, outer.y),
        np.append(inner.cell, outer.cell),
    )
    lines = grow(
        rng,
        cells,
        start,
        np.append(heading, side),
        length=75,
        curl=well.line.curl,
        scale=tissue.canvas.scale,
        shortest=0.3,
        low=0.3,
    )
    weight = rng.uniform(0.08, 0.42, len(start.cell)).astype(np.float32)
    net = tissue.lines(lines, 0.4, weight)
    net *= 1 - np.float32(0.6) * tissue.nuclei
    diffuse = tissue.cytoplasm * (0.02 + 0.10 * tissue.near_nucleus(12))
    return net + diffuse


def _spindles(tissue: Tissue, rng) -> np.ndarray:
    """Two fans of fibres from the poles to the plate of every dividing cell."""
    cells = tissue.cells
    cell = np.repeat(np.flatnonzero(cells.mitotic), 90)
    image = np.zeros(tissue.canvas.shape, np.float32)
    if not len(cell):
        return image
    axis = cells.axis[cell]
    side = rng.choice([-1.0, 1.0], len(cell))
    along = rng.uniform(-9, 9, len(cell))
    pole = at(cells, cell, axis + side * np.pi / 2 + rng.normal(0, 0.09, len(cell)), 13)
    end, bulge = at(cells, cell, axis, along), at(cells, cell, axis, 2.1 * along)
    # A quadratic curve that leaves the pole steeply and meets the plate head-on.
    middle_x, middle_y = 0.6 * bulge.x + 0.4 * pole.x, 0.6 * bulge.y + 0.4 * pole.y
    num_points = int(16 * max(tissue.canvas.scale, 0.5))
    t = np.linspace(0, 1, num_points, dtype=np.float32)[:, None]
    x = (1 - t) ** 2 * pole.x + 2 * t * (1 - t) * middle_x + t**2 * end.x
    y = (1 - t) ** 2 * pole.y + 2 * t * (1 - t) * middle_y + t**2 * end.y
    weight = rng.uniform(0.04, 0.28, len(cell)).astype(np.float32)
    fans = tissue.lines(Points(x, y, cell), 0.5, weight)
    poles = tissue.dots(pole, 1.5, np.float32(0.008))
    dividing = np.append(False, cells.mitotic)[tissue.owner]
    return fans + poles + np.float32(0.10) * tissue.body * dividing


def bridge_ends(tissue: Tissue) -> tuple[Points, Points]:
    """Returns points well inside both cells of each pair of sisters."""
    cells = tissue.cells
    first = np.flatnonzero(cells.sister > np.arange(len(cells)))
    return tuple(
        at(
            cells,
            cell,
            cells.axis[cell],
            0.8 * cells.outline[cell, cells.angle_index(cells.axis[cell])],
        )
        for cell in (first, cells.sister[first])
    )


def _bridges(tissue: Tissue) -> tuple[np.ndarray, np.ndarray]:
    """Draws the bundles that join sister cells, and their midbodies."""
    start, end = bridge_ends(tissue)
    canvas = tissue.canvas
    if not len(start.cell):
        return np.zeros(canvas.shape, np.float32), np.zeros(canvas.shape, np.float32)
    t = np.linspace(0, 1, int(60 * max(canvas.scale, 0.5)), dtype=np.float32)[:, None]
    dx, dy = end.x - start.x, end.y - start.y
    length = np.hypot(dx, dy)
    strands = np.zeros(canvas.shape, np.float32)
    for offset in (-0.8, 0.0, 0.8):  # pinched together towards the middle
        pinch = offset * (1 - 0.6 * np.sin(np.pi * t)) / length
        x, y = start.x + t * dx - pinch * dy, start.y + t * dy + pinch * dx
        strands += canvas.lines(x, y, 0.8, np.float32(0.45))
    middle_x, middle_y = (start.x + end.x) / 2, (start.y + end.y) / 2
    return strands, canvas.dots(middle_x, middle_y, 1.7, np.float32(1))


def _chromatin(tissue: Tissue, rng) -> np.ndarray:
    """Nuclei with grain, clumps and dark nucleoli; dividing cells are brighter."""
    canvas = tissue.canvas
    grain = 0.62 + 0.11 * canvas.texture(rng, 2.4) + 0.09 * canvas.texture(rng, 1.0)
    amount = np.exp(0.15 * rng.standard_normal(len(tissue.cells) + 1))
    amount[1:][tissue.cells.mitotic] *= 1.45
    chromatin = tissue.nuclei * grain * (1 - np.float32(0.6) * tissue.nucleoli)
    return chromatin * amount.astype(np.float32)[tissue.owner]


def _reticulum(tissue: Tissue, rng) -> np.ndarray:
    """A net that is dense around the nucleus and thins out towards the border."""
    canvas = tissue.canvas
    net = 0.40 + 0.60 * canvas.ridges(rng, 1.2)
    net *= 0.85 + 0.22 * canvas.texture(rng, 0.8)
    fading = 0.25 + 0.75 * tissue.near_nucleus(22)
    envelope = tissue.on_border(tissue.nucleus, 0.8) * tissue.body
    reticulum = tissue.cytoplasm * tissue.thickness * fading * net * np.float32(1.7)
    return np.maximum(reticulum, 0) + np.float32(0.35) * envelope + 0.02 * tissue.body
