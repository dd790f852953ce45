"""Strikes commands with SIGKILL, SIGTERM and Ctrl-C at moments drawn from the seed.

A case is struck twice, started again each time, and then left to finish. A moment is
either a time, from the start to as long as the command takes, or the instant before one
of the changes that it makes to files. No checkpoint may be lost, SIGTERM and Ctrl-C
must end in words, and what comes out must be as if nothing had happened.
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
    for number_of_strike in range(1, STRIKES + 1):
        before = begun.last_step
        where, ended = _strike_once(number, begun, number_of_strike)
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
    number: signal.Signals, begun: rounds.Round, number_of_strike: int
) -> tuple[dict[str, Any], Ended]:
    changes = Changes()
    moments = ["time", "change", *(["checkpoint"] * 2 if begun.job.checkpoints else ())]
    moment = begun.rng.choice(moments)
    if moment != "change":
        seconds = begun.world.seconds(begun.name)
        command, saved, ended = begun.start(), begun.last_step, None
        if moment == "checkpoint":
            # Most of such a short time goes by before there is the first one.
            seconds /= 10
            while begun.last_step == saved and ended is None:
                ended = command.wait(0.01)
        seconds = round(begun.rng.uniform(0, seconds), 3)
        ended = ended or command.wait(seconds)
        if ended is None:
            command.send(number)
            ended = command.wait()
        after = "checkpoint" if moment == "checkpoint" else "start"
        return {f"seconds_after_{after}": seconds}, ended
    # A command that goes on has fewer of them to make.
    most = begun.world.changes(begun.name) // number_of_strike
    change = begun.rng.randint(1, max(1, most))

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
