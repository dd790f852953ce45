"""The channels of the Human Protein Atlas, which several layouts name by colour."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from data_prep.fields import Field, FieldFolder, FolderFiles, Plane
from data_prep.images.field_images import codec_of_name, image_form
from data_prep.tables import Row
from tfvqgen.errors import DataError, UserError

# Microtubules, the protein of interest, nucleus, endoplasmic reticulum.
COLOURS = ("red", "green", "blue", "yellow")
SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
ENDING = r"\.(?:png|jpe?g|tiff?)(?:\.gz)?"
HPA_CREDIT = (
    "Human Protein Atlas, proteinatlas.org (Thul et al., Science 2017). Licence as "
    "stated there: CC BY-SA, see proteinatlas.org; not verified for these files."
)
# Micrometres a pixel of the fields as the microscope took them.
FULL_SIZE_PIXEL = 0.08
# Where a colour is in a picture that shows it as such; yellow is red and green.
RGB_INDEX = {"red": 0, "green": 1, "blue": 2, "yellow": 0}


def chosen(names: Sequence[str], channels: Sequence[str] | None) -> tuple[str, ...]:
    """Returns the channels to read, in order.

    Args:
        names: All that the layout has.
        channels: Those that the user wants; None: all.

    Raises:
        UserError: One is not of the layout, or is there twice.
    """
    if channels is None:
        return tuple(names)
    unknown = [name for name in channels if name not in names]
    if unknown or not channels or len(set(channels)) < len(channels):
        raise UserError(
            f"wrong channels: expected some of {', '.join(names)}, each once. "
            f"Received: channels={','.join(channels)}"
        )
    return tuple(channels)


def all_planes(
    found: Mapping[str, Plane], channels: Sequence[str], field_id: str, where: str
) -> dict[str, Plane]:
    """Returns the planes of the channels in their order.

    Raises:
        DataError: One is missing; names the field.
    """
    missing = [name for name in channels if name not in found]
    if missing:
        having = [name for name in channels if name in found]
        leave = f", or --channels {','.join(having)}" if having else ""
        raise DataError(
            f"a channel is missing: expected {', '.join(channels)}{leave}. "
            f"Received: no {', '.join(missing)} of field {field_id!r} in {where}"
        )
    return {name: found[name] for name in channels}


def find_in(
    files: FolderFiles,
    folders: Sequence[str],
    stem: str,
    suffixes: Sequence[str] = SUFFIXES,
) -> dict[str, Plane]:
    """Finds ``<folder>/<stem>_<colour><suffix>``, or ``.gz`` of it: colour -> plane.

    The first folder and suffix that has a colour counts; an empty folder is the root.
    """
    found: dict[str, Plane] = {}
    for folder in folders:
        start = f"{folder}/{stem}" if folder else stem
        for colour in COLOURS:
            names = (f"{start}_{colour}{suffix}" for suffix in suffixes)
            for name in names:
                path = files.find(name) or files.find(f"{name}.gz")
                if path is not None and colour not in found:
                    found[colour] = one_colour(path, colour)
    return found


def one_colour(path: Path, colour: str) -> Plane:
    """Returns the plane of a file that holds one colour.

    A JPEG may be an RGB picture that shows the colour as such; other files are grey.
    """
    if codec_of_name(path.name) != "jpeg":
        return Plane(path)
    try:
        channels = image_form(path).channels
    except DataError:
        return Plane(path)  # Whoever reads the field will say what is wrong with it.
    return Plane(path, RGB_INDEX[colour] if channels == 3 else None)


def codec_of(planes: Mapping[str, Plane]) -> str:
    """Returns a field's encoding by its files' names: ``png``, ``jpeg+png``, ..."""
    codecs = {codec_of_name(plane.path.name) for plane in planes.values()}
    return "+".join(sorted(codecs))


def labels_by_index(
    indices: Sequence[str], names: Sequence[str], column: str, row: Row
) -> tuple[str, ...]:
    """Returns the names of labels that a table gives as numbers from 0.

    Raises:
        DataError: A number is none of theirs; names file and line.
    """
    for index in indices:
        if not re.fullmatch("[0-9]{1,3}", index) or int(index) >= len(names):
            raise DataError(
                f"wrong label: expected numbers from 0 to {len(names) - 1}. "
                f"Received: {column}={row.get(column)!r} in {row.where}"
            )
    return tuple(dict.fromkeys(names[int(index)] for index in indices))


def listed(cell: str, separator: str) -> tuple[str, ...]:
    """Returns the names in a cell, each once."""
    names = (name.strip() for name in cell.split(separator))
    return tuple(dict.fromkeys(name for name in names if name))


def known(**metadata: str) -> dict[str, str]:
    """Returns the metadata that are not empty."""
    return {name: value for name, value in metadata.items() if value}


def folder_of(
    layout: str,
    files: FolderFiles,
    channels: Sequence[str],
    fields: Sequence[Field],
    credit: str = HPA_CREDIT,
) -> FieldFolder:
    """Returns fields, whose labels have no order, in the order of their ids."""
    return FieldFolder(
        layout=layout,
        folder=files.folder,
        channels=tuple(channels),
        fields=tuple(sorted(fields, key=lambda field: field.field_id)),
        labels_ordered=False,
        credit=credit,
    )
