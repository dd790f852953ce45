"""The JSON file beside a table that says what the table can't."""

import dataclasses

from data_prep.fields import FolderFiles
from tfvqgen.errors import DataError
from tfvqgen.files import read_json


@dataclasses.dataclass(frozen=True)
class SourceInfo:
    """What holds for all fields of a folder.

    Attributes:
        credit: Licence and source line.
        pixel_size: Micrometres a pixel, None if not said.
        labels_ordered: Whether a field's first label is its main one.
        synthetic: Whether the images were drawn by a program.
    """

    credit: str
    pixel_size: float | None = None
    labels_ordered: bool = False
    synthetic: bool = False


def read_about(files: FolderFiles, name: str, credit: str) -> SourceInfo:
    """Reads an object with any of ``SourceInfo``'s attributes; others are ignored.

    Args:
        files: The folder.
        name: The file's name; it need not be there.
        credit: What stands for a credit that it does not say.

    Raises:
        DataError: It says something that can't be.
    """
    path = files.find(name)
    if path is None:
        return SourceInfo(credit)
    stated = read_json(path)
    if not isinstance(stated, dict):
        raise DataError(f"wrong {name}: expected an object. Received: {path}")
    kinds = {
        "credit": ("a text", lambda value: isinstance(value, str)),
        "pixel_size": ("a number of micrometres, above 0 and below 1000", is_size),
        "labels_ordered": ("true or false", lambda value: isinstance(value, bool)),
        "synthetic": ("true or false", lambda value: isinstance(value, bool)),
    }
    for key, (expected, fits) in kinds.items():
        if key in stated and not fits(stated[key]):
            raise DataError(
                f"wrong {name}: expected {key} to be {expected}. "
                f"Received: {stated[key]!r} in {path}"
            )
    return SourceInfo(
        **{"credit": credit, **{k: stated[k] for k in kinds if k in stated}}
    )


def is_size(value: object) -> bool:
    """Whether a value can be the size of a pixel in micrometres."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 < value < 1000
