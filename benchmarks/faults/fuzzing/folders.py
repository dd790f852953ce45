"""Folders of which one file or another is damaged, and then as it was again."""

import os
import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.faults.fuzzing.mutation import (
    WORDS,
    Mutation,
    mutated_bytes,
    mutated_text,
)
from benchmarks.faults.fuzzing.structures import (
    mutated_json,
    mutated_json_lines,
    mutated_table,
)

_BY_SUFFIX: Mapping[str, Mutation] = {
    ".json": mutated_json,
    ".jsonl": mutated_json_lines,
    ".csv": mutated_table,
    ".tsv": lambda data, rng: mutated_table(data, rng, "\t"),
    ".txt": mutated_text,
    ".md": mutated_text,
}
# Of a hundred inputs so many are about what a file is, not about what it holds.
_STRANGE = 6


class FuzzedFolder:
    """Inputs that are a folder with one damaged file.

    Args:
        folder: A whole folder.
        read: What reads it.
        names: The files that are damaged; others stay whole. None: all.
        mutations: By suffix, where the usual ones are not meant.
        mend: Makes other files fit the damaged one, so that what they say of it
            (a hash, a length) does not end the reading at once.
    """

    def __init__(
        self,
        folder: Path,
        read: Callable[[Path], object],
        names: tuple[str, ...] | None = None,
        mutations: Mapping[str, Mutation] | None = None,
        mend: Callable[[Path, random.Random], None] | None = None,
    ):
        self._folder, self._read, self._mend = folder, read, mend
        self._mutations = {**_BY_SUFFIX, **(mutations or {})}
        self._whole = {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        self._names = list(names or self._whole)
        # What is to be written again; None: everything is to be looked at.
        self._dirty: list[str] | None = []
        self._mended = [x for x in self._whole if mend and x.endswith(".json")]

    def draw(self, rng: random.Random) -> Callable[[], object]:
        """Damages a file, after everything is as it was."""
        self._restore()
        name = rng.choice(self._names)
        self._dirty = [name, *self._mended]
        if rng.randrange(100) < _STRANGE:
            self._dirty = None
            rng.choice(_STRANGE_FILES)(self._folder / name, rng)
        else:
            mutation = self._mutations.get(Path(name).suffix, mutated_bytes)
            (self._folder / name).write_bytes(mutation(self._whole[name], rng))
        if self._mend is not None:
            self._mend(self._folder, rng)
        return lambda: self._read(self._folder)

    def _restore(self) -> None:
        for name in self._dirty or ():
            (self._folder / name).write_bytes(self._whole[name])
        if self._dirty is None:
            self._restore_all()

    def _restore_all(self) -> None:
        for path in sorted(self._folder.rglob("*"), reverse=True):
            name = str(path.relative_to(self._folder))
            if path.is_symlink() or (path.is_file() and name not in self._whole):
                path.unlink()
            elif path.is_dir() and not self._is_ours(name):
                shutil.rmtree(path)
        for name, data in self._whole.items():
            path = self._folder / name
            if not path.is_file() or path.read_bytes() != data:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

    def _is_ours(self, name: str) -> bool:
        return any(known.startswith(f"{name}/") for known in self._whole)


def _missing(path: Path, rng: random.Random) -> None:
    path.unlink()


def _empty(path: Path, rng: random.Random) -> None:
    path.write_bytes(b"")


def _folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _link_outside(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to(rng.choice(("/etc/hostname", "/dev/null", "..", "nowhere", "/")))


def _link_to_itself(path: Path, rng: random.Random) -> None:
    path.unlink()
    path.symlink_to(path.name)


def _renamed(path: Path, rng: random.Random) -> None:
    word = rng.choice(WORDS).replace("/", "_").replace("\0", "_") or "_"
    name = (word.encode("utf-8", "surrogatepass") + os.fsencode(path.suffix))[:200]
    if name not in (b".", b".."):
        os.rename(path, os.path.join(os.fsencode(path.parent), name))


def _noise(path: Path, rng: random.Random) -> None:
    path.write_bytes(rng.randbytes(rng.choice((1, 100, 5000))))


_STRANGE_FILES = (
    _missing,
    _empty,
    _folder,
    _link_outside,
    _link_to_itself,
    _renamed,
    _noise,
)
