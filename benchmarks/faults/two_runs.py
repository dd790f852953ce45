"""Starts a command a second time while the first one runs.

The first is held still at a change of files drawn from the seed, while it has its lock.
The second must refuse in a sentence, and the first must not notice.
"""

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.faults import jobs, process, rounds


def strike(begun: rounds.Round) -> Iterator[dict[str, Any]]:
    """Starts the second."""
    begun.begin()
    changes = process.Changes()
    # The first two changes make the folder and its lock.
    change = begun.rng.randint(3, max(3, begun.world.changes(begun.name) // 2))

    def prepare() -> None:
        changes.strike(
            begun.folder, change, lambda main: os.killpg(main, signal.SIGSTOP)
        )

    first = begun.start(prepare)
    while not changes.struck and first.wait(0.01) is None:
        time.sleep(0.01)
    second = begun.start().wait()
    os.killpg(first.pid, signal.SIGCONT)
    ended = first.wait()
    line = {"before_change": changes.struck, **rounds.struck(second)}
    end = begun.finish()
    refused = line["outcome"] == "refused" and "in use by another run" in second.output
    yield {
        **line,
        "first": ended.outcome,
        **end,
        "ok": refused and ended.status == 0 and end["equal"],
    }


if __name__ == "__main__":
    rounds.main(__doc__, {"two_runs": strike}, jobs.STRUCK)
