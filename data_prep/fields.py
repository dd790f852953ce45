"""A field of view: where its channels are, and what is known about it.

Every layout of images on disk becomes these, so that what comes after (segmentation,
cropping, shards) knows one form.
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
    """Where one channel of a field is.

    Attributes:
        path: The file: PNG, TIFF or JPEG, or one of them with ``.gz``.
        index: Which channel of the file, from 0 (R, G, B, A = 0, 1, 2, 3); None: the
            file is grey.
    """

    path: Path
    index: int | None = None


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of view, or one ready-made crop.

    Attributes:
        field_id: Unique in its folder, and safe as a part of a file name.
        planes: Channel name -> where it is, in the channels' order.
        labels: Names of localizations as the source spells them; none: unknown.
        group: Its antibody, gene or well; the field where nothing better is known.
        metadata: ``codec``, ``gene``, ``antibody``, ``cell_line``, ...: columns of
            ``crops.csv``.
        pixel_size: Micrometres a pixel, None if unknown.
    """

    field_id: str
    planes: Mapping[str, Plane]
    labels: tuple[str, ...]
    group: str
    metadata: Mapping[str, str]
    pixel_size: float | None


@dataclasses.dataclass(frozen=True)
class FieldFolder:
    """A folder of fields as read from disk; no image has been opened for it.

    Attributes:
        layout: The layout's name.
        folder: Where it is.
        channels: The channels' names in order, the same in every field.
        fields: In the order of their ids.
        labels_ordered: Whether a field's first label is its main one.
        credit: Licence and source line.
    """

    layout: str
    folder: Path
    channels: tuple[str, ...]
    fields: tuple[Field, ...]
    labels_ordered: bool
    credit: str


def refuse_output_inside(folder: str | os.PathLike, output: str | os.PathLike) -> None:
    """Refuses to write where images are read: the next run would read them as well.

    Raises:
        UserError: The output is the folder or lies in it.
    """
    inner, outer = (Path(os.path.realpath(path)) for path in (output, folder))
    if inner.is_relative_to(outer):
        raise UserError(
            "the output lies in the folder that is read: expected a folder outside "
            f"{folder}. Received: output={output}"
        )


class FolderFiles:
    """What is in a folder, hidden files left out.

    Attributes:
        folder: The folder.
        names: The files' names relative to it with forward slashes, sorted.
    """

    def __init__(self, folder: str | os.PathLike):
        """Lists the folder.

        Raises:
            UserError: It is not a folder.
        """
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise UserError(
                f"no such folder: expected one with images. Received: {folder}"
            )
        self._root = self.folder.resolve()
        # Links: name -> whether it is a file inside the folder.
        self._links: dict[str, bool] = {}
        self.names = tuple(sorted(self._list("")))
        self._present = frozenset(self.names)

    def find(self, name: str) -> Path | None:
        """Returns where a file is, None if there is none.

        Raises:
            DataError: It is a link that leaves the folder, or lies beyond one.
        """
        if name in self._present and self._links.get(name, True):
            return self.folder / name
        if self._links:
            self._refuse_links(name)
        return None

    def require(self, name: str) -> Path:
        """Returns where a file is.

        Raises:
            DataError: There is none, or as :meth:`find`.
        """
        path = self.find(name)
        if path is None:
            raise DataError(
                f"a file is missing: expected {name}. Received: {self.folder}"
            )
        return path

    def _refuse_links(self, name: str) -> None:
        parts = name.split("/")
        for length in range(1, len(parts) + 1):
            start = "/".join(parts[:length])
            if not self._links.get(start, True):
                raise DataError(
                    "a link leaves the folder: expected files and folders in it, not "
                    "links to folders or to files elsewhere. "
                    f"Received: {self.folder / start}"
                )

    def _list(self, below: str) -> Iterator[str]:
        with os.scandir(self.folder / below) as entries:
            found = [entry for entry in entries if not entry.name.startswith(".")]
        for entry in found:
            name = f"{below}{entry.name}"
            if entry.is_symlink():
                # Unlike Path.resolve it takes links to themselves.
                target = Path(os.path.realpath(entry.path))
                inside = target.is_file() and target.is_relative_to(self._root)
                self._links[name] = inside
                if not target.is_dir():
                    yield name
            elif entry.is_dir():
                yield from self._list(f"{name}/")
            else:
                yield name
