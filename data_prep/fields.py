"""Fields of view: the files of their channels, and their metadata.

Every layout is read into these classes, so that segmentation, cropping and shards know
one form.
"""

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from tfvqgen.errors import DataError, UserError

# Safe as a part of a file name, and not hidden.
FIELD_ID = re.compile(r"[\w-][\w.-]{0,119}")


@dataclasses.dataclass(frozen=True)
class Plane:
    """The file of one channel of a field: PNG, TIFF or JPEG, also with ``.gz``."""

    path: Path
    index: int | None = None  # Channel of the file from 0 (R, G, B, A); None if grey.


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of view, or one ready-made crop."""

    field_id: str  # Unique in its folder, and safe as a part of a file name.
    planes: Mapping[str, Plane]  # Channel name -> file, in the order of the channels.
    labels: tuple[str, ...]  # Localizations as the source spells them; empty: unknown.
    group: str  # Antibody, gene or well; the field's id if none of them is known.
    # ``codec``, ``gene``, ``antibody``, ``cell_line``, ...: columns of ``crops.csv``.
    metadata: Mapping[str, str]
    pixel_size: float | None  # Micrometers per pixel; None if unknown.


@dataclasses.dataclass(frozen=True)
class FieldFolder:
    """A folder of fields."""

    layout: str
    folder: Path
    channels: tuple[str, ...]  # Names in order, the same in every field.
    fields: tuple[Field, ...]  # In the order of their ids.
    labels_ordered: bool  # Whether a field's first label is its main one.
    credit: str  # Licence and source.


def refuse_output_inside(folder: str | os.PathLike, output: str | os.PathLike) -> None:
    """Raises UserError if the next run would read images from the output folder."""
    inner, outer = (Path(os.path.realpath(path)) for path in (output, folder))
    if inner.is_relative_to(outer):
        raise UserError(
            "the output lies in the folder that is read: expected a folder outside "
            f"{folder}. Received: output={output}"
        )


class FolderFiles:
    """The files of a folder and its subfolders, without hidden ones.

    `names` are relative to the folder, with forward slashes, sorted.

    Raises:
        UserError: It is not a folder.
        DataError: A link leads out of it, to a folder or to nothing.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise UserError(
                f"no such folder: expected one with images. Received: {folder}"
            )
        self._root = self.folder.resolve()
        self.names = tuple(sorted(self._list("")))
        self._present = frozenset(self.names)

    def find(self, name: str) -> Path | None:
        """Returns the path of a file, None if it does not exist."""
        return self.folder / name if name in self._present else None

    def find_image(self, name: str) -> Path | None:
        """Returns the path of an image, whose ending may be in capitals or ``.gz``."""
        stem, ending = os.path.splitext(name)
        names = (name, stem + ending.upper(), f"{name}.gz")
        return next(filter(None, map(self.find, names)), None)

    def require(self, name: str) -> Path:
        """Returns the path of a file; raises DataError if it does not exist."""
        if path := self.find(name):
            return path
        raise DataError(f"a file is missing: expected {name}. Received: {self.folder}")

    def _list(self, below: str) -> Iterator[str]:
        with os.scandir(self.folder / below) as entries:
            found = [entry for entry in entries if not entry.name.startswith(".")]
        for entry in found:
            if entry.is_symlink():
                # Unlike Path.resolve, it accepts links to themselves.
                target = Path(os.path.realpath(entry.path))
                if not target.is_file() or not target.is_relative_to(self._root):
                    raise DataError(
                        "a link leaves the folder: expected files and folders in it, "
                        "not links to folders or to files elsewhere. "
                        f"Received: {entry.path}"
                    )
            if entry.is_dir():
                yield from self._list(f"{below}{entry.name}/")
            else:
                yield f"{below}{entry.name}"
