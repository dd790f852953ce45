"""Class folders: ``<label>/<id>.png``, or ``<label>/<id>_<colour>.png``.

A file alone has one channel (``grey``), three (red, green, blue as in the file) or four
(yellow is what others call alpha). The folder's name is the label. Nothing says which
images are of one well, so that each image is its own group; one id in two folders is
one group. The size of a pixel is unknown, and so is the licence.
"""

import re

from data_prep.fields import Field, FieldFolder, FolderFiles, Plane
from data_prep.images.field_images import image_form
from data_prep.labels import known_anywhere
from data_prep.layouts import colours
from data_prep.tables import check_id
from tfvqgen.errors import DataError, UserError

LOOKED_FOR = "<label>/<id>.png or <label>/<id>_<colour>.png, known labels as folders"
_FILE = re.compile(rf"(?P<id>.+?){colours.ENDING}", re.IGNORECASE)
_COLOURED = re.compile(rf"(?P<stem>.+)_(?P<colour>{'|'.join(colours.COLOURS)})")
_CHANNELS = {1: ("grey",), 3: colours.COLOURS[:3], 4: colours.COLOURS}


def matches(files: FolderFiles) -> bool:
    """Whether the folder looks like this layout: all its folders are known labels."""
    labels = {name.split("/")[0] for name in files.names if _parse(name)}
    return bool(labels) and all(map(known_anywhere, labels))


def read(files: FolderFiles, channels) -> FieldFolder:
    """Groups the files by label and id."""
    found: dict[tuple[str, str], dict[str, Plane]] = {}
    for name in files.names:
        parts = _parse(name)
        if parts is None:
            continue
        label, name_id = parts
        path = files.find(name)
        coloured = _COLOURED.fullmatch(name_id)
        if coloured is None:
            key, planes = (label, name_id), _whole_file(path)
        else:
            key = (label, coloured["stem"])
            colour = coloured["colour"]
            planes = {colour: colours.one_colour(path, colour)}
        known = found.setdefault(key, {})
        twice = known.keys() & planes.keys()
        if twice:
            raise DataError(
                "a channel is there twice: expected one file for each. "
                f"Received: {', '.join(sorted(twice))} in {path} again"
            )
        known.update(planes)
    return _folder(files, found, channels)


def _parse(name: str) -> tuple[str, str] | None:
    """Returns label and name without ending of a file of this layout."""
    label, _, last = name.rpartition("/")
    found = _FILE.fullmatch(last)
    return (label, found["id"]) if found and label and "/" not in label else None


def _whole_file(path) -> dict[str, Plane]:
    number = image_form(path).channels
    if number not in _CHANNELS:
        raise DataError(
            "the channels have no names: expected images of 1, 3 or 4 channels, or "
            f"manifest.csv. Received: {number} channels in {path}"
        )
    return {
        name: Plane(path, None if number == 1 else index)
        for index, name in enumerate(_CHANNELS[number])
    }


def _folder(files: FolderFiles, found, channels) -> FieldFolder:
    if not found:
        raise UserError(
            f"no crops there: expected {LOOKED_FOR}. Received: {files.folder}"
        )
    names = max((tuple(planes) for planes in found.values()), key=len)
    in_order = [name for name in ("grey", *colours.COLOURS) if name in names]
    wanted = colours.chosen(in_order, channels)
    fields: dict[str, Field] = {}
    for (label, name_id), planes in found.items():
        field_id = re.sub(r"[^\w.-]+", "-", f"{label}_{name_id}")
        where = str(files.folder / label)
        check_id(field_id, f"{name_id!r} in {where}")
        if field_id in fields:
            raise DataError(
                "an id is there twice: expected labels and ids that differ by more "
                f"than signs. Received: {field_id!r} in {where}"
            )
        planes = colours.all_planes(planes, wanted, field_id, where)
        fields[field_id] = Field(
            field_id=field_id,
            planes=planes,
            labels=(label,),
            group=name_id,
            metadata=colours.known(codec=colours.codec_of(planes)),
            pixel_size=None,
        )
    return colours.folder_of("folder", files, wanted, list(fields.values()), credit="")
