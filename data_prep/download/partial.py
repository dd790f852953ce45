"""The part of an image that has come so far."""

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tfvqgen.files import blamed_on, sha256_of_file, sync_folder


@dataclasses.dataclass(frozen=True)
class Entity:
    """One state of what an address stands for.

    Attributes:
        url: The address in the index.
        etag: What the server calls it, "" if nothing.
        modified: Its date as the server writes it, "" if unknown.
        size: Bytes, None if the server did not say.
    """

    url: str
    etag: str = ""
    modified: str = ""
    size: int | None = None

    def check(self) -> None:
        """Raises if what was read back is not what can be sent in a header."""
        texts = (self.url, self.etag, self.modified)
        if {*map(type, texts)} != {str} or type(self.size) not in (int, type(None)):
            raise TypeError("expected texts and a whole number")
        if not "".join(texts).isprintable():
            raise ValueError("expected texts of one line")

    @property
    def validator(self) -> str:
        """What a server can tell this state by, byte for byte, "" if by nothing."""
        weak = self.etag.startswith("W/")
        return self.etag if self.etag and not weak else self.modified


class Partial:
    """A file of bytes and one that says what they are the beginning of.

    Both have names of their own in a folder that no reader of images looks into.

    Args:
        folder: That folder; it exists.
        path: The image's path, from which the names are made.
    """

    def __init__(self, folder: Path, path: str):
        name = hashlib.sha256(path.encode()).hexdigest()[:32]
        self.path = folder / f"{name}.part"
        self._about = folder / f"{name}.json"

    def size(self) -> int:
        """Returns how many bytes have come."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def entity(self, url: str) -> Entity | None:
        """Returns what the bytes are of, None if that is not known to be `url`."""
        try:
            entity = Entity(**json.loads(self._about.read_text(encoding="utf-8")))
            entity.check()
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        return entity if entity.url == url and self.size() else None

    @contextlib.contextmanager
    def growing(self, entity: Entity, start: int) -> Iterator[BinaryIO]:
        """Opens the file to go on at `start`, 0 to begin anew."""
        if start == 0:
            self.discard()
            with blamed_on(self._about):
                about = json.dumps(dataclasses.asdict(entity))
                self._about.write_text(about, encoding="utf-8")
        with blamed_on(self.path), open(self.path, "ab") as file:
            yield file

    def sha256(self) -> str:
        """Returns the sum of the bytes."""
        return sha256_of_file(self.path)

    def become(self, target: Path) -> os.stat_result:
        """Gives the bytes their final name."""
        with blamed_on(target, temporary=self.path):
            with open(self.path, "rb") as file:
                os.fsync(file.fileno())
            os.replace(self.path, target)
            sync_folder(target.parent)
            self._about.unlink(missing_ok=True)
            return target.stat()

    def discard(self) -> None:
        """Forgets the bytes."""
        self.path.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)
