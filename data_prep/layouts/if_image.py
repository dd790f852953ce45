"""``IF-image.csv`` of the Human Protein Atlas beside ``<plate>/<name>_<colour>.png``.

``filename`` ends in ``<plate>_<position>_<sample>_``; the folders before are those of
the archive and are not looked at. The table lists all images of the atlas: lines of
which no file is there are passed over.
"""

import re

from data_prep.fields import Field, FieldFolder, FolderFiles
from data_prep.layouts import colours, source_info
from data_prep.tables import Row, read_table, unique_id
from tfvqgen.errors import DataError

LOOKED_FOR = "IF-image.csv beside <plate>/<plate>_<position>_<sample>_<colour>.png"
_TABLE = "IF-image.csv"
_NAME = re.compile(r"(?P<plate>\d+)_(?P<well>[A-P]\d{1,2})_(?P<sample>\d+)")


def matches(files: FolderFiles) -> bool:
    """Whether the folder looks like this layout."""
    return files.find(_TABLE) is not None


def read(files: FolderFiles, channels) -> FieldFolder:
    """Reads the table and finds the files of its lines."""
    wanted = colours.chosen(colours.COLOURS, channels)
    fields, seen = [], {}
    for row in read_table(files.require(_TABLE), ("filename", "locations")):
        name = row.get("filename").rpartition("/")[2].rstrip("_")
        parts = _NAME.fullmatch(name)
        if parts is None:
            raise DataError(
                "wrong filename: expected .../<plate>_<position>_<sample>_. "
                f"Received: filename={row.get('filename')!r} in {row.where}"
            )
        found = colours.find_in(files, (parts["plate"], ""), name)
        if found:
            field_id = unique_id(row, "filename", seen, name)
            planes = colours.all_planes(found, wanted, field_id, row.where)
            fields.append(_field(row, field_id, planes, parts))
    stated = source_info.read_about(files, "fields.json", colours.HPA_CREDIT)
    return colours.folder_of("if_image", files, wanted, fields, stated.credit)


def _field(row: Row, field_id: str, planes, parts: re.Match) -> Field:
    gene = row.get("gene_names") or row.get("ensembl_ids")
    return Field(
        field_id=field_id,
        planes=planes,
        labels=colours.listed(row.get("locations"), ","),
        group=row.get("antibody") or gene or f"{parts['plate']}_{parts['well']}",
        metadata=colours.known(
            codec=colours.codec_of(planes),
            antibody=row.get("antibody"),
            gene=gene,
            cell_line=row.get("atlas_name") or row.get("cell_line"),
            plate=parts["plate"],
            well=parts["well"],
            status=row.get("status"),
        ),
        pixel_size=colours.FULL_SIZE_PIXEL,
    )
