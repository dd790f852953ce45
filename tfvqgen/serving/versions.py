"""Where exports are: folders of versions, each named by its number."""

import os
from pathlib import Path

from tfvqgen.errors import DataError, UserError
from tfvqgen.files import require_plain_path

ABOUT = "assets/about.json"
GRAPH = "saved_model.pb"


def version_folder(path: str | os.PathLike) -> Path:
    """Returns a version's folder: the path itself, or its newest version.

    Raises:
        UserError: There is no export, or none that TensorFlow could read.
    """
    require_plain_path(path)
    path = Path(path)
    if (path / GRAPH).is_file():
        return _ours(path)
    if numbers := versions(path):
        return _ours(path / str(numbers[-1]))
    raise UserError(
        f"no export: expected a folder that export.py made, with {GRAPH}, or one of "
        f"versions. Received: {path}"
    )


def versions(folder: str | os.PathLike) -> list[int]:
    """Returns the numbers of the versions in a folder, in order."""
    path = Path(folder)
    return [x for x in version_names(path) if (path / str(x) / GRAPH).is_file()]


def version_names(folder: str | os.PathLike) -> list[int]:
    """Returns what in a folder has a version's name, in order."""
    path = Path(folder)
    names = [x.name for x in path.iterdir()] if path.is_dir() else []
    return sorted(int(x) for x in names if x.isascii() and x.isdigit())


def is_export(path: str | os.PathLike) -> bool:
    """Whether a path has a SavedModel, or versions of one."""
    return (Path(path) / GRAPH).is_file() or bool(versions(path))


def _ours(path: Path) -> Path:
    if not (path / ABOUT).is_file():
        raise DataError(
            f"a SavedModel of something else: expected one with {ABOUT}, as export.py "
            f"writes it. Received: {path}"
        )
    return path
