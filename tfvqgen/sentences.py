"""Errors of the system and of absl in the project's form.

*What is wrong: expected what. Received: what.*
"""

import errno
import os
import re
from collections.abc import Sequence

from absl import flags

_WRITABLE = "a place that this user may read and write"
_ROOM = "room for what is to be written"
# errno -> what is wrong, what was expected
_OS_ERRORS = {
    errno.EACCES: ("permission denied", _WRITABLE),
    errno.EPERM: ("permission denied", _WRITABLE),
    errno.EROFS: ("the file system is read-only", _WRITABLE),
    errno.ENOSPC: ("no space left on the device", _ROOM),
    errno.EDQUOT: ("the disk quota is used up", _ROOM),
    errno.EFBIG: ("the file is too large", _ROOM),
    errno.ENOENT: ("no such file or folder", "one that exists"),
    errno.EEXIST: ("the name is taken", "a folder, or a name that is free"),
    errno.ENOTDIR: ("part of the path is not a folder", "a folder"),
    errno.EISDIR: ("a folder has this name", "a file, or a name that is free"),
    errno.EMFILE: ("too many open files", "a higher limit (ulimit -n)"),
    errno.ENAMETOOLONG: ("the name is too long", "a shorter one"),
}


def os_sentence(error: OSError) -> str:
    """Says what the operating system refused, and for which file."""
    default = (error.strerror or "input or output failed", "to read and write files")
    what, expected = _OS_ERRORS.get(error.errno, default)
    code = errno.errorcode.get(error.errno, error.errno)
    received = code if error.filename is None else os.fsdecode(error.filename)
    return f"{what}: expected {expected}. Received: {received}"


def absl_sentence(error: flags.Error, argv: Sequence[str]) -> str:
    """Says in the project's form what absl found wrong with the flags."""
    text = str(error)
    see = f"(see {os.path.basename(argv[0])} --help)"
    if isinstance(error, flags.UnrecognizedFlagError):
        _, _, hint = text.partition(". ")
        near = f"; {hint[0].lower()}{hint[1:].rstrip('?. ')}?" if hint else ""
        return (
            f"unknown flag: expected only known ones{near} {see}. "
            f"Received: --{error.flagname}"
        )
    if missing := re.findall(r"Flag --(\w+) must have a value other than None", text):
        names = ", ".join(f"--{name}" for name in dict.fromkeys(missing))
        words = " ".join(argv[1:]) or "nothing"
        return f"flags are missing: expected {names} {see}. Received: {words}"
    if found := re.match(r"Missing value for flag (\S+)", text):
        return f"{found[1]} has no value: expected {found[1]}=value. Received: none"
    if found := re.match(r"flag (--\w+)=(.*?): (.*)", text, re.DOTALL):
        flag, value, cause = found.groups()
        return (
            f"wrong value of {flag}: expected one that it takes {see}: {cause}. "
            f"Received: {value}"
        )
    return f"wrong flags: expected others {see}: {text}. Received: {' '.join(argv[1:])}"
