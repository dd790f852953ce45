"""The layouts: the ways in which people store images of cells.

Each layout is an instance of ``Layout``; ``read_fields`` finds the layout of a folder
and reads its tables and headers.
"""

import os
from collections.abc import Sequence

from data_prep.fields import FieldFolder, FolderFiles
from data_prep.layouts.atlas_tables import IF_IMAGE, SUBCELL
from data_prep.layouts.hpa import HPA
from data_prep.layouts.kaggle import KAGGLE2018, KAGGLE2021
from data_prep.layouts.own_images import FOLDER, MANIFEST
from tfvqgen.errors import UserError

LAYOUTS = {
    "kaggle2018": KAGGLE2018,
    "kaggle2021": KAGGLE2021,
    "hpa": HPA,
    "if_image": IF_IMAGE,
    "subcell": SUBCELL,
    "folder": FOLDER,
    "manifest": MANIFEST,
}


def read_fields(
    path: str | os.PathLike,
    layout: str | None = None,
    channels: Sequence[str] | None = None,
) -> FieldFolder:
    """Finds the fields of a folder; opens only tables and headers of images.

    Args:
        path: Folder with images.
        layout: Name of the layout; None: found by the names of the files.
        channels: Channels to read, in order; None: all of the layout. A field without
            one of them is an error.

    Raises:
        UserError: The layout is unknown or cannot be found.
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
    found = [name for name, layout in LAYOUTS.items() if layout.matches(files)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(
            f"the layout is ambiguous: expected --layout to say which of "
            f"{', '.join(found)} it is. Received: {files.folder}"
        )
    known = "; ".join(f"{name}: {x.looked_for}" for name, x in LAYOUTS.items())
    raise UserError(
        f"the layout is unknown: expected one of these, or --layout. {known}. "
        f"Received: {files.folder}"
    )
