"""When to ask: so many requests a second, and not before a server wants to be asked."""

import threading
import time
from collections.abc import Callable


class Stopped(Exception):
    """The run is to end; raised where a thread waits."""


class Clock:
    """The time, for threads that can be told to stop."""

    def __init__(self):
        self._stopped = threading.Event()

    def now(self) -> float:
        """Returns seconds since any moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Waits.

        Raises:
            Stopped: Somebody called :meth:`stop`, before or meanwhile.
        """
        # Python refuses to wait for more than a few centuries.
        if self._stopped.wait(min(seconds, threading.TIMEOUT_MAX)):
            raise Stopped

    def stop(self) -> None:
        """Ends all waiting, now and from now on."""
        self._stopped.set()

    def check(self) -> None:
        """Raises Stopped after :meth:`stop`."""
        if self._stopped.is_set():
            raise Stopped


class Pace:
    """Spaces the requests of all threads.

    Args:
        rate: Requests a second, 0: without limit.
        clock: The time.
    """

    def __init__(self, rate: float, clock: Clock):
        self._gap = 1 / rate if rate else 0.0
        self._clock = clock
        self._lock = threading.Lock()
        self._next = clock.now()
        self._held: dict[str, float] = {}

    def wait(self, host: str) -> None:
        """Waits for this request's turn."""
        self._wait_while_held(host)
        with self._lock:
            now = self._clock.now()
            turn = max(now, self._next)
            self._next = turn + self._gap
        self._clock.sleep(turn - now)
        # The server may have asked for a pause while this thread stood in line.
        self._wait_while_held(host)

    def hold(self, host: str, seconds: float) -> None:
        """Makes all threads leave a host alone for so long."""
        with self._lock:
            until = self._clock.now() + seconds
            self._held[host] = max(until, self._held.get(host, until))

    def _wait_while_held(self, host: str) -> None:
        while True:
            with self._lock:
                left = self._held.get(host, 0.0) - self._clock.now()
            if left <= 0:
                return
            self._clock.sleep(left)


LONGEST_PAUSE = 60.0


def pause_after(attempt: int, random: Callable[[], float]) -> float:
    """Returns the seconds to wait after attempt 0, 1, ... has failed.

    They double from one second to a minute, each shortened at random by up to a half,
    so that threads that failed together don't come back together.

    Args:
        attempt: How many failed before.
        random: Returns a number in [0, 1).
    """
    return min(LONGEST_PAUSE, 2.0 ** min(attempt, 10)) * (1 - random() / 2)
