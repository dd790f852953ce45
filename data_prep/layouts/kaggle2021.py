"""Kaggle 2021: ``train.csv`` (ID,Label) and ``train/<ID>_<colour>.png`` or ``.tif``.

Label holds indices into the 19 labels, joined by ``|``; ``Negative`` is one of them.
Fields have 1728, 2048 or 3072 pixels a side and 8 or 16 bits. Nothing says which fields
are of one well, so that each field is its own group.
"""

from data_prep.fields import Field, FieldFolder, FolderFiles
from data_prep.labels import load_vocabulary
from data_prep.layouts import colours
from data_prep.tables import read_header, read_table, unique_id

LOOKED_FOR = "train.csv with ID,Label beside train/<ID>_<colour>.png or .tif"
_TABLE = "train.csv"
_FOLDERS = ("train", "train_tiffs", "images")
_SUFFIXES = (".png", ".tif", ".tiff")


def matches(files: FolderFiles) -> bool:
    """Whether the folder looks like this layout."""
    table = files.find(_TABLE)
    if table is None:
        return False
    return {"id", "label"} <= {name.lower() for name in read_header(table)}


def read(files: FolderFiles, channels) -> FieldFolder:
    """Reads the table and finds the files of its fields."""
    wanted = colours.chosen(colours.COLOURS, channels)
    names = load_vocabulary("kaggle2021").labels
    fields, seen = [], {}
    for row in read_table(files.require(_TABLE), ("ID", "Label")):
        field_id = unique_id(row, "ID", seen)
        found = colours.find_in(files, _FOLDERS, field_id, _SUFFIXES)
        planes = colours.all_planes(found, wanted, field_id, row.where)
        indices = colours.listed(row.get("Label"), "|")
        fields.append(
            Field(
                field_id=field_id,
                planes=planes,
                labels=colours.labels_by_index(indices, names, "Label", row),
                group=field_id,
                metadata=colours.known(codec=colours.codec_of(planes)),
                pixel_size=colours.FULL_SIZE_PIXEL,
            )
        )
    return colours.folder_of("kaggle2021", files, wanted, fields)
