"""The files of a folder by name, looked up once; links that leave it are refused."""

import os
from collections.abc import Iterator
from pathlib import Path

from tfvqgen.errors import DataError, UserError


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
