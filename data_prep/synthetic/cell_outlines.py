"""Where the cells of a piece of tissue lie and what their outlines are.

A contour is a table of radii by angle around the nucleus's centre. Legend: n = cells,
A = angles.
"""

from dataclasses import dataclass

import numpy as np

from data_prep.synthetic.wells import CELLS, Well

MAX_RADIUS = 88.0
NUM_ANGLES = 512
ANGLES = (np.arange(NUM_ANGLES, dtype=np.float32) + 0.5) * np.float32(
    2 * np.pi / NUM_ANGLES
) - np.float32(np.pi)
_MITOTIC_SHARE = 0.85  # of the cells of a well that shows spindles
_SISTERS_APART = (48.0, 58.0)
_SOCIABLE = 0.25  # share of cells that seek the touch of another's nucleus


@dataclass(frozen=True)
class CellOutlines:
    """Cells in units; the first `num_inner` are those that crops are cut around."""

    x: np.ndarray  # [n]
    y: np.ndarray  # [n]
    axis: np.ndarray  # [n] angle of the long axis; of a mitotic cell, of the plate
    nucleus: np.ndarray  # [n, A] radii
    outline: np.ndarray  # [n, A] radii
    mitotic: np.ndarray  # [n] bool
    sister: np.ndarray  # [n] index of the cell at the bridge's other end, or -1
    centrosome: np.ndarray  # [n] angle from the nucleus's centre
    expression: np.ndarray  # [n] how much protein the cell has, around 1
    num_inner: int

    def __len__(self) -> int:
        return len(self.x)

    def angle_index(self, angle: np.ndarray) -> np.ndarray:
        """Returns the columns of the tables of radii for angles in radians."""
        turns = (angle + np.float32(np.pi)) * np.float32(NUM_ANGLES / (2 * np.pi))
        return turns.astype(np.int64) % NUM_ANGLES


def cells_around_crops(well: Well, margin: float) -> tuple[CellOutlines, float]:
    """Makes a well's cells and those around them.

    Args:
        well: Says how many and how dense.
        margin: Units around the inner cells that are filled too.

    Returns:
        The cells and the side of the square piece of tissue they cover, in units.
    """
    rng = well.rng(CELLS)
    side = np.ceil((np.sqrt(well.num_cells * well.cell_area) + 2 * margin) / 8) * 8
    x, y, sister = _place(rng, well, well.num_cells, margin, side - margin)
    num_outer = round((side + 60) ** 2 / well.cell_area) - len(x)
    touch = _touch(well)
    x, y = _spread(rng, max(num_outer, 0), -30, side + 30, x, y, touch)
    sister = np.append(sister, np.full(len(x) - len(sister), -1))
    return _shape(rng, well, x, y, sister, well.num_cells), float(side)


def cells_of_field(
    well: Well, side: float, num_cells: int | None = None
) -> CellOutlines:
    """Makes the cells of a whole field of `side` units, some cut by its border."""
    rng = well.rng(CELLS)
    if num_cells is None:
        num_cells = round((side + 60) ** 2 / well.cell_area)
    x, y, sister = _place(rng, well, num_cells, -30, side + 30)
    return _shape(rng, well, x, y, sister, 0)


def _place(rng, well: Well, count: int, low: float, high: float):
    """Places cells; those of a well with cytokinetic bridges as pairs of sisters."""
    none = np.zeros(0)
    if "Cytokinetic bridge" not in well.labels:
        x, y = _spread(rng, count, low, high, none, none, _touch(well))
        return x, y, np.full(count, -1)
    half = _SISTERS_APART[1] / 2
    x, y = _spread(rng, -(-count // 2), low + half, high - half, none, none)
    apart = rng.uniform(*_SISTERS_APART, len(x)) / 2
    angle = rng.uniform(0, 2 * np.pi, len(x))
    dx, dy = apart * np.cos(angle), apart * np.sin(angle)
    sister = np.arange(2 * len(x)).reshape(-1, 2)[:, ::-1].ravel()
    return _alternate(x - dx, x + dx), _alternate(y - dy, y + dy), sister


def _alternate(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.stack([first, second], 1).ravel()


def _touch(well: Well) -> float:
    """Returns how far apart the centres of two touching nuclei are."""
    return 1.9 * well.line.nucleus_radius


def _spread(rng, count: int, low, high, x, y, touch: float | None = None):
    """Adds points one by one: of a few tries, the farthest from the others.

    With `touch`, some take the nearest try that is not nearer than that instead.
    """
    points = np.empty((len(x) + count, 2))
    points[: len(x)] = np.stack([x, y], 1)
    sociable = rng.random(len(points)) < (0 if touch is None else _SOCIABLE)
    for i in range(len(x), len(points)):
        tries = rng.uniform(low, high, (8, 2))
        gaps = tries[:, None] - points[None, :i]
        nearest = (gaps**2).sum(-1).min(1, initial=np.inf)
        if sociable[i] and nearest.max() >= touch**2:
            nearest = np.where(nearest < touch**2, -np.inf, -nearest)
        points[i] = tries[nearest.argmax()]
    return points[:, 0].copy(), points[:, 1].copy()


def _shape(rng, well: Well, x, y, sister, num_inner: int) -> CellOutlines:
    """Draws the outlines of the cells at the given places."""
    n, line = len(x), well.line
    axis = rng.uniform(-np.pi, np.pi, n)
    size = np.exp(rng.normal(0, 0.11, n))
    mitotic = np.zeros(n, bool)
    if "Mitotic spindle" in well.labels:
        mitotic = rng.random(n) < _MITOTIC_SHARE
        mitotic[:1] = True
    radius = line.nucleus_radius * size
    nucleus = _ellipse(radius, line.nucleus_elongation, axis, rng)
    nucleus *= _wobble(rng, n, line.nucleus_lobes)
    outline = _ellipse(radius * line.cell_ratio, line.elongation, axis, rng)
    outline *= _wobble(rng, n, line.roughness) * _spikes(rng, n, line.spikes)

    divided = sister >= 0
    if divided.any():
        _shape_sisters(x, y, sister, divided, axis, nucleus, outline)
    if mitotic.any():
        round_cell = rng.uniform(27, 32, (n, 1)) * _wobble(rng, n, 0.02)
        nucleus = np.where(mitotic[:, None], _plate(rng, axis), nucleus)
        outline = np.where(mitotic[:, None], round_cell, outline)
    outline = np.clip(np.maximum(outline, nucleus + 5), 0, MAX_RADIUS)
    return CellOutlines(
        x=x.astype(np.float32),
        y=y.astype(np.float32),
        axis=axis.astype(np.float32),
        nucleus=nucleus.astype(np.float32),
        outline=outline.astype(np.float32),
        mitotic=mitotic,
        sister=sister,
        centrosome=rng.uniform(-np.pi, np.pi, n).astype(np.float32),
        expression=np.exp(rng.normal(0, 0.22, n)).astype(np.float32),
        num_inner=num_inner,
    )


def _ellipse(radius, elongation: float, axis, rng) -> np.ndarray:
    """Returns [n, A] radii of ellipses of about the given elongation (long / short)."""
    ratio = np.maximum(elongation * np.exp(rng.normal(0, 0.10, len(axis))), 1.0)
    turned = ANGLES - axis[:, None]
    long, short = np.sqrt(ratio)[:, None], 1 / np.sqrt(ratio)[:, None]
    return radius[:, None] / np.hypot(np.cos(turned) / long, np.sin(turned) / short)


def _wobble(rng, n: int, size: float, modes: int = 6) -> np.ndarray:
    """Returns [n, A] factors around 1: a few waves, the faster the weaker."""
    waves = np.arange(1, modes + 1)
    strength = rng.normal(0, 1.6 * size, (n, modes)) / waves
    phase = rng.uniform(0, 2 * np.pi, (n, modes))
    # A sum of shifted sines is one of sines and cosines, whose tables all cells share.
    table = waves[:, None] * ANGLES
    shifted = (strength * np.cos(phase)) @ np.sin(table)
    return 1 + shifted + (strength * np.sin(phase)) @ np.cos(table)


def _spikes(rng, n: int, mean: float) -> np.ndarray:
    """Returns [n, A] factors from 1: narrow protrusions, `mean` a cell."""
    factor = np.ones((n, NUM_ANGLES))
    for cell, count in enumerate(rng.poisson(mean, n)):
        for _ in range(count):
            turned = np.angle(np.exp(1j * (ANGLES - rng.uniform(-np.pi, np.pi))))
            width = rng.uniform(0.16, 0.34)
            factor[cell] += rng.uniform(0.2, 0.7) * np.exp(-((turned / width) ** 2))
    return factor


def _plate(rng, axis) -> np.ndarray:
    """Returns [n, A] radii of metaphase plates seen from the side."""
    turned = ANGLES - axis[:, None]
    long = rng.uniform(11, 14, (len(axis), 1))
    short = rng.uniform(3.2, 4.4, (len(axis), 1))
    ellipse = 1 / np.hypot(np.cos(turned) / long, np.sin(turned) / short)
    return ellipse * _wobble(rng, len(axis), 0.05)


def _shape_sisters(x, y, sister, divided, axis, nucleus, outline) -> None:
    """Makes pairs of daughters in place: small, with a cone towards each other."""
    other_x, other_y = x[sister], y[sister]
    apart = np.hypot(other_x - x, other_y - y)
    towards = np.arctan2(other_y - y, other_x - x)
    turned = np.angle(np.exp(1j * (ANGLES - towards[:, None])))
    small = nucleus / nucleus.mean(1, keepdims=True) * 13
    body = outline / outline.mean(1, keepdims=True) * 25
    # Towards the sister the body ends well before the middle, in a narrow cone.
    facing = np.exp(-((turned / 0.8) ** 2))
    cone = 0.30 * apart[:, None] + 4 * np.exp(-((turned / 0.12) ** 2))
    body = np.minimum(body, body * (1 - facing) + cone * facing)
    nucleus[divided] = small[divided]
    outline[divided] = body[divided]
    axis[divided] = towards[divided]
