"""Stains: three markers that every cell shows, and the protein of each localization.

All maps are float32 [H, W] and around 1 where a structure is bright.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data_prep.labels import load_vocabulary
from data_prep.synthetic.cell_outlines import (
    Points,
    at,
    grow,
    points_in_cytoplasm,
    points_in_nuclei,
)
from data_prep.synthetic.tissue import Tissue
from data_prep.synthetic.wells import Well


@dataclass(frozen=True)
class Markers:
    """The reference channels, and structures that proteins share."""

    microtubules: np.ndarray  # With spindles and bridges: the red channel.
    spindles: np.ndarray  # Of dividing cells.
    bridges: np.ndarray  # Between sister cells, without the midbody.
    midbodies: np.ndarray  # The bright knot in the middle of each bridge.
    chromatin: np.ndarray  # The blue channel.
    reticulum: np.ndarray  # The yellow channel.


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
    """A dense net: most fibres start near the nucleus, some follow the border."""
    cells, line = tissue.cells, well.line
    size = np.where(cells.mitotic, 0, cells.outline.mean(1) / 45)
    inner = points_in_cytoplasm(rng, cells, (65 * line.fibres * size**2), 2.5)
    heading = rng.normal(0, 1.1, len(inner.cell))
    outer = points_in_cytoplasm(rng, cells, (28 * line.fibres * size), 0.7)
    side = rng.choice([-1.4, 1.4], len(outer.cell))
    start = Points(
        np.append(inner.x, outer.x),
        np.append(inner.y, outer.y),
        np.append(inner.cell, outer.cell),
    )
    heading, scale = np.append(heading, side), tissue.canvas.scale
    lines = grow(rng, cells, start, heading, 75, line.curl, scale, 0.3, low=0.3)
    weight = rng.uniform(0.08, 0.42, len(start.cell)).astype(np.float32)
    net = tissue.lines(lines, 0.4, weight) * (1 - np.float32(0.6) * tissue.nuclei)
    return net + tissue.cytoplasm * (0.02 + 0.10 * tissue.near_nucleus(12))


def _spindles(tissue: Tissue, rng) -> np.ndarray:
    """Two fans of fibres from the poles to the plate of every dividing cell."""
    cells = tissue.cells
    cell = np.repeat(np.flatnonzero(cells.mitotic), 90)
    if not len(cell):
        return np.zeros(tissue.canvas.shape, np.float32)
    axis = cells.axis[cell]
    side = rng.choice([-1.0, 1.0], len(cell))
    along = rng.uniform(-9, 9, len(cell))
    pole = at(cells, cell, axis + side * np.pi / 2 + rng.normal(0, 0.09, len(cell)), 13)
    end, bulge = at(cells, cell, axis, along), at(cells, cell, axis, 2.1 * along)
    # A quadratic curve that leaves the pole steeply and meets the plate head-on.
    t = tissue.steps(16, least=0.5).astype(np.float32)
    x, y = (
        (1 - t) ** 2 * p + 2 * t * (1 - t) * (0.6 * b + 0.4 * p) + t**2 * e
        for p, b, e in ((pole.x, bulge.x, end.x), (pole.y, bulge.y, end.y))
    )
    weight = rng.uniform(0.04, 0.28, len(cell)).astype(np.float32)
    fans = tissue.lines(Points(x, y, cell), 0.5, weight)
    poles = tissue.dots(pole, 1.5, np.float32(0.008))
    dividing = tissue.per_cell(cells.mitotic, False)
    return fans + poles + np.float32(0.10) * tissue.body * dividing


def bridge_ends(tissue: Tissue) -> tuple[Points, Points]:
    """Returns points well inside both cells of each pair of sisters."""
    cells = tissue.cells
    edge = cells.outline[np.arange(len(cells)), cells.angle_index(cells.axis)]
    first = np.flatnonzero(cells.sister > np.arange(len(cells)))
    return tuple(
        at(cells, cell, cells.axis[cell], 0.8 * edge[cell])
        for cell in (first, cells.sister[first])
    )


def _bridges(tissue: Tissue) -> tuple[np.ndarray, np.ndarray]:
    """Returns the bundles that join sister cells, and their midbodies."""
    start, end = bridge_ends(tissue)
    strands = np.zeros(tissue.canvas.shape, np.float32)
    if not len(start.cell):
        return strands, strands
    t = tissue.steps(60, least=0.5).astype(np.float32)
    dx, dy = end.x - start.x, end.y - start.y
    for offset in (-0.8, 0.0, 0.8):  # Pinched together towards the middle.
        pinch = offset * (1 - 0.6 * np.sin(np.pi * t)) / np.hypot(dx, dy)
        x, y = start.x + t * dx - pinch * dy, start.y + t * dy + pinch * dx
        strands += tissue.canvas.lines(x, y, 0.8, np.float32(0.45))
    x, y = (start.x + end.x) / 2, (start.y + end.y) / 2
    return strands, tissue.canvas.dots(x, y, 1.7, np.float32(1))


def _chromatin(tissue: Tissue, rng) -> np.ndarray:
    """Grainy nuclei with dark nucleoli; dividing cells are brighter."""
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


def nucleoplasm(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """A grainy nucleus with dimmer nucleoli."""
    canvas = tissue.canvas
    grain = 0.75 + 0.13 * canvas.texture(rng, 1.6) + 0.07 * canvas.texture(rng, 0.8)
    return tissue.nuclei * grain * (1 - rng.uniform(0.3, 0.8) * tissue.nucleoli)


def nuclear_membrane(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """A thin ring around the nucleus with a weak interior."""
    ring = tissue.on_border(tissue.nucleus - 0.3, 0.85) * tissue.body
    folds = tissue.nuclei * (0.10 + 0.08 * tissue.canvas.ridges(rng, 3.5))
    return ring * (0.9 + 0.12 * tissue.canvas.texture(rng, 1.2)) + folds


def nucleoli(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Bright nucleoli in a faint nucleoplasm."""
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
    """The yellow channel, with the nuclear envelope."""
    grain = 0.95 + 0.08 * tissue.canvas.texture(rng, 0.9)
    return np.float32(1.15) * markers.reticulum * grain


def golgi_apparatus(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """A compact stack of thick ribbons on one side of the nucleus."""
    cells = tissue.cells
    cell = np.repeat(np.arange(len(cells)), 9)
    extent = rng.uniform(0.30, 0.55, len(cells))[cell]
    angle = cells.centrosome[cell] + extent * rng.uniform(-1, 1, len(cell))
    half = rng.uniform(0.15, 0.45, len(cell))
    t = tissue.steps(24, -1)
    angles = angle + t * half
    layer = rng.uniform(2.5, 9.5, len(cell))
    height = rng.uniform(0.4, 1.6, len(cell))
    wave = height * np.sin(4 * t + rng.uniform(0, 2 * np.pi, len(cell)))
    radius = cells.nucleus[cell, cells.angle_index(angles)] + layer + wave
    ribbons = tissue.lines(at(cells, cell, angles, radius), 1.05, 0.55)
    ribbons *= 1 - np.float32(0.7) * tissue.nuclei
    grain = 1 + 0.15 * tissue.canvas.texture(rng, 1.0)
    return np.minimum(ribbons, 1.25) * grain + np.float32(0.04) * tissue.body


def _scatter(tissue: Tissue, rng, low: int, high: int, nearness, reach=0.93) -> Points:
    """Returns `low` to `high` - 1 points in the cytoplasm of each cell."""
    count = rng.integers(low, high, len(tissue.cells))
    return points_in_cytoplasm(rng, tissue.cells, count, nearness, reach)


def peroxisomes(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Very many fine dots of equal brightness all over the cytoplasm."""
    points = _scatter(tissue, rng, 90, 150, 1.2)
    return tissue.dots(points, 0.6, 0.9) + 0.04 * tissue.cytoplasm


def endosomes(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Dots of mixed size and brightness, more of them near the nucleus."""
    points = _scatter(tissue, rng, 28, 50, 1.6)
    weight = np.exp(rng.normal(-0.4, 0.5, len(points.x)))
    large = rng.random(len(points.x)) < 0.4
    fine = tissue.dots(points, 0.8, weight * ~large)
    return fine + tissue.dots(points, 1.5, weight * large) + 0.04 * tissue.cytoplasm


def lysosomes(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Large round blobs that crowd beside the nucleus."""
    points = _scatter(tissue, rng, 16, 30, 3.0, 0.85)
    weight = rng.uniform(0.6, 1.0, len(points.x))
    return np.minimum(tissue.dots(points, 1.75, weight), 1.3) + 0.04 * tissue.cytoplasm


def microtubule_organizing_center(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """A bright patch beside the nucleus with short rays."""
    cell = np.repeat(np.arange(len(tissue.cells)), 26)
    direction = rng.uniform(-np.pi, np.pi, len(cell))
    t = tissue.steps(10)
    reach = t * rng.uniform(4, 11, len(cell))
    rays = _beside_nucleus(tissue, cell, 5.0).shifted(direction, reach)
    patch = tissue.dots(_beside_nucleus(tissue, cell[::26], 5.0), 2.4, 0.9)
    rays = tissue.lines(rays, 0.6, 0.35 * (1 - 0.7 * t[1:]))
    return rays + patch + np.float32(0.06) * tissue.body


def centrosome(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Two sharp points beside the nucleus."""
    cell = np.repeat(np.arange(len(tissue.cells)), 2)
    second = np.arange(len(cell)) % 2
    angle = rng.uniform(-np.pi, np.pi, len(cell))
    points = _beside_nucleus(tissue, cell, 4.0).shifted(angle, 2.6 * second)
    pair = tissue.dots(points, 0.95, 1.15)
    return pair + np.float32(0.06) * tissue.body * tissue.thickness


def lipid_droplets(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Rings of mixed size in clusters."""
    points = _scatter(tissue, rng, 12, 26, 1.5, 0.85)
    size = rng.choice([1.7, 2.5, 3.4], len(points.x))
    rings = points.shifted(tissue.steps(14, 0, 2 * np.pi).astype(np.float32), size)
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
    cell = np.repeat(np.arange(len(tissue.cells)), 5)
    centre = _beside_nucleus(tissue, cell, 6.0)
    x = centre.x + rng.normal(0, 1.6, len(cell))
    y = centre.y + rng.normal(0, 1.6, len(cell))
    blob = tissue.dots(Points(x, y, cell), 3.6, 0.75)
    blob *= 1 + 0.16 * tissue.canvas.texture(rng, 1.7)
    edge = np.clip((blob - 0.7) * 1.6, 0, 1)
    grain = 0.95 + 0.08 * tissue.canvas.texture(rng, 1.2)
    return edge * grain + np.float32(0.06) * tissue.body


def cytosol(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """An evenly filled cytoplasm with a dark nucleus."""
    canvas = tissue.canvas
    grain = 0.72 + 0.09 * canvas.texture(rng, 2.2) + 0.09 * canvas.texture(rng, 0.8)
    return (tissue.cytoplasm + 0.22 * tissue.nuclei) * tissue.thickness * grain


def cytoplasmic_bodies(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """A few bright round spots over a dim cytosol."""
    points = _scatter(tissue, rng, 5, 14, 1.1, 0.85)
    spots = tissue.dots(points, 1.35, rng.uniform(0.75, 1.1, len(points.x)))
    return spots + 0.12 * (tissue.cytoplasm * tissue.thickness)


def rods_and_rings(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """A few straight rods or rings several micrometres long."""
    points = _scatter(tissue, rng, 2, 5, 1.0, 0.75)
    turn = tissue.steps(36, -np.pi, np.pi)
    angle = rng.uniform(-np.pi, np.pi, len(points.x))
    is_rod = rng.random(len(points.x)) < 0.6
    x = np.where(is_rod, 2.1 * turn * np.cos(angle), 3.4 * np.cos(turn))
    y = np.where(is_rod, 2.1 * turn * np.sin(angle), 3.4 * np.sin(turn))
    shapes = Points(points.x + x, points.y + y, points.cell)
    return tissue.lines(shapes, 0.8, 1.0) + np.float32(0.05) * tissue.body


def _beside_nucleus(tissue: Tissue, cell: np.ndarray, distance: float) -> Points:
    """Returns the position of each cell's centrosome, off the nuclear membrane."""
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
    fibres = start.shifted(direction, tissue.steps(76, -1, least=0.5) * half)
    fibres = tissue.lines(fibres, 0.55, rng.uniform(0.25, 0.75, len(start.cell)))
    rim = tissue.on_border(tissue.depth - 0.8, 1.1) * tissue.body
    return fibres * (1 - 0.35 * tissue.nuclei) + 0.55 * rim + 0.04 * tissue.body


def focal_adhesion_sites(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Short thick dashes under the border that point outwards, on three sides."""
    cells, shape = tissue.cells, (len(tissue.cells), 26)
    sides = rng.uniform(-np.pi, np.pi, (len(cells), 3))
    side = np.take_along_axis(sides, rng.integers(0, 3, shape), 1)
    angle = (side + rng.normal(0, 0.45, shape)).ravel()
    cell = np.repeat(np.arange(len(cells)), 26)
    edge = cells.outline[cell, cells.angle_index(angle)]
    begin = edge * rng.uniform(0.74, 0.90, len(cell))
    reach = begin + tissue.steps(8) * rng.uniform(3, 6.5, len(cell))
    dashes = tissue.lines(at(cells, cell, angle, reach), 0.95, 0.9)
    return dashes + np.float32(0.07) * tissue.body * tissue.thickness


def microtubules(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """The red channel."""
    return np.float32(1.1) * markers.microtubules


def microtubule_ends(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """Comets: short outward dashes, brighter at the tip, up to the border."""
    cells = tissue.cells
    start = points_in_cytoplasm(rng, cells, np.where(cells.mitotic, 0, 85), 0.6, 0.92)
    angle = np.arctan2(start.y - cells.y[start.cell], start.x - cells.x[start.cell])
    direction = angle + rng.normal(0, 0.5, len(start.cell))
    t = tissue.steps(8)
    comets = tissue.lines(start.shifted(direction, 4.2 * t), 0.55, np.square(t[1:]))
    return np.float32(1.1) * comets + np.float32(0.05) * tissue.body


def cytokinetic_bridge(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """The bridge between two daughter cells, brightest at its midbody."""
    faint = 0.05 * tissue.body * tissue.thickness
    return markers.bridges * 0.8 + markers.midbodies * 0.9 + faint


def mitotic_spindle(tissue: Tissue, markers: Markers, rng) -> np.ndarray:
    """The spindles of dividing cells, and faint microtubules of the others."""
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


_RECIPES: tuple[Callable, ...] = (
    *(nucleoplasm, nuclear_membrane, nucleoli, nucleoli_fibrillar_center),
    *(nuclear_speckles, nuclear_bodies, endoplasmic_reticulum, golgi_apparatus),
    *(peroxisomes, endosomes, lysosomes, intermediate_filaments, actin_filaments),
    *(focal_adhesion_sites, microtubules, microtubule_ends, cytokinetic_bridge),
    *(mitotic_spindle, microtubule_organizing_center, centrosome, lipid_droplets),
    *(plasma_membrane, cell_junctions, mitochondria, aggresome, cytosol),
    *(cytoplasmic_bodies, rods_and_rings),
)
# Label -> recipe, in the order of the Kaggle 2018 indices.
RECIPES = dict(zip(load_vocabulary("kaggle2018").labels, _RECIPES, strict=True))


def stain_protein(
    tissue: Tissue, markers: Markers, well: Well, rng: np.random.Generator
) -> np.ndarray:
    """Draws the green channel: the well's localizations, and a faint leak.

    The molecules of a protein with several localizations are divided among them;
    otherwise their sum would be too bright for any exposure.
    """
    share = np.float32(1 / len(well.labels))
    protein = np.float32(well.leak) * tissue.body * tissue.thickness
    for label in well.labels:
        protein = protein + share * RECIPES[label](tissue, markers, rng)
    expression = tissue.per_cell(tissue.cells.expression, np.float32(1))
    return protein.astype(np.float32) * expression
