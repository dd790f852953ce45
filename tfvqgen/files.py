"""Files that appear under their final names only whole."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tfvqgen.errors import DataError


@contextlib.contextmanager
def whole_file(path: str | os.PathLike, mode: str = "wb", **kwargs) -> Iterator[IO]:
    """Opens a temporary neighbour of `path` and renames it once it is complete.

    The bytes are on disk before the rename, so a crash, a full disk or an exception in
    the body leaves `path` as it was and no temporary file behind (a SIGKILL may leave a
    hidden ``.<name>.*`` file, which nothing reads).

    Args:
        path: The final name.
        mode: ``"wb"`` or ``"w"`` (UTF-8, newlines as written).
        **kwargs: Passed on to ``open``.

    Yields:
        The open temporary file.
    """
    path = Path(path)
    if "b" not in mode:
        kwargs = {"encoding": "utf-8", "newline": "", **kwargs}
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, mode, **kwargs) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


def sync_folder(folder: str | os.PathLike) -> None:
    """Makes renames within `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes `value` as indented JSON, whole or not at all; NaN is refused."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)
    with whole_file(path, "w") as file:
        file.write(text + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Reads a JSON file.

    Raises:
        DataError: It is missing or not JSON; the message names the file and the line.
    """
    try:
        return json.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        raise DataError(
            f"no such file: expected a JSON file. Received: {path}"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"damaged file: expected JSON. Received: {path} ({error})"
        ) from error


def sha256_of_file(path: str | os.PathLike) -> str:
    """Returns the hex sha256 of a file, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
