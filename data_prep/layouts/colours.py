"""What the layouts share: colors as channels, files of fields, facts about a folder.

Several layouts name the channels of the Human Protein Atlas by their colors.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from data_prep.fields import Field, FieldFolder, FolderFiles, Plane
from data_prep.images.field_images import codec_of_name, image_form
from tfvqgen import validation
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import read_json

# Microtubules, the protein of interest, nucleus, endoplasmic reticulum.
COLOURS = ("red", "green", "blue", "yellow")
# A regular expression for the ending of an image's name.
ENDING = r"\.(?:png|jpe?g|tiff?)(?:\.gz)?"
HPA_CREDIT = (
    "Human Protein Atlas, proteinatlas.org (Thul et al., Science 2017). Licence as "
    "stated there: CC BY-SA, see proteinatlas.org; not verified for these files."
)
# Micrometers per pixel of fields in the microscope's resolution.
FULL_SIZE_PIXEL = 0.08
# Channel of an RGB image that shows a color; yellow is shown as red and green.
RGB_INDEX = {"red": 0, "green": 1, "blue": 2, "yellow": 0}
_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")


@dataclasses.dataclass(frozen=True)
class Layout:
    """A way of storing images.

    Attributes:
        looked_for: The files that identify the layout, for messages.
        matches: Tells whether a folder looks like this layout.
        read: Reads a folder; takes its files and the wanted channels, None for all.
    """

    looked_for: str
    matches: Callable[[FolderFiles], bool]
    read: Callable[[FolderFiles, Sequence[str] | None], FieldFolder]


@dataclasses.dataclass(frozen=True)
class SourceInfo:
    """Facts about all fields of a folder, from a JSON file beside its table.

    Attributes:
        credit: Licence and source.
        pixel_size: Micrometers per pixel; None if unknown.
        labels_ordered: Whether a field's first label is its main one.
        synthetic: Whether a program drew the images.
    """

    credit: str = ""
    pixel_size: float | None = validation.key(None, above=0, below=1000)
    labels_ordered: bool = False
    synthetic: bool = False

    @classmethod
    def read(cls, files: FolderFiles, name: str, credit: str) -> "SourceInfo":
        """Reads a JSON object with any of the attributes, if the file exists."""
        path = files.find(name)
        if path is None:
            return cls(credit)
        info = validation.read(cls, read_json(path), path)
        return dataclasses.replace(info, credit=info.credit or credit)


def chosen(names: Sequence[str], channels: Sequence[str] | None) -> tuple[str, ...]:
    """Returns the channels that the user wants; None stands for all of the layout."""
    wanted = tuple(names if channels is None else channels)
    if not wanted or not set(wanted) <= set(names) or len(set(wanted)) < len(wanted):
        raise UserError(
            f"wrong channels: expected some of {', '.join(names)}, each once. "
            f"Received: channels={','.join(wanted)}"
        )
    return wanted


def make_field(
    field_id: str,
    found: Mapping[str, Plane],
    channels: Sequence[str],
    where: str,
    /,
    *,
    labels: Sequence[str],
    group: str,
    pixel_size: float | None = FULL_SIZE_PIXEL,
    **metadata: str,
) -> Field:
    """Returns a field with the wanted `channels` of those that were `found`.

    Empty metadata are left out, and ``codec`` is added. Messages name `where`, the file
    and line or the folder.

    Raises:
        DataError: A channel is missing; names the field.
    """
    missing = [name for name in channels if name not in found]
    if missing:
        existing = [name for name in channels if name in found]
        leave = f", or --channels {','.join(existing)}" if existing else ""
        raise DataError(
            f"a channel is missing: expected {', '.join(channels)}{leave}. "
            f"Received: no {', '.join(missing)} of field {field_id!r} in {where}"
        )
    planes = {name: found[name] for name in channels}
    codecs = {codec_of_name(plane.path.name) for plane in planes.values()}
    metadata = {"codec": "+".join(sorted(codecs)), **metadata}
    known = {name: value for name, value in metadata.items() if value}
    return Field(field_id, planes, tuple(labels), group, known, pixel_size)


def find_in(files: FolderFiles, folders: Sequence[str], stem: str) -> dict[str, Plane]:
    """Finds ``<folder>/<stem>_<color>.<ending>`` of each color, also with ``.gz``.

    The first folder and ending with a color counts; an empty folder is the root.
    """
    found: dict[str, Plane] = {}
    starts = [f"{folder}/{stem}" if folder else stem for folder in folders]
    for colour in COLOURS:
        names = (f"{start}_{colour}{end}" for start in starts for end in _SUFFIXES)
        path = next(filter(None, map(files.find_image, names)), None)
        if path is not None:
            found[colour] = one_colour(path, colour)
    return found


def one_colour(path: Path, colour: str) -> Plane:
    """Returns the plane of a file that contains one color.

    A JPEG may be an RGB image that shows the color as such; other files are grey.
    """
    if codec_of_name(path.name) != "jpeg":
        return Plane(path)
    try:
        channels = image_form(path).channels
    except DataError:
        return Plane(path)  # Reading the field raises the error.
    return Plane(path, RGB_INDEX[colour] if channels == 3 else None)


def listed(cell: str, separator: str) -> tuple[str, ...]:
    """Returns the names in a cell, each once."""
    names = (name.strip() for name in cell.split(separator))
    return tuple(dict.fromkeys(name for name in names if name))


def folder_of(
    layout: str,
    files: FolderFiles,
    channels: tuple[str, ...],
    fields: Sequence[Field],
    credit: str = HPA_CREDIT,
    labels_ordered: bool = False,
) -> FieldFolder:
    """Returns the fields in the order of their ids."""
    ordered = tuple(sorted(fields, key=lambda field: field.field_id))
    return FieldFolder(layout, files.folder, channels, ordered, labels_ordered, credit)
