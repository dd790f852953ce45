"""One image: fetched, checked and put in place."""

import os
import random
from collections.abc import Callable
from pathlib import Path

from data_prep.download.failure import Again, Failure
from data_prep.download.index import Wanted
from data_prep.download.journal import Fetched
from data_prep.download.names import host_of
from data_prep.download.pace import Clock, Pace, pause_after
from data_prep.download.partial import Partial
from data_prep.download.transfer import Transfer
from data_prep.download.wholeness import what_is_wrong
from tfvqgen.errors import DataError
from tfvqgen.files import blamed_on, sha256_of_file

# An attempt that brought so much does not count: it can't go on for ever.
_PROGRESS = 2**18
LONGEST_WAIT = 900.0


class Fetcher:
    """Fetches images for one thread.

    Args:
        output: Their folder.
        partials: A folder on the same disk for what has come so far.
        transfer: Asks once.
        pace: Told when a server asks for a pause.
        clock: The time.
        retries: How many failed attempts may follow the first.
        jitter: Returns a number in [0, 1).
    """

    def __init__(
        self,
        output: Path,
        partials: Path,
        transfer: Transfer,
        pace: Pace,
        clock: Clock,
        *,
        retries: int,
        jitter: Callable[[], float] = random.random,
    ):
        self._output = output
        self._root = output.resolve()
        self._partials = partials
        self._transfer = transfer
        self._pace = pace
        self._clock = clock
        self._retries = retries
        self._jitter = jitter

    def fetch(self, wanted: Wanted) -> Fetched:
        """Fetches an image and puts it in place.

        Raises:
            Failure: The last attempt's.
            Stopped: The run is to end; what came is kept.
        """
        target = self._target(wanted)
        partial = Partial(self._partials, wanted.path)
        attempt = spoilt = 0
        furthest = partial.size()
        while True:
            try:
                return self._attempt(wanted, partial, target)
            except Failure as failure:
                if failure.wait is not None and failure.wait > LONGEST_WAIT:
                    reason = f"{failure.reason}, to be asked in {failure.wait:.0f} s"
                    raise Failure(reason, Again.LATER) from None
                progress = partial.size() - furthest
                furthest = max(furthest, partial.size())
                attempt += progress < _PROGRESS
                spoilt += failure.again is Again.ONCE
                if not self._again(failure.again, attempt, spoilt):
                    raise
                if failure.wait is not None:
                    self._pace.hold(host_of(wanted.url), failure.wait)
                self._clock.sleep(pause_after(max(0, attempt - 1), self._jitter))

    def _again(self, again: Again, attempts: int, spoilt: int) -> bool:
        if again is Again.NEVER or attempts > self._retries:
            return False
        return again is Again.LATER or spoilt == 1

    def _attempt(self, wanted: Wanted, partial: Partial, target: Path) -> Fetched:
        entity = self._transfer.fetch(wanted.url, partial)
        wrong = what_is_wrong(partial.path, wanted.path)
        if wrong:
            partial.discard()
            raise Failure(wrong, Again.ONCE)
        sha256 = partial.sha256()
        if wanted.sha256 and sha256 != wanted.sha256:
            partial.discard()
            raise Failure("a sha256 that is not the index's", Again.ONCE)
        self._clock.check()
        status = partial.become(target)
        return Fetched(
            path=wanted.path,
            url=wanted.url,
            sha256=sha256,
            bytes=status.st_size,
            modified=status.st_mtime_ns,
            etag=entity.etag,
        )

    def _target(self, wanted: Wanted) -> Path:
        """Returns the final name and makes its folder.

        Raises:
            DataError: A link leads out of the output folder.
        """
        target = self._output / wanted.path
        with blamed_on(target):
            for folder in reversed(target.relative_to(self._output).parents):
                place = self._output / folder
                real = Path(os.path.realpath(place))
                if place.is_symlink() and not real.is_relative_to(self._root):
                    raise DataError(
                        "a link leaves the folder: expected folders in it. "
                        f"Received: {place}"
                    )
                place.mkdir(exist_ok=True)
        return target


def still_there(output: Path, wanted: Wanted, known: Fetched, thorough: bool) -> bool:
    """Returns whether an image that was fetched before is what it was then.

    Args:
        output: Its folder.
        wanted: What the index says now.
        known: What was noted then.
        thorough: Read it even if its size and its time say that it is.
    """
    if known.url != wanted.url or wanted.sha256 not in ("", known.sha256):
        return False
    path = output / wanted.path
    try:
        status = path.lstat()
        if status.st_size != known.bytes or path.is_symlink():
            return False
        if known.is_as_it_was(status) and not thorough:
            return True
        return sha256_of_file(path) == known.sha256
    except FileNotFoundError:
        return False
