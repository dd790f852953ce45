"""Runs commands where they may not write, or on what they may only read.

The fault `output` makes all of a case read-only, begun or done, so that the command
must refuse in a sentence, and finish once it may write. The fault `input` makes that
read-only which the command has no business to write to: it must finish. Disks in memory
are mounted, which needs the right to.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.faults import jobs, rounds
from benchmarks.faults.process import mounted, remount

_ROOM = "size=256m"


def strike_output(begun: rounds.Round) -> Iterator[dict[str, Any]]:
    """Makes the place of the output read-only."""
    disk = begun.folder
    with mounted(disk, _ROOM):
        begun.begin(disk / "case")
        remount(disk, "ro")
        ended = begun.start().wait()
        remount(disk, "rw")
        line = rounds.struck(ended)
        end = begun.finish()
        ok = line["outcome"] == "refused" and end["equal"]
        yield {**line, **end, "ok": ok}


def strike_input(begun: rounds.Round) -> Iterator[dict[str, Any]]:
    """Makes what is only read read-only."""
    job = jobs.JOBS[begun.name]
    read = {Path(path).parts[0] for path in job.needs}
    read -= {Path(path).parts[0] for path in job.makes}
    if not read:
        return
    disk, case = begun.folder / "disk", begun.folder / "case"
    with mounted(disk, _ROOM):
        begun.begin(disk)
        case.mkdir()
        for path in disk.iterdir():
            if path.name in read:
                (case / path.name).symlink_to(path)
            else:
                shutil.move(path, case / path.name)
        remount(disk, "ro")
        begun.folder = case
        end = begun.finish()
        ok = end["resumed"] == "finished" and end["equal"]
        yield {"read_only": sorted(read), "outcome": end["resumed"], **end, "ok": ok}


if __name__ == "__main__":
    rounds.main(
        __doc__,
        {"output": strike_output, "input": strike_input},
        jobs.STRUCK,
    )
