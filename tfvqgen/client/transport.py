"""What a client needs of a way to talk to TensorFlow Serving."""

import random
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

import numpy as np

from tfvqgen.client.failure import Failure

# A reply is read up to this size; what is longer is not an answer to our requests.
MOST_BYTES = 256 * 2**20


class Served(NamedTuple):
    """A model as a server has it.

    Attributes:
        version: Which one answers.
        signatures: What it can be asked for.
    """

    version: int
    signatures: frozenset[str]


class VersionState(NamedTuple):
    """What a server says of one version of a model.

    Attributes:
        version: Its number.
        state: START, LOADING, AVAILABLE, UNLOADING or END.
        message: Why it is so, if something went wrong.
    """

    version: int
    state: str
    message: str = ""


class Transport(Protocol):
    """A way to talk to one model of a server.

    Every method takes the seconds that it may take, and raises
    :class:`tfvqgen.client.failure.Failure`.

    Attributes:
        protocol: Its name, and the port where it is spoken as a rule.
        address: The server's, in full.
    """

    protocol: str
    address: str

    def served(self, version: int | str | None, timeout: float) -> Served:
        """Returns the version of a number or label, None being the newest."""
        ...

    def states(self, timeout: float) -> list[VersionState]:
        """Returns what becomes of each version; none if the model is unknown."""
        ...

    def predict(
        self,
        signature: str,
        inputs: dict[str, np.ndarray],
        outputs: Sequence[str],
        version: int,
        timeout: float,
    ) -> dict[str, np.ndarray]:
        """Runs a signature.

        Args:
            signature: Its name.
            inputs: By name, each [N, ...].
            outputs: The names of those that are wanted; one alone must be the only
                one that the signature has.
            version: Which version is to answer.
            timeout: In seconds.

        Returns:
            The outputs by name, each [N, ...]: strings as objects (bytes), numbers as
            arrays of their type, or of int64 and float64 where the protocol does not
            tell types.
        """
        ...

    def close(self) -> None:
        """Gives connections back."""
        ...


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
