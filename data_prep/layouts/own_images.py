"""Images of any origin: folders by class, and ``manifest.csv``, which lists the files.

docs/layouts.md describes both.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from data_prep import tables
from data_prep.fields import FieldFolder, FolderFiles, Plane
from data_prep.images.field_images import codec_of_name, image_form
from data_prep.labels import known_anywhere
from data_prep.layouts import colours
from tfvqgen.data.crops import COLUMNS
from tfvqgen.data.images import MAX_CHANNELS
from tfvqgen.errors import DataError, UserError

_LABEL_FOLDERS = "<label>/<id>[_<colour>].png with known labels as folders"
_FILE = re.compile(rf"(?P<id>.+?){colours.ENDING}", re.IGNORECASE)
_COLOURED = re.compile(rf"(?P<stem>.+)_(?P<colour>{'|'.join(colours.COLOURS)})")
_CHANNELS = {1: ("grey",), 3: colours.COLOURS[:3], 4: colours.COLOURS}
_TABLE = "manifest.csv"
_START = "channel:"
_OWN = ("id", "labels", "group", "pixel_size")
# Columns of crops.csv with another meaning.
_TAKEN = frozenset((*COLUMNS, "sha256", "codec")) - frozenset(_OWN)


def _has_label_folders(files: FolderFiles) -> bool:
    labels = {name.split("/")[0] for name in files.names if _parse(name)}
    return bool(labels) and all(map(known_anywhere, labels))


def _read_label_folders(
    files: FolderFiles, channels: Sequence[str] | None
) -> FieldFolder:
    found: dict[tuple[str, str], dict[str, Plane]] = {}
    for label, name_id, name in filter(None, map(_parse, files.names)):
        path = files.find(name)
        if coloured := _COLOURED.fullmatch(name_id):
            name_id, colour = coloured["stem"], coloured["colour"]
            planes = {colour: colours.one_colour(path, colour)}
        else:
            planes = _planes_of_file(path)
        known = found.setdefault((label, name_id), {})
        repeated = known.keys() & planes.keys()
        if repeated:
            raise DataError(
                "repeated channel: expected one file for each. "
                f"Received: {', '.join(sorted(repeated))} in {path} again"
            )
        known.update(planes)
    if not found:
        raise UserError(
            f"no crops there: expected {_LABEL_FOLDERS}. Received: {files.folder}"
        )
    most = max(found.values(), key=len)
    in_order = [name for name in ("grey", *colours.COLOURS) if name in most]
    wanted = colours.chosen(in_order, channels)
    fields, seen = [], {}
    for (label, name_id), planes in found.items():
        field_id = re.sub(r"[^\w.-]+", "-", f"{label}_{name_id}")
        where = str(files.folder / label)
        tables.check_id(field_id, f"{name_id!r} in {where}")
        expected = "labels and ids that differ by more than punctuation"
        tables.add_once(field_id, f"{where}/{name_id}", seen, expected)
        known = {"labels": (label,), "group": name_id, "pixel_size": None}
        field = colours.make_field(field_id, planes, wanted, where, **known)
        fields.append(field)
    return colours.folder_of("folder", files, wanted, fields, credit="")


def _parse(name: str) -> tuple[str, str, str] | None:
    """Returns label, id and name of a file in a folder of the folder."""
    label, _, last = name.rpartition("/")
    found = _FILE.fullmatch(last)
    return (label, found["id"], name) if found and label and "/" not in label else None


def _planes_of_file(path: Path) -> dict[str, Plane]:
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


def _read_manifest(files: FolderFiles, channels: Sequence[str] | None) -> FieldFolder:
    table = files.require(_TABLE)
    wanted = colours.chosen(_channel_names(table), channels)
    info = colours.SourceInfo.read(files, "manifest.json", credit="")
    fields, seen = [], {}
    for row in tables.read_table(table, ("id",)):
        field_id = tables.unique_id(row, "id", seen)
        there = [name for name in wanted if row.get(f"{_START}{name}")]
        others = (name for name in row.cells if not name.startswith(_START))
        field = colours.make_field(
            field_id,
            {name: _plane(files, row, name) for name in there},
            wanted,
            row.where,
            labels=colours.listed(row.get("labels"), "|"),
            group=row.get("group") or field_id,
            pixel_size=_pixel_size(row) or info.pixel_size,
            **{name: row.get(name) for name in others if name not in _OWN},
        )
        fields.append(field)
    ordered = info.labels_ordered
    return colours.folder_of("manifest", files, wanted, fields, info.credit, ordered)


def _channel_names(table: Path) -> list[str]:
    header = tables.read_header(table)
    starting = [column for column in header if column.lower().startswith(_START)]
    names = [column[len(_START) :] for column in starting]
    fits = all(re.fullmatch(r"[\w.+-][\w .+-]*", name) for name in names)
    if not 1 <= len(names) <= MAX_CHANNELS or not fits:
        raise DataError(
            f"wrong columns in {table}: expected 1 to {MAX_CHANNELS} "
            f"{_START}<name>, e.g. channel:nucleus. Received: {', '.join(header)}"
        )
    taken = sorted(_TAKEN.intersection(name.lower() for name in header))
    if taken:
        raise DataError(
            f"wrong columns in {table}: expected other names for metadata, since "
            f"crops.csv has these. Received: {', '.join(taken)}"
        )
    return names


def _plane(files: FolderFiles, row: tables.Row, channel: str) -> Plane:
    cell = row.get(f"{_START}{channel}")
    found = re.fullmatch(r"(.+?)(?:#([0-7]))?", cell)
    name, index = found[1], None if found[2] is None else int(found[2])
    path = files.find(tables.path_inside(name, f"{_START}{channel} in {row.where}"))
    if path is None or not codec_of_name(path.name):
        raise DataError(
            f"no such image: expected a PNG, TIFF or JPEG file in {files.folder}. "
            f"Received: {_START}{channel}={cell!r} in {row.where}"
        )
    return Plane(path, index)


def _pixel_size(row: tables.Row) -> float | None:
    cell = row.get("pixel_size")
    try:
        size = float(cell or "nan")
    except ValueError:
        size = 0.0
    if cell and not 0 < size < 1000:
        raise DataError(
            "wrong pixel_size: expected micrometers above 0 and below 1000, or "
            f"nothing. Received: {cell!r} in {row.where}"
        )
    return size if cell else None


FOLDER = colours.Layout(_LABEL_FOLDERS, _has_label_folders, _read_label_folders)
MANIFEST = colours.Layout(
    "manifest.csv with the columns id and channel:<name>",
    lambda files: files.find(_TABLE) is not None,
    _read_manifest,
)
