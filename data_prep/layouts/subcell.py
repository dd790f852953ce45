"""SubCell crops: ``<folder>/<plate>_<position>_<sample>_<cell>_cell_image.png``.

They were written through a library that puts blue first, so that what other programs
read as R, G, B, A is nucleus, endoplasmic reticulum, microtubules and protein.
``metadata.csv`` (if_plate_id, position, sample, cell_id, locations, antibody, ...) has
the labels; lines of which no file is there are passed over, and files without a line
have unknown labels. ``_cell_mask.png`` is not read.
"""

import re
from pathlib import Path

from data_prep.fields import Field, FieldFolder, FolderFiles, Plane
from data_prep.layouts import colours
from data_prep.tables import Row, read_table
from tfvqgen.errors import DataError

LOOKED_FOR = "<folder>/<plate>_<position>_<sample>_<cell>_cell_image.png"
_TABLE = "metadata.csv"
_KEY = ("if_plate_id", "position", "sample", "cell_id")
_NAME = re.compile(
    r"(?P<id>(?P<plate>\d+)_(?P<well>[A-P]\d{1,2})_\d+_\d+)(?P<ending>_cell_image)?\.png"
)
# Place in the file, as other programs read it.
_INDEX = {"red": 2, "green": 3, "blue": 0, "yellow": 1}


def matches(files: FolderFiles) -> bool:
    """Whether the folder looks like this layout."""
    names = (_NAME.fullmatch(name.rpartition("/")[2]) for name in files.names)
    return any(found and found["ending"] for found in names)


def read(files: FolderFiles, channels) -> FieldFolder:
    """Finds the crops and what the table says of them."""
    wanted = colours.chosen(colours.COLOURS, channels)
    rows = _rows(files)
    fields: dict[str, Field] = {}
    for name in files.names:
        found = _NAME.fullmatch(name.rpartition("/")[2])
        if found is None:
            continue
        if found["id"] in fields:
            raise DataError(
                f"an id is there twice: expected every crop once. "
                f"Received: {found['id']!r} in {files.folder / name}"
            )
        path = files.find(name)
        fields[found["id"]] = _field(found, path, wanted, rows.get(found["id"]))
    return colours.folder_of("subcell", files, wanted, list(fields.values()))


def _rows(files: FolderFiles) -> dict[str, Row]:
    path = files.find(_TABLE)
    rows: dict[str, Row] = {}
    if path is None:
        return rows
    for row in read_table(path, (*_KEY, "locations")):
        # Programs that know only floating-point numbers write 12 as 12.0.
        crop_id = "_".join(row.get(name).removesuffix(".0") for name in _KEY)
        if crop_id in rows:
            raise DataError(
                f"an id is there twice: expected every crop once. Received: "
                f"{crop_id!r} in {row.where} and in {rows[crop_id].where}"
            )
        rows[crop_id] = row
    return rows


def _field(found: re.Match, path: Path, wanted, row: Row | None) -> Field:
    row = row or Row({}, "")
    gene = row.get("gene_names") or row.get("ensembl_ids")
    return Field(
        field_id=found["id"],
        planes={name: Plane(path, _INDEX[name]) for name in wanted},
        labels=colours.listed(row.get("locations"), ","),
        group=row.get("antibody") or gene or f"{found['plate']}_{found['well']}",
        metadata=colours.known(
            codec="png",
            antibody=row.get("antibody"),
            gene=gene,
            cell_line=row.get("atlas_name") or row.get("cell_line"),
            plate=found["plate"],
            well=found["well"],
        ),
        pixel_size=colours.FULL_SIZE_PIXEL,
    )
