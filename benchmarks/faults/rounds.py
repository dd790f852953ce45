"""What the scripts of faults share: their flags, their rounds and their lines.

A round lays out a job's tiny case, strikes it, runs the same command again without a
fault, and compares what it leaves with what the uninterrupted one left.
"""

import collections
import dataclasses
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import case
from benchmarks.faults import jobs, process
from benchmarks.faults.process import Ended
from benchmarks.faults.results import last_step, leftovers
from benchmarks.faults.world import World


@dataclasses.dataclass
class Round:
    """One job's case, to be struck.

    Attributes:
        world: The uninterrupted results.
        name: The job's name.
        folder: The case.
        rng: What the round's choices are drawn from.
        job: The job.
    """

    world: World
    name: str
    folder: Path
    rng: random.Random
    job: jobs.Job = dataclasses.field(init=False)

    def begin(self, folder: Path | None = None, *, done: bool = False) -> None:
        """Lays out what the job needs, and, if `done`, what it leaves."""
        self.folder = folder or self.folder
        self.job = self.world.begin(self.name, self.folder, done=done)

    def start(self, prepare: Callable[[], None] = lambda: None) -> process.Command:
        """Starts the job."""
        return process.Command(self.job.words, self.folder, prepare)

    @property
    def last_step(self) -> int | None:
        """The step of the job's last checkpoint, if it writes any."""
        return last_step(self.job, self.folder)

    def finish(self) -> dict[str, Any]:
        """Runs the same command again and compares: ``equal`` and what explains it."""
        ended = self.start().wait()
        different = self.world.differences(self.name, self.folder)
        found = {"resumed": ended.outcome, "equal": not different}
        if ended.status:
            found["resumed_sentence"] = ended.sentence
        if different:
            found["differences"] = different[:5]
        if left := leftovers(self.job, self.folder):
            found["leftovers"] = left[:5]
        return found


def struck(ended: Ended) -> dict[str, Any]:
    """Returns how a command that was struck has ended, for a line."""
    line = {"outcome": ended.outcome}
    if ended.status > 0:
        line["sentence"] = ended.sentence
    if ended.has_traceback:
        line["traceback"] = ended.output[-3000:]
    return line


# The outcome where a command was done before the fault could strike.
NOT_STRUCK = "finished before"
# Strikes a round; yields a line for each fault, with `ok`.
Strike = Callable[[Round], Iterator[dict[str, Any]]]


def main(
    description: str,
    strikes: dict[str, Strike],
    names: Sequence[str],
) -> None:
    """Runs rounds over jobs and kinds of strikes in turn; exit status 1 if one failed.

    Args:
        description: The script's docstring.
        strikes: By the fault's name.
        names: The jobs that are struck if --jobs does not say others.
    """
    parser = case.parser(description)
    parser.add_argument("--rounds", type=int, help="one a job and fault by default")
    parser.add_argument("--jobs", nargs="+", default=names, choices=jobs.JOBS)
    parser.add_argument("--faults", nargs="+", default=list(strikes), choices=strikes)
    parser.add_argument(
        "--world", type=Path, help="keeps the uninterrupted results for other scripts"
    )
    args = parser.parse_args()
    outcomes: collections.Counter[str] = collections.Counter()
    failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        world = World(args.world or Path(scratch, "world"))
        for number in range(args.rounds or len(args.jobs) * len(args.faults)):
            name = args.jobs[number % len(args.jobs)]
            fault = args.faults[number // len(args.jobs) % len(args.faults)]
            rng = random.Random(f"{args.seed} {number}")
            folder = Path(scratch, "round")
            begun = Round(world, name, folder, rng)
            for line in strikes[fault](begun):
                line = {"fault": fault, "job": name, "round": number, **line}
                case.write(line, args.output)
                outcomes[line["outcome"]] += 1
                failures += not line["ok"]
            shutil.rmtree(folder, ignore_errors=True)
    summary = {
        "case": Path(sys.argv[0]).stem,
        "faults": outcomes.total() - outcomes[NOT_STRUCK],
        "outcomes": dict(outcomes),
        "failures": failures,
        "seed": args.seed,
    }
    case.write(summary, args.output)
    sys.exit(1 if failures else 0)
