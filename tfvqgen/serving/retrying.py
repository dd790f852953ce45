"""Asking again, after ever longer pauses, where that helps."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from tfvqgen.serving.failure import Failure

T = TypeVar("T")

_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 8.0


def with_retries(
    request: Callable[[float], T],
    *,
    timeout: float,
    retries: int,
    deadline: float,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> T:
    """Makes a request, and again if its failure is one that passes.

    The pauses double from a quarter of a second to eight, each shortened at random by
    up to a half, so that clients that failed together don't come back together.

    Args:
        request: Called with the seconds that it may take.
        timeout: Seconds that one attempt may take.
        retries: How many attempts follow the first at most.
        deadline: Seconds after which no further attempt is made or waited for.
        sleep: Waits for so many seconds.
        clock: Returns the time in seconds.

    Raises:
        Failure: The last attempt's.
    """
    end = clock() + deadline
    for attempt in range(retries + 1):
        try:
            return request(min(timeout, end - clock()))
        except Failure as failure:
            pause = pause_after(attempt)
            last = attempt == retries or clock() + pause >= end
            if last or not failure.cause.passes:
                raise
        sleep(pause)
    raise AssertionError("unreachable")


def pause_after(attempt: int) -> float:
    """Returns the seconds to wait after the attempt of this number, from 0 on."""
    longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt)
    return longest * random.uniform(0.5, 1)
