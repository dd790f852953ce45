"""All images of an index, by several threads, and what they leave in the folder."""

import contextlib
import csv
import dataclasses
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from data_prep.download.crew import Crew, Options, Outcome
from data_prep.download.failure import Again
from data_prep.download.index import Index, Wanted
from data_prep.download.journal import Journal
from data_prep.download.names import host_of
from data_prep.download.pace import Clock
from tfvqgen.errors import DataError
from tfvqgen.files import read_json, whole_file, write_json

# Hidden, so that no reader of images looks into it.
STATE = ".download"
JOURNAL = "images.jsonl"
PARTIALS = "partial"
TABLE = "IF-image.csv"
CREDIT = "CREDIT.txt"
ABOUT = "fields.json"
FAILURES = "failed.csv"
# So many images in a row without an answer, and nobody is there.
_UNANSWERED = 20


@dataclasses.dataclass
class Report:
    """What became of the images.

    Attributes:
        fetched: How many came now.
        bytes: Theirs.
        kept: How many were there.
        changed: Those that were there, but not as they had come.
        failed: Those that did not come, and why.
        untried: How many were given up because nobody answered.
    """

    fetched: int = 0
    bytes: int = 0
    kept: int = 0
    changed: list[str] = dataclasses.field(default_factory=list)
    failed: list[tuple[Wanted, str]] = dataclasses.field(default_factory=list)
    untried: int = 0

    @property
    def whole(self) -> bool:
        """Whether every image is there."""
        return not self.failed and not self.untried


def download(
    index: Index,
    output: Path,
    credit: str,
    options: Options,
    *,
    progress: Callable[[Report], None] = lambda report: None,
    clock: Clock | None = None,
    jitter: Callable[[], float] = random.random,
) -> Report:
    """Fetches what is not there yet.

    Leaves the images, ``CREDIT.txt`` and ``fields.json`` with the credit line; for a
    table of fields ``IF-image.csv`` with the fields whose images are all there; and
    ``failed.csv`` if some failed. An interruption leaves the same of what has come.

    Args:
        index: What to fetch.
        output: The folder, which no other run writes to.
        credit: Licence and source line.
        options: How.
        progress: Called after each image.
        clock: The time.
        jitter: Returns a number in [0, 1), for pauses.

    Raises:
        UserError, OSError: It can't go on: no space, a link out of the folder, ...
    """
    clock = clock or Clock()
    partials = output / STATE / PARTIALS
    partials.mkdir(parents=True, exist_ok=True)
    _write_credit(output, index, credit)
    journal = Journal(output / STATE / JOURNAL)
    report = Report()
    unanswered = 0
    crew = Crew(index, output, partials, journal, options, clock, jitter)
    try:
        with contextlib.closing(crew.outcomes()) as outcomes:
            for outcome in outcomes:
                _note(outcome, report, journal)
                progress(report)
                unanswered = _still_unanswered(unanswered, outcome)
                if unanswered == _UNANSWERED:
                    break
    finally:
        journal.close()
        _write_results(index, output, report, journal)
    done = report.kept + report.fetched + len(report.failed)
    report.untried = len(index.images) - done
    if report.whole:
        shutil.rmtree(partials)
    return report


def _note(outcome: Outcome, report: Report, journal: Journal) -> None:
    if outcome.changed:
        report.changed.append(outcome.wanted.path)
    if outcome.failure is not None:
        report.failed.append((outcome.wanted, outcome.failure.reason))
    elif outcome.fetched is not None:
        journal.add(outcome.fetched)
        report.fetched += 1
        report.bytes += outcome.fetched.bytes
    else:
        report.kept += 1


def _still_unanswered(before: int, outcome: Outcome) -> int:
    """Counts images in a row that failed as if no server were there."""
    if outcome.failure is not None:
        return before + 1 if outcome.failure.again is Again.LATER else 0
    return 0 if outcome.fetched is not None else before


def _write_credit(output: Path, index: Index, credit: str) -> None:
    hosts = sorted({host_of(image.url) for image in index.images})
    with whole_file(output / CREDIT, "w") as file:
        file.write(f"{credit}\n\nFetched from {', '.join(hosts)}.\n")
    path = output / ABOUT
    about = read_json(path) if path.exists() else {}
    if not isinstance(about, dict):
        raise DataError(f"wrong {ABOUT}: expected an object. Received: {path}")
    write_json(path, {**about, "credit": credit})


def _write_results(
    index: Index, output: Path, report: Report, journal: Journal
) -> None:
    """Writes the tables of what is there and of what failed."""
    failed = sorted(report.failed, key=lambda x: (x[0].line, x[0].path))
    rows = [(wanted.path, wanted.url, reason) for wanted, reason in failed]
    if rows:
        _write_table(output / FAILURES, ("path", "url", "reason"), rows)
    else:
        (output / FAILURES).unlink(missing_ok=True)
    if index.header:
        lines = _whole_lines(index, output, report, journal)
        _write_table(output / TABLE, index.header, lines)


def _whole_lines(
    index: Index, output: Path, report: Report, journal: Journal
) -> list[tuple[str, ...]]:
    """Returns the lines of the table whose images are all in place."""
    failed = {wanted.path for wanted, _ in report.failed}
    whole: dict[int, bool] = {}
    for image in index.images:
        known = journal.find(image.path)
        there = (
            image.path not in failed
            and known is not None
            and known.url == image.url
            and (output / image.path).is_file()
        )
        whole[image.line] = whole.get(image.line, True) and there
    return [index.lines[line] for line, there in whole.items() if there]


def _write_table(
    path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    with whole_file(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
