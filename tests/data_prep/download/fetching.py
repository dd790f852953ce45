"""Time for tests, and what a run has left."""

import threading

from data_prep.download.pace import Clock
from data_prep.download.run import PARTIALS, STATE


class FastClock(Clock):
    """Time that passes only where somebody sleeps, and `tick` a look at it."""

    def __init__(self, tick: float = 0.0):
        super().__init__()
        self.slept: list[float] = []
        self._time = 0.0
        self._tick = tick
        self._lock = threading.Lock()

    def now(self):
        with self._lock:
            self._time += self._tick
            return self._time

    def sleep(self, seconds):
        self.check()
        with self._lock:
            self._time += max(0.0, seconds)
            if seconds > 0:
                self.slept.append(round(seconds, 6))


def failures(report):
    return {wanted.path: reason for wanted, reason in report.failed}


def files(tmp_path):
    """Returns what a reader of images sees."""
    folder = tmp_path / "images"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in (".png", ".jpg")
    }


def partials(tmp_path):
    return list((tmp_path / "images" / STATE).glob(f"{PARTIALS}/*.part"))
