"""Ctrl-C and SIGTERM: finish the step, save, go."""

import signal
import sys


class Interruption:
    """Notes a first SIGINT or SIGTERM instead of dying of it; a second one kills.

    A context manager; outside the main thread, where signals cannot be caught, it does
    nothing.

    Attributes:
        requested: Whether a signal came.
    """

    def __init__(self):
        self.requested = False
        self._signal = signal.SIGINT
        self._previous = {}

    def __enter__(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._previous[number] = signal.signal(number, self._note)
            except ValueError:
                break
        return self

    def __exit__(self, *exception):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def leave(self, message: str) -> None:
        """Exits as a process ended by the signal does, 128 + its number."""
        print(f"{message}; run the same command again to go on", file=sys.stderr)
        sys.exit(128 + self._signal)

    def _note(self, number, frame):
        del frame
        self.requested = True
        self._signal = number
        signal.signal(number, self._previous[number])
