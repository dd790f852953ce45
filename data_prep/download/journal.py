"""What has been fetched: a line of JSON for each image, added when it is in place."""

import contextlib
import dataclasses
import json
import os
from pathlib import Path

from tfvqgen.files import whole_file


@dataclasses.dataclass(frozen=True)
class Fetched:
    """An image that was in place and whole.

    Attributes:
        path: Below the output folder.
        url: The address in the index.
        sha256: Of its bytes, hex.
        bytes: How many.
        modified: Its modification time in nanoseconds.
        etag: What the server called this state of it, "" if nothing.
    """

    path: str
    url: str
    sha256: str
    bytes: int
    modified: int
    etag: str = ""

    def check(self) -> None:
        """Raises TypeError if what was read back is of another type."""
        texts = (self.path, self.url, self.sha256, self.etag)
        numbers = (self.bytes, self.modified)
        if {*map(type, texts)} != {str} or {*map(type, numbers)} != {int}:
            raise TypeError("expected texts and whole numbers")

    def is_as_it_was(self, status: os.stat_result) -> bool:
        """Returns whether nobody has written to the file since."""
        return (status.st_size, status.st_mtime_ns) == (self.bytes, self.modified)


class Journal:
    """The images of a folder, kept in a file that only grows while a run goes on.

    A kill leaves at most half a line at the end, which reading drops, so that its
    image is fetched once more.

    Args:
        path: The file; it need not exist.
    """

    def __init__(self, path: Path):
        self._path = path
        self._fetched: dict[str, Fetched] = {}
        text = _text(path)
        lines = text.splitlines()
        for line in lines:
            with contextlib.suppress(ValueError, TypeError, RecursionError):
                fetched = Fetched(**json.loads(line))
                fetched.check()
                self._fetched[fetched.path] = fetched
        if len(lines) != len(self._fetched) or not text.endswith("\n"):
            self._write_anew()
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115

    def find(self, path: str) -> Fetched | None:
        """Returns what is known of an image."""
        return self._fetched.get(path)

    def add(self, fetched: Fetched) -> None:
        """Notes an image that is in place."""
        self._fetched[fetched.path] = fetched
        self._file.write(_line(fetched))
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _write_anew(self) -> None:
        with whole_file(self._path, "w") as file:
            file.writelines(map(_line, self._fetched.values()))


def _line(fetched: Fetched) -> str:
    return json.dumps(dataclasses.asdict(fetched)) + "\n"


def _text(path: Path) -> str:
    if not path.exists():
        return ""
    return path.read_text(encoding="utf-8", errors="replace")
