"""Commands of the project in forked processes, which cost no start of TensorFlow.

The parent imports what the commands need and runs none of it, so that it has one thread
and a fork is as good as a start: what a child does, and how it dies, is its own.
"""

import contextlib
import dataclasses
import importlib
import mmap
import multiprocessing
import os
import re
import runpy
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tfvqgen import command_line

ROOT = Path(__file__).resolve().parents[2]
# Longer than any of the tiny commands takes on a busy machine.
TIMEOUT = 300


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        status: Exit status; below 0 the signal that killed it.
        output: What it wrote to stdout and stderr.
        seconds: How long it took.
    """

    status: int
    output: str
    seconds: float

    @property
    def has_traceback(self) -> bool:
        """Whether it died of an error that nobody had thought of."""
        return "Traceback (most recent call last)" in self.output

    @property
    def outcome(self) -> str:
        """In a word."""
        if self.has_traceback:
            return "traceback"
        words = {0: "finished", 2: "refused", 130: "left", 143: "left"}
        return "killed" if self.status < 0 else words.get(self.status, "failed")

    @property
    def sentence(self) -> str:
        """The last line that says how it ended, without bars of progress."""
        lines = re.split(r"[\r\n]+", self.output.strip())
        words = ("error:", "interrupted", "terminated", "warning:", "stage ")
        said = [line for line in lines if line.startswith(words)]
        return (said or lines)[-1][:300]


class Command:
    """A command that runs.

    Args:
        words: E.g. ``("train.py", "--stage=vqvae")`` or ``("data_prep", "crop")``.
        folder: Where it is run, so that its paths are the same wherever that is.
        prepare: Called in the new process first.
    """

    def __init__(
        self,
        words: Sequence[str],
        folder: Path,
        prepare: Callable[[], None] = lambda: None,
    ):
        import_all(words)
        if len(os.listdir("/proc/self/task")) > 1:
            raise RuntimeError("a fork needs a process of one thread")
        self._output, written = os.pipe()
        self._begun = time.monotonic()
        self._process = multiprocessing.get_context("fork").Process(
            target=_run, args=(words, folder, written, prepare)
        )
        self._process.start()
        self._text = b""
        os.close(written)

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def send(self, number: int) -> None:
        """Sends a signal; Ctrl-C goes to its workers too, as a terminal sends it."""
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGINT:
                os.killpg(self.pid, number)
            else:
                os.kill(self.pid, number)

    def wait(self, seconds: float | None = None) -> Ended | None:
        """Waits for its end, which it returns; None if it still runs by then."""
        now = time.monotonic()
        deadline = min(now + (seconds or TIMEOUT), self._begun + TIMEOUT)
        while (left := deadline - time.monotonic()) > 0:
            # Workers that outlive it hold the pipe open: so do not wait for its end.
            if select.select([self._output], [], [], min(left, 0.02))[0]:
                self._text += os.read(self._output, 65536)
            if not self._process.is_alive():
                return self._end()
        if seconds is not None:
            return None
        os.killpg(self.pid, signal.SIGKILL)
        raise RuntimeError(f"it hangs: {self._text.decode(errors='replace')[-2000:]}")

    def _end(self) -> Ended:
        self._process.join()
        seconds = time.monotonic() - self._begun
        self._wait_for_workers()
        os.set_blocking(self._output, False)
        with contextlib.suppress(BlockingIOError):
            while more := os.read(self._output, 65536):
                self._text += more
        os.close(self._output)
        text = self._text.decode(errors="replace")
        return Ended(self._process.exitcode, text, seconds)

    def _wait_for_workers(self) -> None:
        """Waits until no process of its group is left, as its workers promise."""
        deadline = time.monotonic() + 20
        with contextlib.suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                os.killpg(self.pid, 0)
                time.sleep(0.01)
            os.killpg(self.pid, signal.SIGKILL)
            raise RuntimeError("its workers have outlived it")


def run(words: Sequence[str], folder: Path, prepare=lambda: None) -> Ended:
    """Runs a command to its end."""
    return Command(words, folder, prepare).wait()


def import_all(words: Sequence[str]) -> None:
    """Imports what a command needs, without running any of it."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    modules = [
        "data_prep.cropping.pipeline",
        "data_prep.labels",
        "data_prep.synthetic.cell_outlines",
    ]
    if words[:2] not in (("data_prep", "crop"), ("data_prep", "synthesize")):
        if "tensorflow" not in sys.modules:
            command_line.import_tensorflow()
        modules = [
            "data_prep.embedding.feature_learning",
            "data_prep.screening.screening",
            "data_prep.shards.shards",
            "tfvqgen.generation.samples",
            "tfvqgen.export.export",
            "tfvqgen.training.train",
        ]
    for module in modules:
        importlib.import_module(module)


class Changes:
    """Counts what a command changes on disk, and strikes before one of the changes.

    Counted are the files that Python opens to write, renames and removes, and the
    folders that it makes and removes, in the command and in its workers.
    """

    def __init__(self):
        self._shared = mmap.mmap(-1, 1024)

    @property
    def count(self) -> int:
        """How many there were."""
        return int.from_bytes(self._shared[:8], "little")

    @property
    def struck(self) -> str:
        """Before which change it struck."""
        return self._shared[8:].rstrip(b"\0").decode(errors="replace")

    def strike(
        self, folder: Path, number: int = 0, action: Callable[[int], None] = lambda _: 0
    ) -> None:
        """Counts in this process and its children from here on.

        Args:
            folder: Whose changes count.
            number: Before which change, from 1, to strike; 0: never.
            action: What to do then, given this process's number.
        """
        main, inside = os.getpid(), os.path.join(os.path.realpath(folder), "")

        def hook(event: str, arguments: tuple) -> None:
            path = _changed(event, arguments)
            if path is None or not os.path.abspath(path).startswith(inside):
                return
            count = self.count + 1
            self._shared[:8] = count.to_bytes(8, "little")
            if count == number:
                name = re.sub(r"\.\w{8}$", "", os.path.abspath(path)[len(inside) :])
                text = f"{event} {name}".encode()[:1000]
                self._shared[8 : 8 + len(text)] = text
                action(main)

        sys.addaudithook(hook)


_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")


def _changed(event: str, arguments: tuple) -> str | None:
    if event == "open":
        path, _, flags = arguments
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        return os.fsdecode(path) if writes and not isinstance(path, int) else None
    if event in _CHANGES and not isinstance(arguments[0], int):
        return os.fsdecode(arguments[0])
    return None


def in_child(function: Callable, *arguments):
    """Returns what a function returns, run in a process of its own."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def work():
        sender.send(function(*arguments))

    process = context.Process(target=work)
    process.start()
    sender.close()
    try:
        return receiver.recv()
    finally:
        process.join()


def _run(words, folder, output, prepare) -> None:
    os.setsid()
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _save_starts_of_tensorflow()
    prepare()
    program, *flags = words
    sys.argv = [program, *flags]
    if program.endswith(".py"):
        runpy.run_path(str(ROOT / program), run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


def _save_starts_of_tensorflow() -> None:
    """Lets workers be forked too, and a map of crops be made without UMAP."""
    real = multiprocessing.get_context
    multiprocessing.get_context = lambda method=None: real("fork")
    if "data_prep.screening.screening" in sys.modules:
        from data_prep.embedding import projection, umap_table

        projection.require_libraries = lambda: None
        projection.map_positions = lambda components, *_: components[:, :2]
        umap_table._LIBRARIES = ("numpy",)


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """Mounts an empty disk in memory on a folder.

    Raises:
        PermissionError: This process may not mount.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise PermissionError(done.stderr.strip())
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    """Changes a mounted disk, e.g. to ``size=9m`` or ``ro``."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)
