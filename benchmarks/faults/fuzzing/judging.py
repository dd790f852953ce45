"""What becomes of an input: accepted, refused in words, or a fault of ours."""

import collections
import contextlib
import dataclasses
import io
import random
import re
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from tfvqgen.errors import UserError

_MOST_FAULTS_TOLD = 10


class Inputs(Protocol):
    """Inputs of one kind, and who reads them."""

    def draw(self, rng: random.Random) -> Callable[[], object]:
        """Makes the next input and returns what reads it.

        What it returns may say how many inputs it was and which were refused: a pair
        of numbers.
        """
        ...


@dataclasses.dataclass
class Result:
    """What became of many inputs.

    Attributes:
        inputs: How many there were.
        refused: How many were refused in words.
        faults: What was neither accepted nor refused: where and why.
        hangs: How many took longer than they may.
        slowest: Seconds of the slowest.
        megabytes: Memory after the first tenth, at the end, and the most.
    """

    inputs: int = 0
    refused: int = 0
    faults: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    hangs: int = 0
    slowest: float = 0.0
    megabytes: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def as_json(self) -> dict[str, Any]:
        """Returns the figures of a benchmark's line."""
        before, after, most = self.megabytes
        return {
            "inputs": self.inputs,
            "refused": self.refused,
            "accepted": self.inputs - self.refused - sum(self.faults.values()),
            "tracebacks": sum(self.faults.values()) - self.hangs,
            "hangs": self.hangs,
            "slowest_ms": round(1e3 * self.slowest, 1),
            "before_mb": before,
            "after_mb": after,
            "most_mb": most,
            "faults": dict(self.faults.most_common(_MOST_FAULTS_TOLD)),
        }


class TooSlow(BaseException):
    """An input took longer than it may; nothing that is tried may catch it."""


def judge(inputs: Inputs, number: int, seed: int, seconds: float = 10.0) -> Result:
    """Reads so many inputs, one after another.

    Args:
        inputs: Makes and reads them.
        number: How many.
        seed: What they depend on, with their own number: any can be made again.
        seconds: How long one may take.
    """
    result = Result()
    warm, before = False, 0.0
    while result.inputs < number:
        rng = random.Random(f"{seed}/{result.inputs}")
        read = inputs.draw(rng)
        started = time.perf_counter()
        count, refused, fault = _outcome(read, seconds)
        result.slowest = max(result.slowest, time.perf_counter() - started)
        if fault:
            result.hangs += fault == TooSlow.__name__
            result.faults[f"{fault} (first: input {result.inputs})"] += 1
            _merge(result.faults, fault)
        result.inputs += count
        result.refused += refused
        if not warm and result.inputs >= number / 10:
            warm, before = True, megabytes()
            _forget_peak()
    result.megabytes = (before, megabytes(), megabytes("VmHWM"))
    return result


def _merge(faults: collections.Counter, fault: str) -> None:
    """Counts the same fault of several inputs under the first one's name."""
    same = [name for name in faults if name.startswith(f"{fault} (first")]
    for name in same[1:]:
        faults[same[0]] += faults.pop(name)


def _outcome(read: Callable[[], object], seconds: float) -> tuple[int, int, str]:
    """Returns how many inputs it was, how many were refused, and a fault if any."""
    try:
        with _limited(seconds), contextlib.redirect_stderr(io.StringIO()):
            said = read()
    except UserError as error:
        fault = _unclear(str(error))
        return 1, int(not fault), fault
    except SystemExit as error:
        return 1, int(error.code == 2), "" if error.code in (0, 2) else "exit status"
    except OSError as error:
        # The commands say these in a sentence as well.
        if error.errno is not None:
            return 1, 1, ""
        return 1, 0, _where(error)
    except TooSlow:
        return 1, 0, TooSlow.__name__
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return 1, 0, _where(error)
    if isinstance(said, tuple) and len(said) == 2 and isinstance(said[0], int):
        return said[0], said[1], ""
    return 1, 0, ""


def _unclear(sentence: str) -> str:
    if not re.search("expected|Received", sentence):
        return f"a refusal without what was expected: {sentence[:80]}"
    return ""


def _where(error: BaseException) -> str:
    """Returns a fault's name: the error and the last place of ours on its way."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if re.search(r"/(tfvqgen|data_prep)/", f.filename)]
    last = (ours or frames)[-1]
    place = f"{Path(last.filename).name}:{last.lineno}"
    words = re.sub(r"[0-9a-f]{8,}|\d+", "N", " ".join(str(error).split()))[:60]
    return f"{type(error).__name__} {place} {words}"


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def stop(number, frame):
        raise TooSlow

    previous = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def megabytes(name: str = "VmRSS") -> float:
    """Returns the memory of this process now, or the most since it was forgotten."""
    text = Path("/proc/self/status").read_text()
    return round(int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) / 1e3, 1)


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
