"""Kaggle 2018: ``train.csv`` (Id,Target) and ``train/<Id>_<colour>.png``.

Target holds indices into the 28 labels, separated by spaces. Nothing says which fields
are of one well, so that each field is its own group. ``images/`` may stand for
``train/``. The folders of ``synthesize --fields`` are of this layout; their
``fields.json`` says the size of a pixel and the credit line.
"""

from pathlib import Path

from data_prep.field import Field, FieldFolder, Plane
from data_prep.field_images import image_form
from data_prep.folder_files import FolderFiles
from data_prep.labels import load_vocabulary
from data_prep.layouts import colours
from data_prep.tables import Row, read_header, read_table, unique_id
from tfvqgen.errors import DataError
from tfvqgen.files import read_json

LOOKED_FOR = "train.csv with Id,Target beside train/<Id>_<colour>.png"
TABLE = "train.csv"
ABOUT = "fields.json"
_FOLDERS = ("train", "images")
# Micrometres a pixel by the side of a field in pixels.
_PIXEL_SIZES = {512: 0.32, 1728: 0.08, 2048: 0.08, 3072: 0.08}


def matches(files: FolderFiles) -> bool:
    """Whether the folder looks like this layout."""
    table = files.find(TABLE)
    return table is not None and {"id", "target"} <= set(read_header(table))


def read(files: FolderFiles, channels) -> FieldFolder:
    """Reads the table and finds the files of its fields."""
    wanted = colours.chosen(colours.COLOURS, channels)
    labels = load_vocabulary("kaggle2018").labels
    about = _about(files)
    fields, seen = [], {}
    for row in read_table(files.folder / TABLE, ("Id", "Target")):
        field_id = unique_id(row, "Id", seen)
        found = _planes(files, field_id)
        planes = colours.all_planes(found, wanted, field_id, row.where)
        metadata = {"codec": colours.codec_of(planes)}
        if about.get("synthetic"):
            metadata["synthetic"] = "true"
        fields.append(
            Field(
                field_id=field_id,
                planes=planes,
                labels=_labels(row, labels),
                group=field_id,
                metadata=metadata,
                pixel_size=about.get("pixel_size") or _pixel_size(planes),
            )
        )
    return FieldFolder(
        layout="kaggle2018",
        folder=files.folder,
        channels=wanted,
        fields=tuple(sorted(fields, key=lambda field: field.field_id)),
        labels_ordered=False,
        credit=about.get("credit", colours.HPA_CREDIT),
    )


def _planes(files: FolderFiles, field_id: str) -> dict[str, Plane]:
    found: dict[str, Plane] = {}
    for folder in _FOLDERS:
        for colour in colours.COLOURS:
            path = files.find(f"{folder}/{field_id}_{colour}.png")
            if path is not None:
                found.setdefault(colour, Plane(path))
    return found


def _labels(row: Row, labels: tuple[str, ...]) -> tuple[str, ...]:
    found = []
    for word in row.get("Target").split():
        if not (word.isascii() and word.isdigit() and int(word) < len(labels)):
            raise DataError(
                f"wrong label: expected indices from 0 to {len(labels) - 1} between "
                f"spaces. Received: Target={row.get('Target')!r} in {row.where}"
            )
        found.append(labels[int(word)])
    return tuple(dict.fromkeys(found))


def _pixel_size(planes: dict[str, Plane]) -> float | None:
    form = image_form(next(iter(planes.values())).path)
    return _PIXEL_SIZES.get(form.width)


def _about(files: FolderFiles) -> dict:
    path = files.find(ABOUT)
    about = {} if path is None else read_json(path)
    size = about.get("pixel_size") if isinstance(about, dict) else "?"
    if size is not None and not (isinstance(size, int | float) and 0 < size < 1000):
        raise DataError(
            "wrong fields.json: expected an object, its pixel_size a number above 0. "
            f"Received: {Path(path)}"
        )
    if not isinstance(about.get("credit", ""), str):
        raise DataError(
            f"wrong fields.json: expected credit to be a text. Received: {path}"
        )
    return about
