"""The uninterrupted results of jobs, which struck ones are compared with."""

import json
import shutil
from pathlib import Path

from benchmarks.faults import process
from benchmarks.faults.jobs import JOBS, Job
from benchmarks.faults.process import Changes
from benchmarks.faults.results import results


class World:
    """The uninterrupted results of jobs, made once and kept in a folder.

    Args:
        folder: Where; what is there is taken as it is.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def make(self, name: str) -> None:
        """Runs a job, and those before it, unless that was done."""
        if self._about(name).exists():
            return
        job = JOBS[name]
        for need in job.needs:
            for other in JOBS.values():
                made = (*other.makes, *(Path(path).parts[0] for path in other.makes))
                if need in made and other.name != "embed":
                    self.make(other.name)
        changes = Changes()
        whole = self.folder / "whole"
        whole.mkdir(exist_ok=True)
        ended = process.run(job.words, whole, lambda: changes.strike(whole))
        if ended.status:
            raise RuntimeError(f"{name} failed by itself: {ended.output[-3000:]}")
        about = {"seconds": ended.seconds, "changes": changes.count}
        self._about(name).write_text(json.dumps(about))

    def seconds(self, name: str) -> float:
        """How long a job takes."""
        return json.loads(self._about(name).read_text())["seconds"]

    def changes(self, name: str) -> int:
        """How many changes of files a job makes."""
        return json.loads(self._about(name).read_text())["changes"]

    def begin(self, name: str, folder: Path, *, done: bool = False) -> Job:
        """Lays out in `folder` what a job needs, and, if `done`, what it leaves."""
        self.make(name)
        job = JOBS[name]
        folder.mkdir(parents=True, exist_ok=True)
        for path in (*job.needs, *(job.makes if done else ())):
            _copy(self.folder / "whole" / path, folder / path)
        if not done:
            for path in job.makes:
                _remove(folder / path)
        return job

    def differences(self, name: str, folder: Path) -> list[str]:
        """Names what in `folder` is not as the uninterrupted job has left it."""
        expected = process.in_child(results, JOBS[name], self.folder / "whole")
        found = process.in_child(results, JOBS[name], folder)
        names = sorted(expected.keys() | found.keys())
        return [path for path in names if expected.get(path) != found.get(path)]

    def _about(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
