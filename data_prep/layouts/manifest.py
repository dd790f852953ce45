"""``manifest.csv``: anybody's images of 1 to 8 channels, whatever they are called.

Columns (see docs/layouts.md): ``id``; ``channel:<name>`` for each channel, in order: a
file, or ``<file>#<k>`` for channel k of it, from 0; and as far as known ``labels``
(joined by ``|``), ``group``, ``pixel_size``; others are metadata. ``manifest.json`` may
say ``credit``, ``pixel_size`` and ``labels_ordered`` for all.
"""

import dataclasses
import re

from data_prep.fields import Field, FieldFolder, FolderFiles, Plane
from data_prep.images.field_images import codec_of_name
from data_prep.layouts import colours, source_info
from data_prep.tables import Row, path_inside, read_header, read_table, unique_id
from tfvqgen.data.crops import COLUMNS
from tfvqgen.data.images import MAX_CHANNELS
from tfvqgen.errors import DataError

LOOKED_FOR = "manifest.csv with the columns id and channel:<name>"
_TABLE = "manifest.csv"
_ABOUT = "manifest.json"
_START = "channel:"
_OWN = ("id", "labels", "group", "pixel_size")
# Names that crops.csv has for something else.
_TAKEN = frozenset((*COLUMNS, "sha256", "codec")) - frozenset(_OWN)


def matches(files: FolderFiles) -> bool:
    """Whether the folder looks like this layout."""
    return files.find(_TABLE) is not None


def read(files: FolderFiles, channels) -> FieldFolder:
    """Reads the table."""
    table = files.require(_TABLE)
    names = _channel_names(table)
    wanted = colours.chosen(names, channels)
    stated = source_info.read_about(files, _ABOUT, credit="")
    seen: dict[str, str] = {}
    fields = [
        _field(files, row, wanted, stated, seen) for row in read_table(table, ("id",))
    ]
    folder = colours.folder_of("manifest", files, wanted, fields, stated.credit)
    return dataclasses.replace(folder, labels_ordered=stated.labels_ordered)


def _channel_names(table) -> list[str]:
    header = read_header(table)
    names = [
        column[len(_START) :] for column in header if column.lower().startswith(_START)
    ]
    fine = all(re.fullmatch(r"[\w.+-][\w .+-]*", name) for name in names)
    if not 1 <= len(names) <= MAX_CHANNELS or not fine:
        raise DataError(
            f"wrong columns in {table}: expected 1 to {MAX_CHANNELS} called "
            f"{_START}<name>, e.g. channel:nucleus. Received: {', '.join(header)}"
        )
    taken = sorted(_TAKEN.intersection(name.lower() for name in header))
    if taken:
        raise DataError(
            f"wrong columns in {table}: expected other names for metadata, since "
            f"crops.csv has these. Received: {', '.join(taken)}"
        )
    return names


def _field(
    files: FolderFiles, row: Row, wanted, stated: source_info.SourceInfo, seen
) -> Field:
    field_id = unique_id(row, "id", seen)
    found = {
        name: _plane(files, row, f"{_START}{name}")
        for name in wanted
        if row.get(f"{_START}{name}")
    }
    planes = colours.all_planes(found, wanted, field_id, row.where)
    metadata = {
        name: cell
        for name, cell in row.cells.items()
        if name not in _OWN and not name.startswith(_START)
    }
    return Field(
        field_id=field_id,
        planes=planes,
        labels=colours.listed(row.get("labels"), "|"),
        group=row.get("group") or field_id,
        metadata=colours.known(codec=colours.codec_of(planes), **metadata),
        pixel_size=_pixel_size(row) or stated.pixel_size,
    )


def _plane(files: FolderFiles, row: Row, column: str) -> Plane:
    cell = row.get(column)
    name, index = cell, None
    found = re.fullmatch(r"(.+)#([0-7])", cell)
    if found:
        name, index = found[1], int(found[2])
    path = files.find(path_inside(name, f"{column} in {row.where}"))
    if path is None:
        raise DataError(
            f"no such image: expected a file in {files.folder}. "
            f"Received: {column}={cell!r} in {row.where}"
        )
    if not codec_of_name(path.name):
        raise DataError(
            "an image of another kind: expected the name of a PNG, TIFF or JPEG. "
            f"Received: {column}={cell!r} in {row.where}"
        )
    return Plane(path, index)


def _pixel_size(row: Row) -> float | None:
    cell = row.get("pixel_size")
    try:
        size = float(cell) if cell else None
    except ValueError:
        size = 0.0
    if size is not None and not source_info.is_size(size):
        raise DataError(
            "wrong pixel_size: expected micrometres above 0 and below 1000, or "
            f"nothing. Received: {cell!r} in {row.where}"
        )
    return size
