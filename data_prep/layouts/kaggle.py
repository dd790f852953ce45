"""The two Kaggle competitions: ``train.csv`` beside ``train/<Id>_<color>.png``.

The tables do not say which fields are of one well, so that each field is its own group.
``synthesize --fields`` writes the layout of 2018.
"""

import re
from collections.abc import Mapping, Sequence

from data_prep.fields import FieldFolder, FolderFiles, Plane
from data_prep.images.field_images import image_form
from data_prep.labels import load_vocabulary
from data_prep.layouts import colours
from data_prep.tables import Row, read_header, read_table, unique_id
from tfvqgen.errors import DataError

_TABLE = "train.csv"
_FOLDERS = ("train", "images", "train_tiffs")
# Width of a field in pixels -> micrometers per pixel.
_PIXEL_SIZES = {512: 0.32, 1728: 0.08, 2048: 0.08, 3072: 0.08}


def _has_columns(files: FolderFiles, columns: set[str]) -> bool:
    table = files.find(_TABLE)
    return table is not None and columns <= {x.lower() for x in read_header(table)}


def _read(
    layout: str,
    files: FolderFiles,
    channels: Sequence[str] | None,
    id_column: str,
    label_column: str,
    separator: str | None = None,
) -> FieldFolder:
    wanted = colours.chosen(colours.COLOURS, channels)
    names = load_vocabulary(layout).labels
    info = colours.SourceInfo.read(files, "fields.json", colours.HPA_CREDIT)
    fields, seen = [], {}
    for row in read_table(files.require(_TABLE), (id_column, label_column)):
        field_id = unique_id(row, id_column, seen)
        found = colours.find_in(files, _FOLDERS, field_id)
        cells = map(str.strip, row.get(label_column).split(separator))
        field = colours.make_field(
            field_id,
            found,
            wanted,
            row.where,
            labels=_labels(list(filter(None, cells)), names, label_column, row),
            group=field_id,
            pixel_size=info.pixel_size or _pixel_size(layout, found),
            synthetic="true" if info.synthetic else "",
        )
        fields.append(field)
    return colours.folder_of(layout, files, wanted, fields, info.credit)


def _labels(
    indices: Sequence[str], names: Sequence[str], column: str, row: Row
) -> tuple[str, ...]:
    """Returns the names of labels that a table gives as numbers from 0."""
    for index in indices:
        if not re.fullmatch("[0-9]{1,3}", index) or int(index) >= len(names):
            raise DataError(
                f"wrong label: expected numbers from 0 to {len(names) - 1}. "
                f"Received: {column}={row.get(column)!r} in {row.where}"
            )
    return tuple(dict.fromkeys(names[int(index)] for index in indices))


def _pixel_size(layout: str, planes: Mapping[str, Plane]) -> float | None:
    if layout == "kaggle2021" or not planes:
        return colours.FULL_SIZE_PIXEL
    try:
        form = image_form(next(iter(planes.values())).path)
    except DataError:
        return None  # Reading the field raises the error.
    return _PIXEL_SIZES.get(form.width)


KAGGLE2018 = colours.Layout(
    "train.csv with Id,Target beside train/<Id>_<colour>.png",
    lambda files: _has_columns(files, {"id", "target"}),
    lambda files, channels: _read("kaggle2018", files, channels, "Id", "Target"),
)
KAGGLE2021 = colours.Layout(
    "train.csv with ID,Label beside train/<ID>_<colour>.png or .tif",
    lambda files: _has_columns(files, {"id", "label"}),
    lambda files, channels: _read("kaggle2021", files, channels, "ID", "Label", "|"),
)
