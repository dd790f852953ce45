"""For how long does a server of an export hold the highest rate that it can hold?

A process serves the export over gRPC on loopback (the tests' server: the session that
TensorFlow Serving makes of the graph, without its merging of requests, under Python).
Requests for one cell each come at random times (a Poisson stream): they do not wait for
each other, and what one waits for counts from when it was due. The rate is stepped up
until the requests that wait become more and more; then `--share` of the highest rate
that was held is held for `--seconds`.

One JSON line: requests a second, how long they took (the median, and what 1 in 100
exceeded), how many were on their way, the server's memory over time. `failed` must be
empty, `growing` false, and the memory flat. Bounded by `--seconds`, `--most_requests`
and by how many may wait.
"""

import argparse
import collections
import contextlib
import dataclasses
import functools
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks import case, serving_fuzz
from tfvqgen import command_line
from tfvqgen.errors import UserError

MOST_WAITING = 100
_STEP_UP = 1.25
_LEAST_REQUESTS = 40
_DIFFERENT_REQUESTS = 256
_LONGEST_WAIT = 120.0
_SECONDS_A_SAMPLE = 5.0


class Server(Protocol):
    """What answers."""

    def begin(self, request: Any) -> Any:
        """Sends a request and returns a future."""
        ...

    def megabytes(self) -> float:
        """Returns its memory now."""
        ...


@dataclasses.dataclass(frozen=True)
class Stretch:
    """A time of one rate.

    Attributes:
        rate: Requests a second that were meant to come.
        seconds: How long they came.
        took: Seconds from when each was due to its answer, of those answered.
        waiting: How many were on their way at each one's coming.
        failed: gRPC's names of errors, counted.
        megabytes: The server's memory over time.
    """

    rate: float
    seconds: float
    took: np.ndarray
    waiting: np.ndarray
    failed: collections.Counter
    megabytes: Sequence[float] = ()

    @property
    def growing(self) -> bool:
        """Whether requests came faster than they were answered."""
        if len(self.waiting) < 3 or self.waiting.max() >= MOST_WAITING:
            return bool(self.waiting.max() >= MOST_WAITING)
        first, _, last = np.array_split(self.waiting, 3)
        return bool(last.mean() > 2 * first.mean() + 2)

    def as_json(self) -> dict[str, Any]:
        """Returns the figures of a benchmark's line."""
        names = ("p50_ms", "p95_ms", "p99_ms", "longest_ms")
        times = dict.fromkeys(names)
        if len(self.took):
            milliseconds = 1e3 * np.percentile(self.took, (50, 95, 99, 100))
            times = dict(zip(names, milliseconds.round(1).tolist(), strict=True))
        return {
            "rate": round(self.rate, 2),
            "requests": len(self.waiting),
            "seconds": round(self.seconds, 1),
            "requests_per_second": round(len(self.took) / self.seconds, 2),
            **times,
            "mean_waiting": round(float(self.waiting.mean()), 2),
            "most_waiting": int(self.waiting.max()),
            "growing": self.growing,
            "failed": dict(self.failed),
        }


def main() -> None:
    args = _flags().parse_args()
    if not 0 < args.share <= 1 or min(args.seconds, args.step_seconds) <= 0:
        raise UserError(
            "share and seconds are out of range: expected a share above 0, at most 1, "
            f"and seconds above 0. Received: share={args.share}, "
            f"seconds={args.seconds}, step_seconds={args.step_seconds}"
        )
    case.import_tensorflow(args.threads)
    with contextlib.ExitStack() as stack:
        model = args.model
        if model is None:
            model = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            serving_fuzz.export_random(args.preset, args.seed, model)
        case.write(soak(model, args), args.output)


def soak(model: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Starts a server, looks for its rate and holds it.

    Args:
        model: A folder of versions.
        args: The flags.
    """
    about = serving_fuzz.read_about(model)
    requests = [
        serving_fuzz.right_request(about, args.signature, args.rows, seed=number)
        for number in range(_DIFFERENT_REQUESTS)
    ]
    rng = np.random.default_rng(args.seed)
    with serving_fuzz.serving(model) as server:
        alone = _alone(server, requests)
        run = functools.partial(stretch, server, requests, rng=rng)
        tried, best = search(
            lambda rate: run(
                rate,
                # A queue of few requests says nothing.
                max(args.step_seconds, _LEAST_REQUESTS / rate),
                most=args.most_requests,
            ),
            0.5 / alone,
        )
        before = server.megabytes()
        held = run(args.share * best, args.seconds, most=args.most_requests)
        figures = {
            "before_mb": before,
            "after_mb": server.megabytes(),
            "same_process": server.is_the_same(),
        }
    return {
        "case": "soak",
        "preset": about["preset"],
        "signature": args.signature,
        "rows": args.rows,
        "alone_ms": round(1e3 * alone, 1),
        "highest_rate": round(best, 2),
        "share": args.share,
        **held.as_json(),
        **figures,
        "megabytes": list(held.megabytes),
        "tried": [
            [round(x.rate, 2), round(float(x.waiting.mean()), 2), x.growing]
            for x in tried
        ],
        "seed": args.seed,
        "threads": args.threads,
    }


def search(
    attempt: Callable[[float], Stretch], start: float
) -> tuple[list[Stretch], float]:
    """Steps a rate up until requests pile up.

    Args:
        attempt: Tries a rate.
        start: The first rate; halved as long as it is too high.

    Returns:
        All attempts, and the highest rate that was held.
    """
    tried = [attempt(start)]
    while tried[-1].growing:
        tried.append(attempt(tried[-1].rate / 2))
    best = tried[-1].rate
    while not (last := attempt(best * _STEP_UP)).growing:
        tried.append(last)
        best = last.rate
    return [*tried, last], best


def stretch(
    server: Server,
    requests: Sequence[Any],
    rate: float,
    seconds: float,
    *,
    rng: np.random.Generator,
    most: int,
) -> Stretch:
    """Sends requests at random times, so many a second, and waits for the answers.

    Args:
        server: Answers.
        requests: Taken in turn.
        rate: Requests a second.
        seconds: For how long they come.
        rng: Decides when.
        most: Requests.
    """
    answers = _Answers()
    waiting: list[int] = []
    megabytes = [server.megabytes()]
    started = due = time.perf_counter()
    while len(waiting) < most:
        due += rng.exponential(1 / rate)
        if due > started + seconds:
            break
        time.sleep(max(0.0, due - time.perf_counter()))
        future = server.begin(requests[len(waiting) % len(requests)])
        future.add_done_callback(functools.partial(answers.note, due))
        waiting.append(len(waiting) + 1 - answers.number)
        if due > started + _SECONDS_A_SAMPLE * len(megabytes):
            megabytes.append(server.megabytes())
        if waiting[-1] >= MOST_WAITING:
            break
    answers.wait(len(waiting))
    return Stretch(
        rate=rate,
        seconds=time.perf_counter() - started,
        took=np.array(answers.took),
        waiting=np.array(waiting or [0]),
        failed=answers.failed,
        megabytes=megabytes,
    )


class _Answers:
    """Answers as they come, in threads of gRPC's."""

    def __init__(self):
        self.took: list[float] = []
        self.failed: collections.Counter = collections.Counter()
        self.number = 0
        self._changed = threading.Condition()

    def note(self, due: float, future) -> None:
        """Counts an answer to what was due then."""
        now = time.perf_counter()
        error = future.exception()
        with self._changed:
            self.number += 1
            if error is None:
                self.took.append(now - due)
            else:
                code = getattr(error, "code", lambda: error)()
                self.failed[str(code)] += 1
            self._changed.notify_all()

    def wait(self, number: int) -> None:
        """Waits for so many answers; what never comes has failed."""
        with self._changed:
            self._changed.wait_for(lambda: self.number >= number, _LONGEST_WAIT)
            if missing := number - self.number:
                self.failed["no answer"] += missing


def _alone(server: Server, requests: Sequence[Any], number: int = 10) -> float:
    """Returns the median seconds of a request with no other beside it."""
    took = []
    for request in requests[: number + 2]:
        started = time.perf_counter()
        server.begin(request).result()
        took.append(time.perf_counter() - started)
    # The first ones make the graph ready.
    return float(np.median(took[2:]))


def _flags() -> argparse.ArgumentParser:
    flags = case.parser(__doc__)
    flags.add_argument("--model", type=Path, help="an export: a folder of versions")
    flags.add_argument(
        "--preset", default="demo", help="export this with random weights instead"
    )
    flags.add_argument("--signature", default="generate", help="what is asked")
    flags.add_argument("--rows", type=int, default=1, help="cells a request")
    flags.add_argument("--seconds", type=float, default=600, help="to hold the rate")
    flags.add_argument(
        "--step_seconds", type=float, default=20, help="of each rate that is tried"
    )
    flags.add_argument(
        "--share", type=float, default=0.85, help="of the highest rate, to be held"
    )
    flags.add_argument("--most_requests", type=int, default=200_000, help="at any rate")
    return flags


if __name__ == "__main__":
    with command_line.guard():
        main()
