"""How people keep images of cells: one module a layout.

A layout is a module with ``LOOKED_FOR`` (what tells it from others, for messages),
``matches(files)`` and ``read(files, channels)``, which returns a ``FieldFolder``.
"""

import os
from collections.abc import Sequence

from data_prep.fields import FieldFolder, FolderFiles
from data_prep.layouts import (
    folder,
    hpa,
    if_image,
    kaggle2018,
    kaggle2021,
    manifest,
    subcell,
)
from tfvqgen.errors import UserError

LAYOUTS = {
    "kaggle2018": kaggle2018,
    "kaggle2021": kaggle2021,
    "hpa": hpa,
    "if_image": if_image,
    "subcell": subcell,
    "folder": folder,
    "manifest": manifest,
}


def read_fields(
    path: str | os.PathLike,
    layout: str | None = None,
    channels: Sequence[str] | None = None,
) -> FieldFolder:
    """Finds the fields of a folder; opens tables and headers only.

    Args:
        path: A folder with images as somebody keeps them.
        layout: The layout's name; None: found by looking.
        channels: The channels to keep, in that order; None: all of the layout, and a
            field without one of them is an error.

    Raises:
        UserError: The layout is unknown, or not found by looking.
        DataError: Something is missing or wrong; names the field, or file and line.
    """
    if layout is not None and layout not in LAYOUTS:
        raise UserError(
            f"unknown layout: expected one of {', '.join(LAYOUTS)}. "
            f"Received: layout={layout!r}"
        )
    files = FolderFiles(path)
    found = LAYOUTS[layout or _found_layout(files)].read(files, channels)
    if not found.fields:
        raise UserError(
            f"no fields there: expected some in the layout {found.layout}. "
            f"Received: {path}"
        )
    return found


def _found_layout(files: FolderFiles) -> str:
    found = [name for name, module in LAYOUTS.items() if module.matches(files)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(
            f"the layout is ambiguous: expected --layout to say which of "
            f"{', '.join(found)} it is. Received: {files.folder}"
        )
    known = "; ".join(f"{name}: {m.LOOKED_FOR}" for name, m in LAYOUTS.items())
    raise UserError(
        f"the layout is unknown: expected one of these, or --layout. {known}. "
        f"Received: {files.folder}"
    )
