"""Threads that fetch the images of an index."""

import contextlib
import dataclasses
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from data_prep.download.failure import Failure
from data_prep.download.images import Fetcher, still_there
from data_prep.download.index import Index, Wanted
from data_prep.download.journal import Fetched, Journal
from data_prep.download.pace import Clock, Pace, Stopped
from data_prep.download.transfer import Transfer

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


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one image: `fetched` or `failure`, else it was there.

    Attributes:
        wanted: The image.
        changed: Whether it was there, but not as it had come.
        fetched: What came.
        failure: Why it did not come.
    """

    wanted: Wanted
    changed: bool = False
    fetched: Fetched | None = None
    failure: Failure | None = None


class Crew:
    """Threads with one pace.

    Args:
        index: What to fetch.
        output: Where to.
        partials: A folder on the same disk for what has come so far.
        journal: What came before; others add to it.
        options: How.
        clock: The time.
        jitter: Returns a number in [0, 1), for pauses.
    """

    def __init__(
        self,
        index: Index,
        output: Path,
        partials: Path,
        journal: Journal,
        options: Options,
        clock: Clock,
        jitter: Callable[[], float],
    ):
        self._images = index.images
        self._todo = iter(index.images)
        self._lock = threading.Lock()
        self._output, self._partials = output, partials
        self._journal = journal
        self._options = options
        self._clock, self._jitter = clock, jitter
        self._pace = Pace(options.rate, clock)
        self._results: queue.SimpleQueue[Outcome | Exception] = queue.SimpleQueue()

    def outcomes(self) -> Iterator[Outcome]:
        """Yields what becomes of the images, in the order in which that is known.

        To be closed, which stops the threads.

        Raises:
            UserError, OSError: A thread can't go on.
        """
        # Daemons: one that waits for a server must not keep the process from ending.
        threads = [
            threading.Thread(target=self._work, daemon=True)
            for _ in range(min(self._options.workers, len(self._images)))
        ]
        for thread in threads:
            thread.start()
        try:
            for _ in self._images:
                result = self._results.get()
                if isinstance(result, Exception):
                    raise result
                yield result
        finally:
            self._clock.stop()
            end = time.monotonic() + _PATIENCE
            for thread in threads:
                thread.join(max(0.0, end - time.monotonic()))

    def _work(self) -> None:
        """Runs in each thread until nothing is left, or until it is to stop."""
        with contextlib.suppress(Stopped), contextlib.closing(self._transfer()) as ask:
            fetcher = Fetcher(
                self._output,
                self._partials,
                ask,
                self._pace,
                self._clock,
                retries=self._options.retries,
                jitter=self._jitter,
            )
            while (wanted := self._next()) is not None:
                try:
                    self._results.put(self._outcome(wanted, fetcher))
                except Stopped:
                    raise
                except Exception as error:
                    # Of no image in particular (a full disk): the run's end.
                    self._results.put(error)
                    return

    def _transfer(self) -> Transfer:
        return Transfer(
            self._pace,
            self._clock,
            timeout=self._options.timeout,
            longest=self._options.image_timeout,
            most_bytes=self._options.most_bytes,
        )

    def _next(self) -> Wanted | None:
        self._clock.check()
        with self._lock:
            return next(self._todo, None)

    def _outcome(self, wanted: Wanted, fetcher: Fetcher) -> Outcome:
        known = self._journal.find(wanted.path)
        thorough = self._options.verify
        if known is not None and still_there(self._output, wanted, known, thorough):
            return Outcome(wanted)
        changed = known is not None and (self._output / wanted.path).exists()
        try:
            return Outcome(wanted, changed, fetched=fetcher.fetch(wanted))
        except Failure as failure:
            return Outcome(wanted, changed, failure=failure)
