"""The ways of drawing cells that `benchmarks.drawing` compares.

A knob is one of temperature, top_p, guidance and keep_best. Turned off, all of them
together are the plain drawing.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tfvqgen.errors import UserError
from tfvqgen.generation.request import SamplingParameters

KEEP_BEST = "keep_best"
# At these values a knob changes nothing.
OFF = {**SamplingParameters().to_json(), KEEP_BEST: 1.0}
KNOBS = tuple(OFF)
PLAIN = "plain"
DEFAULT = (
    PLAIN,
    *(f"temperature={x}" for x in (0.7, 0.85, 1.15)),
    *(f"top_p={x}" for x in (0.8, 0.9, 0.95)),
    *(f"guidance={x}" for x in (0.25, 0.5, 1, 2)),
    *(f"top_p=0.95,guidance={x}" for x in (0.25, 0.5, 1, 2)),
    *(f"keep_best={x}" for x in (0.5, 0.25)),
    *(f"guidance=0.5,keep_best={x}" for x in (0.5, 0.25)),
)


@dataclasses.dataclass(frozen=True)
class Setting:
    """One way of drawing cells.

    Attributes:
        drawing: Temperature, top_p and guidance.
        keep_best: The share of the drawn cells that the judge lets pass.
    """

    drawing: SamplingParameters
    keep_best: float

    @property
    def values(self) -> dict[str, float]:
        """All knobs by name."""
        return {**self.drawing.to_json(), KEEP_BEST: self.keep_best}

    @property
    def name(self) -> str:
        """The knobs that are not off, as :func:`read_settings` reads them."""
        return _name(self.values) or PLAIN


class Line(NamedTuple):
    """Settings that differ in one knob alone.

    Attributes:
        knob: Which one.
        at: The other knobs that are not off, as in a setting's name; empty if all are.
        settings: In the order of the knob's value.
    """

    knob: str
    at: str
    settings: tuple[Setting, ...]

    @property
    def name(self) -> str:
        """What the line is called in a plot."""
        return f"{self.knob} at {self.at}" if self.at else self.knob


def read_settings(texts: Sequence[str]) -> list[Setting]:
    """Returns settings in order, each once.

    Args:
        texts: Each ``plain``, or ``KNOB=NUMBER,KNOB=NUMBER``; other knobs are off.

    Raises:
        UserError: One cannot be read, or a number is out of range.
    """
    return list(dict.fromkeys(_read(text) for text in texts))


def lines(settings: Sequence[Setting]) -> list[Line]:
    """Returns as few lines as show all settings, the longest first.

    Of the lines along any knob through any setting the one with the most settings that
    are in no line yet is taken, until none adds any. A setting that shares no line with
    another is a line of itself.
    """
    found = list(_all_lines(settings))
    chosen: list[Line] = []
    waiting = set(settings)
    while waiting:
        best = max(found, key=lambda line: _worth(line, waiting))
        chosen.append(best)
        waiting -= set(best.settings)
    return chosen


def _worth(line: Line, waiting: set[Setting]) -> tuple[int, int, int]:
    """Returns what lines are chosen by, the most important first."""
    new = len(waiting.intersection(line.settings))
    # One setting alone is best told by a knob that does something there.
    on = sum(setting.values[line.knob] != OFF[line.knob] for setting in line.settings)
    return new, len(line.settings), on


def _all_lines(settings: Sequence[Setting]) -> Iterator[Line]:
    for knob in KNOBS:
        members: dict[str, list[Setting]] = {}
        for setting in settings:
            others = {k: v for k, v in setting.values.items() if k != knob}
            members.setdefault(_name(others), []).append(setting)
        for at, some in members.items():
            some.sort(key=lambda setting: setting.values[knob])
            yield Line(knob, at, tuple(some))


def _read(text: str) -> Setting:
    values = dict(OFF)
    given = set()
    for part in [] if text == PLAIN else text.split(","):
        knob, _, number = part.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = None
        if knob not in OFF or knob in given or value is None:
            raise UserError(
                f"cannot read a setting: expected {PLAIN}, or KNOB=NUMBER,KNOB=NUMBER "
                f"of different {', '.join(KNOBS)}. Received: {text!r}"
            )
        values[knob] = value
        given.add(knob)
    keep_best = values.pop(KEEP_BEST)
    return Setting(SamplingParameters(**values), keep_best)


def _name(values: dict[str, float]) -> str:
    return ",".join(f"{k}={number(v)}" for k, v in values.items() if v != OFF[k])


def number(value: float) -> str:
    """Returns a number as people write it, and as it is read again."""
    return np.format_float_positional(value, trim="-")
