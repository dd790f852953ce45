"""Cells of a piece of tissue: positions, outlines, and points and lines inside them.

A contour is a table of radii by angle around the centre of the nucleus. Legend: n
cells, A angles, T points of each of F lines.
"""

from dataclasses import dataclass

import numpy as np

from data_prep.synthetic.wells import CELLS, Well

MAX_RADIUS = 88.0
NUM_ANGLES = 512
ANGLES = (np.arange(NUM_ANGLES, dtype=np.float32) + 0.5) * np.float32(
    2 * np.pi / NUM_ANGLES
) - np.float32(np.pi)
_MITOTIC_SHARE = 0.85  # Share of dividing cells in a well with spindles.
_SISTER_DISTANCE = (48.0, 58.0)
_TOUCHING_SHARE = 0.25  # Share of cells placed so that their nuclei touch.
_TOUCHING_DISTANCE = 1.9  # Distance of the centres of touching nuclei, in radii.
_KNOT_DISTANCE = 5.0  # Units between the turns of a wandering line.
_NOWHERE = np.float32(-1e4)  # Coordinate of the points after the end of a line.


@dataclass(frozen=True)
class CellOutlines:
    """Cells in units; crops are cut around the first `num_inner`."""

    x: np.ndarray  # [n]
    y: np.ndarray  # [n]
    axis: np.ndarray  # [n] Angle of the long axis; of a mitotic cell, of the plate.
    nucleus: np.ndarray  # [n, A] Radii.
    outline: np.ndarray  # [n, A] Radii.
    mitotic: np.ndarray  # [n] bool
    sister: np.ndarray  # [n] Index of the cell at the bridge's other end, or -1.
    centrosome: np.ndarray  # [n] Angle around the centre of the nucleus.
    expression: np.ndarray  # [n] Amount of protein, around 1.
    num_inner: int

    def __len__(self) -> int:
        return len(self.x)

    def angle_index(self, angle: np.ndarray) -> np.ndarray:
        """Returns the columns of the tables of radii for angles in radians."""
        turns = (angle + np.float32(np.pi)) * np.float32(NUM_ANGLES / (2 * np.pi))
        return turns.astype(np.int64) % NUM_ANGLES


@dataclass(frozen=True)
class Points:
    """Spots [n] or points of lines [T, F], in units."""

    x: np.ndarray
    y: np.ndarray
    cell: np.ndarray  # [n] or [F] Index of the cell of each spot or line.

    def shifted(self, angle, distance) -> "Points":
        """Returns the points moved by a distance in a direction."""
        x, y = self.x + distance * np.cos(angle), self.y + distance * np.sin(angle)
        return Points(x, y, self.cell)


def cells_around_crops(well: Well, margin: float) -> tuple[CellOutlines, float]:
    """Makes a well's cells, and their neighbours in a margin in units.

    Returns the cells and the side of the square of tissue that they cover, in units.
    """
    rng = well.rng(CELLS)
    side = np.ceil((np.sqrt(well.num_cells * well.cell_area) + 2 * margin) / 8) * 8
    x, y, sister = _place(rng, well, well.num_cells, margin, side - margin)
    num_outer = round((side + 60) ** 2 / well.cell_area) - len(x)
    touch = _TOUCHING_DISTANCE * well.line.nucleus_radius
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
        touch = _TOUCHING_DISTANCE * well.line.nucleus_radius
        x, y = _spread(rng, count, low, high, none, none, touch)
        return x, y, np.full(count, -1)
    half = _SISTER_DISTANCE[1] / 2
    x, y = _spread(rng, -(-count // 2), low + half, high - half, none, none)
    distance = rng.uniform(*_SISTER_DISTANCE, len(x)) / 2
    angle = rng.uniform(0, 2 * np.pi, len(x))
    dx, dy = distance * np.cos(angle), distance * np.sin(angle)
    sister = np.arange(2 * len(x)).reshape(-1, 2)[:, ::-1].ravel()
    x, y = (np.stack([p - d, p + d], 1).ravel() for p, d in ((x, dx), (y, dy)))
    return x, y, sister


def _spread(rng, count: int, low, high, x, y, touch: float | None = None):
    """Adds points one by one; each is the farthest of a few tries from the others.

    With `touch`, some take the nearest try with at least this distance instead.
    """
    points = np.empty((len(x) + count, 2))
    points[: len(x)] = np.stack([x, y], 1)
    near = rng.random(len(points)) < (0 if touch is None else _TOUCHING_SHARE)
    for i in range(len(x), len(points)):
        tries = rng.uniform(low, high, (8, 2))
        gaps = tries[:, None] - points[None, :i]
        nearest = (gaps**2).sum(-1).min(1, initial=np.inf)
        if near[i] and nearest.max() >= touch**2:
            nearest = np.where(nearest < touch**2, -np.inf, -nearest)
        points[i] = tries[nearest.argmax()]
    return points[:, 0].copy(), points[:, 1].copy()


def _shape(rng, well: Well, x, y, sister, num_inner: int) -> CellOutlines:
    """Draws the outlines of cells at the given positions."""
    n, line = len(x), well.line
    axis = rng.uniform(-np.pi, np.pi, n)
    size = np.exp(rng.normal(0, 0.11, n))
    mitotic = np.zeros(n, bool)
    if "Mitotic spindle" in well.labels:
        mitotic = rng.random(n) < _MITOTIC_SHARE
        mitotic[:1] = True
    radius = line.nucleus_radius * size
    nucleus = _cell_ellipses(radius, line.nucleus_elongation, axis, rng)
    nucleus *= _wobble(rng, n, line.nucleus_lobes)
    outline = _cell_ellipses(radius * line.cell_ratio, line.elongation, axis, rng)
    outline *= _wobble(rng, n, line.roughness) * _spikes(rng, n, line.spikes)

    divided = sister >= 0
    if divided.any():
        _shape_sisters(x, y, sister, divided, axis, nucleus, outline)
    if mitotic.any():
        round_cell = rng.uniform(27, 32, (n, 1)) * _wobble(rng, n, 0.02)
        # Metaphase plates, seen from the side.
        long, short = rng.uniform(11, 14, (n, 1)), rng.uniform(3.2, 4.4, (n, 1))
        plate = _ellipses(long, short, axis) * _wobble(rng, n, 0.05)
        nucleus = np.where(mitotic[:, None], plate, nucleus)
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


def _ellipses(long, short, axis) -> np.ndarray:
    """Returns [n, A] radii of ellipses with the given half axes [n, 1]."""
    turned = ANGLES - axis[:, None]
    return 1 / np.hypot(np.cos(turned) / long, np.sin(turned) / short)


def _cell_ellipses(radius, elongation: float, axis, rng) -> np.ndarray:
    """Returns [n, A] radii of ellipses of about the given ratio of axes."""
    ratio = np.maximum(elongation * np.exp(rng.normal(0, 0.10, len(axis))), 1.0)
    long, short = np.sqrt(ratio)[:, None], 1 / np.sqrt(ratio)[:, None]
    return radius[:, None] * _ellipses(long, short, axis)


def _wobble(rng, n: int, size: float, modes: int = 6) -> np.ndarray:
    """Returns [n, A] factors around 1: a few waves, the faster the weaker."""
    waves = np.arange(1, modes + 1)
    strength = rng.normal(0, 1.6 * size, (n, modes)) / waves
    phase = rng.uniform(0, 2 * np.pi, (n, modes))
    # A shifted sine is a sum of a sine and a cosine, whose tables all cells share.
    table = waves[:, None] * ANGLES
    shifted = (strength * np.cos(phase)) @ np.sin(table)
    return 1 + shifted + (strength * np.sin(phase)) @ np.cos(table)


def _spikes(rng, n: int, mean: float) -> np.ndarray:
    """Returns [n, A] factors of at least 1: about `mean` narrow protrusions a cell."""
    factor = np.ones((n, NUM_ANGLES))
    for cell, count in enumerate(rng.poisson(mean, n)):
        for _ in range(count):
            turned = np.angle(np.exp(1j * (ANGLES - rng.uniform(-np.pi, np.pi))))
            width = rng.uniform(0.16, 0.34)
            factor[cell] += rng.uniform(0.2, 0.7) * np.exp(-((turned / width) ** 2))
    return factor


def _shape_sisters(x, y, sister, divided, axis, nucleus, outline) -> None:
    """Makes pairs of daughter cells in place: small, with a cone towards each other."""
    dx, dy = x[sister] - x, y[sister] - y
    towards = np.arctan2(dy, dx)
    turned = np.angle(np.exp(1j * (ANGLES - towards[:, None])))
    small = nucleus / nucleus.mean(1, keepdims=True) * 13
    body = outline / outline.mean(1, keepdims=True) * 25
    # Towards the sister the body ends well before the middle, in a narrow cone.
    facing = np.exp(-((turned / 0.8) ** 2))
    cone = 0.30 * np.hypot(dx, dy)[:, None] + 4 * np.exp(-((turned / 0.12) ** 2))
    body = np.minimum(body, body * (1 - facing) + cone * facing)
    nucleus[divided] = small[divided]
    outline[divided] = body[divided]
    axis[divided] = towards[divided]


def at(cells: CellOutlines, cell, angle, radius) -> Points:
    """Returns the points at an angle and a distance from the centres of nuclei."""
    return Points(cells.x[cell], cells.y[cell], cell).shifted(angle, radius)


def points_in_nuclei(rng, cells: CellOutlines, count, reach: float = 0.85) -> Points:
    """Scatters `count` points (a number or [n]) in each nucleus.

    `reach` is their maximum distance from the centre, as a share of the radius.
    """
    cell, angle, index = _angles(rng, cells, count, cells.nucleus)
    share = reach * np.sqrt(rng.random(len(cell), dtype=np.float32))
    return at(cells, cell, angle, share * cells.nucleus[cell, index])


def points_in_cytoplasm(
    rng, cells: CellOutlines, count, nearness: float = 1.0, reach: float = 0.93
) -> Points:
    """Scatters `count` points (a number or [n]) between each nucleus and the border.

    A `nearness` of 1 is uniform over the area; more gathers points around the nucleus.
    `reach` is their maximum distance from the centre, as a share of the radius.
    """
    cell, angle, index = _angles(rng, cells, count, cells.outline)
    inner = cells.nucleus[cell, index] + 1.5
    outer = np.maximum(reach * cells.outline[cell, index], inner + 1)
    share = rng.random(len(cell), dtype=np.float32) ** nearness
    return at(cells, cell, angle, np.sqrt(inner**2 + share * (outer**2 - inner**2)))


def _angles(rng, cells: CellOutlines, count, contour):
    """Draws points' cells, angles that are uniform over the area, and table columns."""
    count = np.rint(np.broadcast_to(count, len(cells))).astype(int)
    cell = np.repeat(np.arange(len(cells)), count)
    area = np.cumsum(np.square(contour, dtype=np.float64), axis=1)
    area /= area[:, -1:]
    stacked = (area + np.arange(len(cells))[:, None]).ravel()
    index = np.searchsorted(stacked, cell + rng.random(len(cell)))
    index = np.clip(index - cell * NUM_ANGLES, 0, NUM_ANGLES - 1)
    turns = (index + rng.random(len(cell))) / NUM_ANGLES
    return cell, (turns * 2 * np.pi - np.pi).astype(np.float32), index


def _wander(rng, start, drift: float, length: float, step: float) -> np.ndarray:
    """Returns [T, F] values that start at `start` [F] and drift smoothly.

    `drift` is the deviation of the change over 5 units, `length` and `step` are in
    units. The random values depend on the length and not on the step, so that an image
    has the same lines at any scale.
    """
    num_points, num_knots = max(int(length / step), 2), int(length / _KNOT_DISTANCE) + 3
    turns = rng.standard_normal((num_knots, len(start)), dtype=np.float32)
    knots = np.cumsum(turns * np.float32(drift), axis=0)
    place = np.arange(num_points) * (step / _KNOT_DISTANCE)
    rows, low = np.arange(num_points), place.astype(int)
    mix = np.zeros((num_points, num_knots), np.float32)
    mix[rows, low] = 1 - (place - low)
    mix[rows, low + 1] = place - low
    return np.asarray(start, np.float32) + mix @ (knots - knots[0])


def grow(
    rng,
    cells: CellOutlines,
    start: Points,
    heading: np.ndarray,
    length: float,
    curl: float,
    scale: float,
    shortest: float = 0.4,
    low: float = 0.2,
    high: float = 0.96,
) -> Points:
    """Grows lines that wander within cells and turn back at the border.

    Args:
        rng: Random generator.
        cells: The cells.
        start: First points of the F lines.
        heading: [F] radians: 0 outwards from the nucleus, +-pi/2 around it.
        length: Length of the longest line, in units.
        curl: Radians over 5 units.
        scale: Pixels per unit.
        shortest: Length of the shortest line, as a share of the longest.
        low: Least distance from the centre, as a share of the cell's radius.
        high: Greatest distance.

    Returns:
        Lines [T, F]; the points after the end of a shorter line lie far outside.
    """
    step = 1.5 / scale
    cell = start.cell
    dx, dy = start.x - cells.x[cell], start.y - cells.y[cell]
    angle = np.arctan2(dy, dx).astype(np.float32)
    mean = cells.outline.mean(1)[cell]
    share = np.hypot(dx, dy) / cells.outline[cell, cells.angle_index(angle)]
    headings = _wander(rng, heading, curl, length, step)
    shares = share + np.cumsum(np.cos(headings) * (step / mean), axis=0)
    # The shares are reflected at both ends of the interval.
    period = np.float32(2 * (high - low))
    shares = (shares.astype(np.float32) - np.float32(low)) / period
    shares = np.abs(shares - np.rint(shares)) * period + np.float32(low)
    turns = np.sin(headings) * step / (np.maximum(shares, 0.25) * mean)
    angles = angle + np.cumsum(turns.astype(np.float32), axis=0)
    radius = shares * cells.outline[cell, cells.angle_index(angles)]
    lines = at(cells, cell, angles, radius)
    ends = rng.uniform(shortest, 1, len(cell)) * len(radius)
    ended = np.arange(len(radius))[:, None] > ends
    lines.x[ended] = lines.y[ended] = _NOWHERE
    return lines
