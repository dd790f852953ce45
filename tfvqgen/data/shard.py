"""What ``dataset.json`` says about one shard; needs no TensorFlow to be read."""

import dataclasses
from pathlib import PurePath


def is_bare_name(path: object) -> bool:
    """Whether a file of this name is in the folder itself, wherever that is."""
    return (
        isinstance(path, str)
        and path not in ("", ".", "..")
        and PurePath(path).name == path
        and "\\" not in path
        and path.isprintable()
    )


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of records, as ``dataset.json`` describes it.

    Attributes:
        path: Relative to the folder of ``dataset.json``.
        bytes: The file's size.
        num_examples: The number of records in it.
        sha256: Of the file, in hexadecimal.
    """

    path: str
    bytes: int
    num_examples: int
    sha256: str
