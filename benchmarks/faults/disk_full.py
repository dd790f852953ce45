"""Lets commands run out of disk at a write drawn from the seed.

The fault `limit` allows files of less than the size of one of those that the command
leaves (RLIMIT_FSIZE), so that the write of that one fails. The fault `disk` runs it on
a small disk in memory (needs the right to mount) with less room than it takes. Either
must end in a sentence with status 2; with room again, the same command finishes.
"""

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.faults import jobs, rounds
from benchmarks.faults.process import mounted, remount

_PAGE = 4096
_ROOM = "size=256m"


def strike_limit(begun: rounds.Round) -> Iterator[dict[str, Any]]:
    """Limits the size of files."""
    begun.begin()
    name, size = begun.rng.choice(_files(begun, begun.job.makes))
    limit = begun.rng.randrange(max(1, size))

    def prepare() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    ended = begun.start(prepare).wait()
    line = {"bytes_a_file": limit, "less_than": name, **rounds.struck(ended)}
    yield _judged(line, begun.finish())


def strike_disk(begun: rounds.Round) -> Iterator[dict[str, Any]]:
    """Limits the room on the disk."""
    disk = begun.folder
    with mounted(disk, _ROOM):
        begun.begin(disk / "case")
        before = os.statvfs(disk)
        used = before.f_blocks - before.f_bfree
        sizes = [size for _, size in _files(begun, begun.job.makes)]
        pages = sum(-(-size // _PAGE) for size in sizes)
        room = begun.rng.randrange(max(1, pages))
        remount(disk, f"size={(used + room) * before.f_bsize}")
        ended = begun.start().wait()
        remount(disk, _ROOM)
        line = {"room": room * before.f_bsize, **rounds.struck(ended)}
        yield _judged(line, begun.finish())


def _judged(line: dict[str, Any], end: dict[str, Any]) -> dict[str, Any]:
    if line["outcome"] == "finished":
        line["outcome"] = rounds.NOT_STRUCK
    in_order = line["outcome"] in (rounds.NOT_STRUCK, "refused")
    return {**line, **end, "ok": in_order and end["equal"]}


def _files(begun: rounds.Round, paths: tuple[str, ...]) -> list[tuple[str, int]]:
    """Lists the files that the uninterrupted job leaves, with their sizes."""
    whole = begun.world.folder / "whole"
    found: list[Path] = []
    for path in paths:
        root = whole / path
        inside = [root] if root.is_file() else root.rglob("*")
        found += [file for file in inside if file.is_file()]
    return [(str(f.relative_to(whole)), f.stat().st_size) for f in sorted(found)]


if __name__ == "__main__":
    rounds.main(
        __doc__,
        {
            "limit": strike_limit,
            "disk": strike_disk,
        },
        jobs.STRUCK,
    )
