"""All images of an index, by several threads, and what they leave in the folder."""

import contextlib
import csv
import dataclasses
import queue
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from data_prep.download.failure import Again, Failure
from data_prep.download.images import Fetcher, still_there
from data_prep.download.index import Index, Wanted
from data_prep.download.journal import Fetched, Journal
from data_prep.download.names import host_of
from data_prep.download.pace import Clock, Pace, Stopped
from data_prep.download.transfer import Transfer
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
# How long an interrupted run waits for its threads; they hold nothing that matters.
_PATIENCE = 1.0


@dataclasses.dataclass(frozen=True)
class Options:
    """How to fetch.

    Attributes:
        workers: Threads.
        rate: Requests a second of all of them, 0: without limit.
        retries: Attempts that may follow the first.
        timeout: Seconds to wait for a connection and for each further piece.
        image_timeout: Seconds that one answer may take.
        most_bytes: The largest image that is taken.
        verify: Read the images that are there, too.
    """

    workers: int = 4
    rate: float = 8.0
    retries: int = 5
    timeout: float = 30.0
    image_timeout: float = 600.0
    most_bytes: int = 200_000_000
    verify: bool = False


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


@dataclasses.dataclass(frozen=True)
class _Outcome:
    """What became of one image: `fetched` or `failure`, else it was there."""

    wanted: Wanted
    changed: bool = False
    fetched: Fetched | None = None
    failure: Failure | None = None


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
    outcomes = _outcomes(index, output, journal, options, clock, jitter)
    try:
        with contextlib.closing(outcomes):
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


def _outcomes(
    index: Index,
    output: Path,
    journal: Journal,
    options: Options,
    clock: Clock,
    jitter: Callable[[], float],
) -> Iterator[_Outcome]:
    """Yields what becomes of the images, in the order in which that is known."""
    pace = Pace(options.rate, clock)
    todo = iter(index.images)
    lock = threading.Lock()
    results: queue.SimpleQueue[_Outcome | BaseException] = queue.SimpleQueue()

    def work() -> None:
        transfer = Transfer(
            pace,
            clock,
            timeout=options.timeout,
            longest=options.image_timeout,
            most_bytes=options.most_bytes,
        )
        fetcher = Fetcher(
            output,
            output / STATE / PARTIALS,
            transfer,
            pace,
            clock,
            retries=options.retries,
            jitter=jitter,
        )
        with contextlib.closing(transfer), contextlib.suppress(Stopped):
            while True:
                clock.check()
                with lock:
                    wanted = next(todo, None)
                if wanted is None:
                    return
                try:
                    results.put(
                        _outcome(wanted, output, journal, fetcher, options.verify)
                    )
                except Exception as error:
                    if not isinstance(error, Stopped):
                        results.put(error)
                    return

    # Daemons: one that waits for a server must not keep the process from ending.
    threads = [
        threading.Thread(target=work, daemon=True)
        for _ in range(min(options.workers, len(index.images)))
    ]
    for thread in threads:
        thread.start()
    try:
        for _ in index.images:
            result = results.get()
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        clock.stop()
        end = time.monotonic() + _PATIENCE
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))


def _outcome(
    wanted: Wanted, output: Path, journal: Journal, fetcher: Fetcher, verify: bool
) -> _Outcome:
    known = journal.find(wanted.path)
    if known is not None and still_there(output, wanted, known, verify):
        return _Outcome(wanted)
    changed = known is not None and (output / wanted.path).exists()
    try:
        return _Outcome(wanted, changed, fetched=fetcher.fetch(wanted))
    except Failure as failure:
        return _Outcome(wanted, changed, failure=failure)


def _note(outcome: _Outcome, report: Report, journal: Journal) -> None:
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


def _still_unanswered(before: int, outcome: _Outcome) -> int:
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
    rows = [(wanted.path, wanted.url, reason) for wanted, reason in report.failed]
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
