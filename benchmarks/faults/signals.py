"""Strikes commands with SIGKILL, SIGTERM and Ctrl-C at moments drawn from the seed.

A case is struck --strikes times, started again each time, and then left to finish. A
moment is either a time, from the start to as long as the command takes, or the instant
before one of the changes that it makes to files. No checkpoint may be lost, SIGTERM and
Ctrl-C must end in words, and what comes out must be as if nothing had happened.
"""

import functools
import os
import signal
from collections.abc import Iterator
from typing import Any

from benchmarks.faults import jobs, rounds
from benchmarks.faults.process import Changes, Ended

SIGNALS = {
    "SIGKILL": signal.SIGKILL,
    "SIGTERM": signal.SIGTERM,
    "Ctrl-C": signal.SIGINT,
}
STRIKES = 2


def strike(number: signal.Signals, begun: rounds.Round) -> Iterator[dict[str, Any]]:
    """Strikes a case and lets it finish."""
    begun.begin()
    lines = []
    for _ in range(STRIKES):
        before = begun.last_step
        where, ended = _strike_once(number, begun)
        after = begun.last_step
        line = {**where, **rounds.struck(ended)}
        if ended.status == 0:
            line["outcome"] = rounds.NOT_STRUCK
        if after is not None:
            line["checkpoint"] = after
        in_order = line["outcome"] in (rounds.NOT_STRUCK, "left", "killed")
        line["ok"] = in_order and (after or 0) >= (before or 0)
        lines.append(line)
        if ended.status == 0:
            break
    end = begun.finish()
    for line in lines:
        yield {**line, **end, "ok": line["ok"] and end["equal"]}


def _strike_once(
    number: signal.Signals, begun: rounds.Round
) -> tuple[dict[str, Any], Ended]:
    changes = Changes()
    if begun.rng.random() < 0.5:
        seconds = round(begun.rng.uniform(0, begun.world.seconds(begun.name)), 3)
        command = begun.start()
        ended = command.wait(seconds)
        if ended is None:
            command.send(number)
            ended = command.wait()
        return {"after_seconds": seconds}, ended
    # Less than all of them, of which a command that goes on has no more to make.
    change = begun.rng.randint(1, max(1, begun.world.changes(begun.name) // 2))

    def send(main: int) -> None:
        os.kill(main, number)

    prepare = functools.partial(changes.strike, begun.folder, change, send)
    ended = begun.start(prepare).wait()
    return {"before_change": changes.struck or f"none, there were {change}"}, ended


if __name__ == "__main__":
    rounds.main(
        __doc__,
        {name: functools.partial(strike, number) for name, number in SIGNALS.items()},
        jobs.STRUCK,
    )
