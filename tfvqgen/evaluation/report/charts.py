"""Charts as inline SVG, in the colours that the page's style sheet gives them."""

import dataclasses
import math
from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 290, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 8, 8, 36
# A line with so few points shows where they are.
_FEW = 12
_MOST_TICKS = 6
# What is larger is a fault of who wrote it down, and could not be subtracted.
_LARGEST = 1e100


@dataclasses.dataclass(frozen=True)
class Series:
    """A line, or points.

    Attributes:
        name: For the legend.
        points: Pairs of x and y; what is not a number below 1e100 is left out.
        colour: Number of the style sheet's colour, from 1.
        dashed: For what is compared with rather than measured.
    """

    name: str
    points: Sequence[tuple[float, float | None]]
    colour: int
    dashed: bool = False

    @property
    def finite(self) -> list[tuple[float, float]]:
        """The points that can be drawn."""
        return [
            (x, y)
            for x, y in self.points
            if y is not None and abs(x) < _LARGEST and abs(y) < _LARGEST
        ]


class _Axis:
    """Maps values to pixels, and chooses round numbers to write beside them."""

    def __init__(self, values: Sequence[float], start: float, end: float, log: bool):
        low, high = min(values), max(values)
        self._log = log
        if log:
            low, high = math.log10(low), math.log10(high)
        room = (high - low) * 0.04 or abs(high) * 0.1 or 1.0
        self._low, self._high = low - room, high + room
        self._start, self._end = start, end

    def place(self, value: float) -> float:
        """Returns where a value is drawn."""
        value = math.log10(value) if self._log else value
        share = (value - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)

    def ticks(self) -> list[float]:
        """Returns up to six round numbers within the axis."""
        if not self._log:
            return round_numbers(self._low, self._high)
        decades = range(math.floor(self._low), math.ceil(self._high) + 1)
        for digits in ((1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
            ticks = [digit * 10.0**decade for decade in decades for digit in digits]
            ticks = [x for x in ticks if x and self._low <= math.log10(x) <= self._high]
            if len(ticks) <= _MOST_TICKS:
                break
        return ticks[:: max(1, math.ceil(len(ticks) / _MOST_TICKS))]


def line_chart(
    series: Sequence[Series], *, x: str, y: str, log: bool = False
) -> str | None:
    """Draws lines over one another.

    Args:
        series: What to draw; those without points are left out.
        x: What the horizontal axis says.
        y: What the vertical axis says.
        log: Whether the vertical axis is logarithmic; values of 0 are left out then.

    Returns:
        The legend and the SVG, or None if there is nothing to draw.
    """
    lines = [(one, [p for p in one.finite if p[1] > 0 or not log]) for one in series]
    lines = [(one, points) for one, points in lines if points]
    if not lines:
        return None
    across, down = _axes([points for _, points in lines], log)
    marks = []
    for one, points in lines:
        places = [(across.place(px), down.place(py)) for px, py in points]
        marks.append(_line(one, places))
        if len(places) <= _FEW and not one.dashed:
            marks += [_dot(one.colour, place, 2.5) for place in places]
    return _legend([one for one, _ in lines]) + _svg(marks, across, down, x, y)


def scatter_chart(
    points: Sequence[tuple[float, float, str]], *, x: str, y: str, colour: int
) -> str | None:
    """Draws points with names around the diagonal on which both are equal.

    Args:
        points: Two values and the name that is shown when the pointer rests there.
        x: What the horizontal axis says.
        y: What the vertical axis says.
        colour: Number of the style sheet's colour, from 1.

    Returns:
        The SVG, or None if there is nothing to draw.
    """
    if not points:
        return None
    values = [value for one in points for value in one[:2]]
    ends = [(min(values),) * 2, (max(values),) * 2]
    across, down = _axes([ends], log=False)
    diagonal = Series("equal", ends, 0, dashed=True)
    marks = [_line(diagonal, [(across.place(p), down.place(q)) for p, q in ends])]
    marks += [
        _dot(colour, (across.place(px), down.place(py)), 3.5, name)
        for px, py, name in points
    ]
    return _svg(marks, across, down, x, y)


def round_numbers(low: float, high: float) -> list[float]:
    """Returns multiples of 1, 2 or 5 times a power of ten between two numbers."""
    exact = (high - low) / _MOST_TICKS
    power = 10.0 ** math.floor(math.log10(exact))
    step = next(power * x for x in (1, 2, 5, 10) if power * x >= exact * 0.999999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def number_text(value: float) -> str:
    """Returns a short text of a number: 1,500, 0.25, 3e-05."""
    if 1000 <= abs(value) < 1e9:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _axes(lines: Sequence[Sequence[tuple[float, float]]], log: bool):
    xs = [px for points in lines for px, _ in points]
    ys = [py for points in lines for _, py in points]
    across = _Axis(xs, _LEFT, WIDTH - _RIGHT, log=False)
    return across, _Axis(ys, HEIGHT - _BOTTOM, _TOP, log)


def _svg(marks: Sequence[str], across: _Axis, down: _Axis, x: str, y: str) -> str:
    bottom = HEIGHT - _BOTTOM
    parts = []
    for value in down.ticks():
        at = down.place(value)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" '
            f'y2="{at:.1f}"/><text x="{_LEFT - 6}" y="{at + 3.5:.1f}" '
            f'text-anchor="end">{number_text(value)}</text>'
        )
    for value in across.ticks():
        parts.append(
            f'<text x="{across.place(value):.1f}" y="{bottom + 14}" '
            f'text-anchor="middle">{number_text(value)}</text>'
        )
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    centre = (_TOP + bottom) / 2
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(y)} over {escape(x)}">{"".join(parts)}'
        f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{bottom}" '
        f'y2="{bottom}"/>{"".join(marks)}'
        f'<text class="name" x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">'
        f"{escape(x)}</text>"
        f'<text class="name" transform="translate(11 {centre}) rotate(-90)" '
        f'text-anchor="middle">{escape(y)}</text></svg>'
    )


def _line(series: Series, places: Sequence[tuple[float, float]]) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline class="{_classes(series)}" points="{path}"/>'


def _dot(colour: int, place: tuple[float, float], radius: float, name: str = "") -> str:
    title = f"<title>{escape(name)}</title>" if name else ""
    x, y = place
    return (
        f'<circle class="c{colour}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">{title}'
        "</circle>"
    )


def _legend(series: Sequence[Series]) -> str:
    items = "".join(
        f'<li><svg class="key" viewBox="0 0 18 6"><line class="{_classes(one)}" '
        f'x1="0" x2="18" y1="3" y2="3"/></svg>{escape(one.name)}</li>'
        for one in series
    )
    return f'<ul class="legend">{items}</ul>'


def _classes(series: Series) -> str:
    return f"c{series.colour}{' dashed' if series.dashed else ''}"
