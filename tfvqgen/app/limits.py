"""How much may be asked of the page."""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator

MOST_BODY_BYTES = 16 * 2**20
# Base64 makes 4 bytes of 3; the rest is for names and commas.
MOST_UPLOAD_BYTES = 12 * 2**20 - 2**16
MOST_CELLS_AT_ONCE = 16
MOST_REQUESTS = 30
REQUESTS_PER_SECOND = 2.0
MOST_WAITING = 4


class Refused(Exception):
    """A request that is right, but not now.

    Attributes:
        seconds: When it may be tried again.
    """

    def __init__(self, message: str, seconds: int):
        super().__init__(message)
        self.seconds = seconds


class TooMany(Refused):
    """Requests come too fast."""


class Busy(Refused):
    """Too many requests wait for the model."""


class RateLimit:
    """Lets so many requests through at once, and then so many a second.

    Args:
        burst: Requests at once.
        per_second: Requests a second after them.
        clock: Gives seconds.
    """

    def __init__(
        self,
        burst: int = MOST_REQUESTS,
        per_second: float = REQUESTS_PER_SECOND,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._burst, self._per_second, self._clock = burst, per_second, clock
        self._left, self._at = float(burst), clock()
        self._lock = threading.Lock()

    def count(self) -> None:
        """Counts a request.

        Raises:
            TooMany: It is one too many.
        """
        with self._lock:
            now = self._clock()
            gained = (now - self._at) * self._per_second
            self._left, self._at = min(self._burst, self._left + gained), now
            if self._left < 1:
                seconds = math.ceil((1 - self._left) / self._per_second)
                raise TooMany(
                    f"requests come too fast: expected {self._per_second:g} a second "
                    f"at most, and {self._burst} at once. Received: one more; try "
                    f"again in {seconds} s",
                    seconds,
                )
            self._left -= 1


class OneAtATime:
    """Lets one request at a time through, and a few wait.

    Args:
        most_waiting: How many may wait.
    """

    def __init__(self, most_waiting: int = MOST_WAITING):
        self._places = threading.BoundedSemaphore(most_waiting + 1)
        self._turn = threading.Lock()
        self._most_waiting = most_waiting
        self._closed = False

    def close(self) -> None:
        """Waits until nobody has a turn, and gives no more."""
        self._closed = True
        self._turn.acquire()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for a turn and keeps it.

        Raises:
            Busy: Too many wait already, or there are no more turns.
        """
        if not self._places.acquire(blocking=False):
            raise Busy(
                f"the model is busy: expected at most {self._most_waiting} requests to "
                "wait for it. Received: one more; try again in a moment",
                1,
            )
        try:
            with self._turn:
                if self._closed:
                    raise Busy("the page is being closed", 1)
                yield
        finally:
            self._places.release()
