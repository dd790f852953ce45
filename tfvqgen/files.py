"""Atomic writes, folder locks, checksums, and JSON and CSV files."""

import contextlib
import csv
import fcntl
import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from tfvqgen.errors import DataError, UserError

LOCK = ".lock"
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}")
_SEAL = "sealed_by"


@contextlib.contextmanager
def whole_file(path: str | os.PathLike, mode: str = "wb", **kwargs) -> Iterator[IO]:
    """Opens a temporary file and renames it to `path` when it is complete.

    The bytes are on disk before the rename. After an exception, a full disk or a crash
    in the body, `path` is unchanged and the temporary file is removed. Only a SIGKILL
    may leave a hidden file ``.<name>.*``, which is never read. `mode` is ``"wb"``, or
    ``"w"`` for UTF-8 with newlines as written; `kwargs` are arguments of ``open``.
    """
    path = Path(path)
    if "b" not in mode:
        kwargs = {"encoding": "utf-8", "newline": "", **kwargs}
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}"
    with blamed_on(path, temporary):
        try:
            with open(temporary, mode.replace("w", "x"), **kwargs) as file:
                # Only the owner can read the file until it is complete.
                final_mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                os.fchmod(file.fileno(), 0o600)
                yield file
                file.flush()
                os.fsync(file.fileno())
                os.fchmod(file.fileno(), final_mode)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
        sync_folder(path.parent)


def remove_temporary_files(folder: str | os.PathLike) -> None:
    """Removes the temporary files of :func:`whole_file` that killed processes left."""
    for path in Path(folder).glob(".*"):
        if _TEMPORARY.fullmatch(path.name) and not path.is_dir():
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def blamed_on(
    path: str | os.PathLike, temporary: str | os.PathLike | None = None
) -> Iterator[None]:
    """Names `path` in OSErrors without a name or whose name starts with `temporary`."""
    try:
        yield
    except OSError as error:
        name = error.filename
        hidden = temporary is not None and str(name).startswith(os.fspath(temporary))
        if error.errno is not None and (name is None or hidden):
            error.filename = os.fspath(path)
            error.filename2 = None
        raise


@contextlib.contextmanager
def exclusive(folder: str | os.PathLike, what: str, lock: str = LOCK) -> Iterator[None]:
    """Locks a folder, so that only one run writes to it; creates it if needed.

    The lock ends with the process. At the end the lock file is removed, and also the
    folder if it was created here and is empty. File systems without locks have no
    protection. `what` names the folder in messages, e.g. ``the workdir``.

    Raises:
        UserError: Another run holds the lock.
    """
    folder = Path(folder)
    created = not folder.exists()
    path = folder / lock
    with blamed_on(folder, temporary=path):
        folder.mkdir(parents=True, exist_ok=True)
        handle = _locked(path)
    if handle is None:
        raise UserError(
            f"{what} is in use by another run: expected one run at a time. "
            f"Received: {folder}"
        )
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)
        if created:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _locked(path: Path) -> int | None:
    """Returns the handle of a lock file, or None if another run holds the lock."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError:
            return handle
        # The previous owner may have removed the file between the two calls. A lock on
        # a removed file has no effect.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path), os.fstat(handle)):
                return handle
        os.close(handle)


def require_plain_path(path: str | os.PathLike) -> None:
    """Raises a UserError for paths that TensorFlow would read as a pattern."""
    if re.search(r"\\|\[.+\]", os.fspath(path)):
        raise UserError(
            "TensorFlow cannot read from such a path: expected one without \\ and "
            f"without [...]. Received: {path}"
        )


def sync_folder(folder: str | os.PathLike) -> None:
    """Writes renames within a folder to disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes a value as indented JSON; raises a ValueError for NaN."""
    text = json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False)
    with whole_file(path, "w") as file:
        file.write(text + "\n")


def read_json(path: str | os.PathLike) -> Any:
    """Reads a JSON file.

    Raises:
        DataError: It is missing or not JSON; the message names the file and the line.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
        return json.loads(text, parse_constant=_refuse_constant)
    except FileNotFoundError:
        message = f"no such file: expected a JSON file. Received: {path}"
        raise DataError(message) from None
    except (ValueError, RecursionError) as error:
        message = f"damaged file: expected JSON. Received: {path} ({error})"
        raise DataError(message) from error


def write_table(path: str | os.PathLike, header: Iterable, rows: Iterable) -> None:
    """Writes a CSV file from the names of its columns and the cells of its rows."""
    with whole_file(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_sealed_json(path: str | os.PathLike, value: Mapping[str, Any]) -> None:
    """Writes a JSON object that only programs change, with a hash of itself."""
    write_json(path, {**value, _SEAL: _seal(value)})


def read_sealed_json(path: str | os.PathLike) -> Any:
    """Reads a file of :func:`write_sealed_json`, without the hash.

    Raises:
        DataError: The file is missing or not JSON, or does not match its hash. Files of
            earlier versions have none.
    """
    value = read_json(path)
    if not isinstance(value, dict) or _SEAL not in value:
        return value
    seal = value.pop(_SEAL)
    if seal != (found := _seal(value)):
        raise DataError(
            f"damaged file: expected the hash {str(seal)[:12]}, which is in the file. "
            f"Received: {path} with the hash {found[:12]}"
        )
    return value


def sha256_of_file(path: str | os.PathLike) -> str:
    """Returns the hex sha256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _seal(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
