"""Files that appear under their final names only whole; folders with one writer."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from tfvqgen.errors import DataError, UserError

LOCK = ".lock"
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}")
_SEAL = "sealed_by"


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
    prefix = f".{path.name}."
    with blamed_on(path, temporary=path.parent / prefix):
        temporary = path.parent / f"{prefix}{secrets.token_hex(8)}"
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        # What the umask leaves, which can't be asked for without setting it, for all
        # threads; until the file is whole it is its owner's alone.
        final_mode = stat.S_IMODE(os.fstat(handle).st_mode)
        os.fchmod(handle, 0o600)
        try:
            with open(handle, mode, **kwargs) as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, final_mode)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
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
    """Lets an OSError of the body name `path`.

    Those without a name (a full disk) and those about names that start with
    `temporary` do; others keep the name they have.
    """
    try:
        yield
    except OSError as error:
        name = error.filename
        ours = temporary is not None and str(name).startswith(os.fspath(temporary))
        if error.errno is not None and (name is None or ours):
            error.filename = os.fspath(path)
            error.filename2 = None
        raise


@contextlib.contextmanager
def exclusive(folder: str | os.PathLike, what: str, lock: str = LOCK) -> Iterator[None]:
    """Makes sure that only one run writes to a folder, which is made if need be.

    The lock is the operating system's and goes with the process, however it ends; its
    file is removed at the end, and so is the folder if it was made here and is empty.
    On file systems without locks there is none.

    Args:
        folder: Where to write.
        what: What the folder is, for the message, e.g. ``the workdir``.
        lock: The lock file's name in the folder.

    Raises:
        UserError: Another run has it.
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
    """Returns the handle of a lock file, None if another run has locked it."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError:
            return handle
        # Its owner may have removed the file between the two calls; a lock on a file
        # that others can't find keeps nobody out.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path), os.fstat(handle)):
                return handle
        os.close(handle)


def require_plain_path(path: str | os.PathLike) -> None:
    """Refuses a path that TensorFlow writes to, but takes for a pattern when it reads.

    Raises:
        UserError: It has a backslash, or a bracket that is closed again.
    """
    if re.search(r"\\|\[.+\]", os.fspath(path)):
        raise UserError(
            "TensorFlow cannot read from such a path: expected one without \\ and "
            f"without [...]. Received: {path}"
        )


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


def write_sealed_json(path: str | os.PathLike, value: Mapping[str, Any]) -> None:
    """Writes a JSON object that only programs change, with a hash of itself in it."""
    write_json(path, {**value, _SEAL: _seal(value)})


def read_sealed_json(path: str | os.PathLike) -> Any:
    """Reads what :func:`write_sealed_json` wrote, without the hash.

    A file without one, as earlier versions wrote it, is taken as it is.

    Raises:
        DataError: It is missing or not JSON, or its hash is of something else.
    """
    value = read_json(path)
    if not isinstance(value, dict) or _SEAL not in value:
        return value
    seal = value.pop(_SEAL)
    if seal != (found := _seal(value)):
        raise DataError(
            "damaged file: expected it as it was written, with the hash in it, "
            f"{str(seal)[:12]}. Received: {path} of {found[:12]}"
        )
    return value


def sha256_of_file(path: str | os.PathLike) -> str:
    """Returns the hex sha256 of a file, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _seal(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
