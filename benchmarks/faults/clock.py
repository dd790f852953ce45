"""Lets the clock jump while a command runs: what Python reads of it.

The wall clock jumps a year or an hour ahead or back, as after a wrong setting is put
right, each time before a change of files drawn from the seed; clocks that cannot go
back leap ahead with it, as after a sleep of the machine, or stand still for a while, as
coarse ones do. Nothing may come out otherwise.
"""

import sys
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.faults import jobs, process, rounds

_HOUR, _YEAR = 3600.0, 365 * 86400.0


def strike(jump: float, still: bool, begun: rounds.Round) -> Iterator[dict[str, Any]]:
    """Lets the clock jump and the job finish."""
    begun.begin()
    changes = process.Changes()
    change = begun.rng.randint(1, max(1, begun.world.changes(begun.name) // 2))

    def prepare() -> None:
        clock = _Clock()
        changes.strike(begun.folder, change, lambda main: clock.jump(jump, still))

    ended = begun.start(prepare).wait()
    line = {"before_change": changes.struck, **rounds.struck(ended)}
    end = begun.finish()
    yield {**line, **end, "ok": line["outcome"] == "finished" and end["equal"]}


class _Clock:
    """Stands in for the functions of the module ``time``."""

    def __init__(self):
        self._real = {
            name: getattr(time, name) for name in ("time", "monotonic", "perf_counter")
        }
        self._ahead = dict.fromkeys(self._real, 0.0)
        self._still: dict[str, float] = {}
        for name in self._real:
            setattr(time, name, lambda name=name: self._now(name))
        if "tqdm.std" in sys.modules:
            sys.modules["tqdm.std"].time = time.time

    def jump(self, seconds: float, still: bool) -> None:
        """Jumps; clocks that cannot go back stay where they are then."""
        for name in self._real:
            if seconds > 0 or name == "time":
                self._ahead[name] += seconds
            if still:
                self._still[name] = self._now(name)

    def _now(self, name: str) -> float:
        return self._still.get(name, self._real[name]() + self._ahead[name])


def _jump(seconds: float, still: bool = False) -> rounds.Strike:
    return lambda begun: strike(seconds, still, begun)


if __name__ == "__main__":
    rounds.main(
        __doc__,
        {
            "a year ahead": _jump(_YEAR),
            "a year back": _jump(-_YEAR),
            "an hour ahead": _jump(_HOUR),
            "an hour back": _jump(-_HOUR),
            "stands still": _jump(0.0, still=True),
        },
        jobs.STRUCK,
    )
