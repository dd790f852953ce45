"""Kaggle 2018: ``train.csv`` (Id,Target) and ``train/<Id>_<colour>.png``.

Target holds indices into the 28 labels, separated by spaces. Nothing says which fields
are of one well, so that each field is its own group. ``images/`` may stand for
``train/``. The folders of ``synthesize --fields`` are of this layout; their
``fields.json`` says the size of a pixel and the credit line.
"""

from data_prep.fields import Field, FieldFolder, FolderFiles, Plane
from data_prep.images.field_images import image_form
from data_prep.labels import load_vocabulary
from data_prep.layouts import colours, source_info
from data_prep.tables import read_header, read_table, unique_id
from tfvqgen.errors import DataError

LOOKED_FOR = "train.csv with Id,Target beside train/<Id>_<colour>.png"
_TABLE = "train.csv"
_ABOUT = "fields.json"
_FOLDERS = ("train", "images")
# Micrometres a pixel by the side of a field in pixels.
_PIXEL_SIZES = {512: 0.32, 1728: 0.08, 2048: 0.08, 3072: 0.08}


def matches(files: FolderFiles) -> bool:
    """Whether the folder looks like this layout."""
    table = files.find(_TABLE)
    if table is None:
        return False
    return {"id", "target"} <= {name.lower() for name in read_header(table)}


def read(files: FolderFiles, channels) -> FieldFolder:
    """Reads the table and finds the files of its fields."""
    wanted = colours.chosen(colours.COLOURS, channels)
    names = load_vocabulary("kaggle2018").labels
    stated = source_info.read_about(files, _ABOUT, credit=colours.HPA_CREDIT)
    fields, seen = [], {}
    for row in read_table(files.require(_TABLE), ("Id", "Target")):
        field_id = unique_id(row, "Id", seen)
        found = colours.find_in(files, _FOLDERS, field_id, (".png",))
        planes = colours.all_planes(found, wanted, field_id, row.where)
        targets = row.get("Target").split()
        fields.append(
            Field(
                field_id=field_id,
                planes=planes,
                labels=colours.labels_by_index(targets, names, "Target", row),
                group=field_id,
                metadata=colours.known(
                    codec=colours.codec_of(planes),
                    synthetic="true" if stated.synthetic else "",
                ),
                pixel_size=stated.pixel_size or _pixel_size(planes),
            )
        )
    return colours.folder_of("kaggle2018", files, wanted, fields, stated.credit)


def _pixel_size(planes: dict[str, Plane]) -> float | None:
    try:
        form = image_form(next(iter(planes.values())).path)
    except DataError:
        return None  # Whoever reads the field will say what is wrong with it.
    return _PIXEL_SIZES.get(form.width)
