"""Points and wandering lines inside cells, placed relative to their outlines.

A place is an angle around the nucleus's centre and a share of the radius in that
direction, so that lines which run around a cell follow its shape.
"""

from dataclasses import dataclass

import numpy as np

from data_prep.synthetic.cell_outlines import NUM_ANGLES, CellOutlines

_KNOT = 5.0  # units between the turns of a wandering line
_NOWHERE = np.float32(-1e4)  # where the points after a line's end lie


@dataclass(frozen=True)
class Points:
    """Points in units and the cell that each belongs to.

    Spots are [n]; lines are [T, F]: T points of each of F lines, with `cell` [F].
    """

    x: np.ndarray
    y: np.ndarray
    cell: np.ndarray


def at(cells: CellOutlines, cell, angle, radius) -> Points:
    """Returns the points at an angle and a distance from the nuclei's centres."""
    return Points(
        cells.x[cell] + radius * np.cos(angle),
        cells.y[cell] + radius * np.sin(angle),
        cell,
    )


def points_in_nuclei(rng, cells: CellOutlines, count, reach: float = 0.85) -> Points:
    """Scatters points in nuclei, up to the share `reach` of the radius.

    Args:
        rng: Random generator.
        cells: The cells.
        count: How many a cell: a number or [n], rounded.
        reach: 1 is the nuclear membrane.
    """
    cell = _repeat(cells, count)
    angle, index = _angles(rng, cells, cell, cells.nucleus)
    share = reach * np.sqrt(rng.random(len(cell), dtype=np.float32))
    return at(cells, cell, angle, share * cells.nucleus[cell, index])


def points_in_cytoplasm(
    rng, cells: CellOutlines, count, nearness: float = 1.0, reach: float = 0.93
) -> Points:
    """Scatters points between nucleus and border.

    Args:
        rng: Random generator.
        cells: The cells.
        count: How many a cell: a number or [n], rounded.
        nearness: 1 spreads them evenly over the area, more gathers them around the
            nucleus.
        reach: The share of the cell's radius that they may reach.
    """
    cell = _repeat(cells, count)
    angle, index = _angles(rng, cells, cell, cells.outline)
    inner = cells.nucleus[cell, index] + 1.5
    outer = np.maximum(reach * cells.outline[cell, index], inner + 1)
    share = rng.random(len(cell), dtype=np.float32) ** nearness
    return at(cells, cell, angle, np.sqrt(inner**2 + share * (outer**2 - inner**2)))


def _repeat(cells: CellOutlines, count) -> np.ndarray:
    count = np.rint(np.broadcast_to(count, len(cells))).astype(int)
    return np.repeat(np.arange(len(cells)), count)


def _angles(rng, cells: CellOutlines, cell, contour):
    """Draws angles so that points are even over the area, and their table columns."""
    area = np.cumsum(np.square(contour, dtype=np.float64), axis=1)
    area /= area[:, -1:]
    stacked = (area + np.arange(len(cells))[:, None]).ravel()
    index = np.searchsorted(stacked, cell + rng.random(len(cell)))
    index = np.clip(index - cell * NUM_ANGLES, 0, NUM_ANGLES - 1)
    turns = (index + rng.random(len(cell))) / NUM_ANGLES
    return (turns * 2 * np.pi - np.pi).astype(np.float32), index


def _wander(rng, start, drift: float, length: float, step: float) -> np.ndarray:
    """Returns [T, F] values that start at `start` [F] and drift smoothly.

    The draws depend on the length and not on the step, so that a picture has the same
    lines at any scale.

    Args:
        rng: Random generator.
        start: First values.
        drift: Deviation of the change over 5 units.
        length: Units.
        step: Units between points.
    """
    num_points, num_knots = max(int(length / step), 2), int(length / _KNOT) + 3
    turns = rng.standard_normal((num_knots, len(start)), dtype=np.float32)
    knots = np.cumsum(turns * np.float32(drift), axis=0)
    place = np.arange(num_points) * (step / _KNOT)
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
        start: Where the F lines begin.
        heading: [F] radians: 0 outwards from the nucleus, +-pi/2 around it.
        length: The longest, in units.
        curl: How fast they turn; radians over 5 units.
        scale: Pixels a unit: sets how fine the steps are.
        shortest: The shortest line over the longest.
        low: Lines stay beyond this share of the cell's radius.
        high: And within this one.

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
    shares = _fold(shares.astype(np.float32), low, high)
    turns = np.sin(headings) * step / (np.maximum(shares, 0.25) * mean)
    angles = angle + np.cumsum(turns.astype(np.float32), axis=0)
    radius = shares * cells.outline[cell, cells.angle_index(angles)]
    lines = at(cells, cell, angles, radius)
    ends = rng.uniform(shortest, 1, len(cell)) * len(radius)
    ended = np.arange(len(radius))[:, None] > ends
    lines.x[ended] = lines.y[ended] = _NOWHERE
    return lines


def _fold(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Reflects values at both ends of an interval."""
    period = np.float32(2 * (high - low))
    turns = (values - np.float32(low)) / period
    turns -= np.rint(turns)
    return np.abs(turns, out=turns) * period + np.float32(low)
