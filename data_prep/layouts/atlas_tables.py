"""Tables of the Human Protein Atlas: ``IF-image.csv``, and ``metadata.csv`` of SubCell.

The library that wrote SubCell's crops puts blue first, so that their R, G, B, A are
nucleus, endoplasmic reticulum, microtubules and protein. Lines of a table without files
are left out.
"""

import re
from collections.abc import Mapping, Sequence

from data_prep.fields import Field, FieldFolder, FolderFiles, Plane
from data_prep.layouts import colours
from data_prep.tables import Row, add_once, read_table, unique_id
from tfvqgen.errors import DataError

_TABLE = "IF-image.csv"
_NAME = re.compile(r"(?P<plate>\d+)_(?P<well>[A-P]\d{1,2})_\d+")
_CROP_TABLE = "metadata.csv"
_CROP_KEY = ("if_plate_id", "position", "sample", "cell_id")
_CROP_NAME = re.compile(
    r"(?P<id>(?P<plate>\d+)_(?P<well>[A-P]\d{1,2})_\d+_\d+)(?P<ending>_cell_image)?\.png"
)
# Index of each color in SubCell's files.
_CROP_INDEX = {"red": 2, "green": 3, "blue": 0, "yellow": 1}


def _read_fields(files: FolderFiles, channels: Sequence[str] | None) -> FieldFolder:
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
            fields.append(_field(field_id, found, wanted, row, parts))
    info = colours.SourceInfo.read(files, "fields.json", colours.HPA_CREDIT)
    return colours.folder_of("if_image", files, wanted, fields, info.credit)


def _read_crops(files: FolderFiles, channels: Sequence[str] | None) -> FieldFolder:
    wanted = colours.chosen(colours.COLOURS, channels)
    rows = _crop_rows(files)
    fields, seen = [], {}
    for name in files.names:
        parts = _crop_name(name)
        if parts is None:
            continue
        add_once(parts["id"], str(files.folder / name), seen, "every crop once")
        path = files.find(name)
        planes = {colour: Plane(path, _CROP_INDEX[colour]) for colour in wanted}
        row = rows.get(parts["id"], Row({}, ""))
        fields.append(_field(parts["id"], planes, wanted, row, parts))
    return colours.folder_of("subcell", files, wanted, fields)


def _crop_rows(files: FolderFiles) -> dict[str, Row]:
    rows, seen = {}, {}
    path = files.find(_CROP_TABLE)
    for row in () if path is None else read_table(path, (*_CROP_KEY, "locations")):
        # Programs that know only floating-point numbers write 12 as 12.0.
        crop_id = "_".join(row.get(name).removesuffix(".0") for name in _CROP_KEY)
        add_once(crop_id, row.where, seen, "every crop once")
        rows[crop_id] = row
    return rows


def _field(
    field_id: str,
    found: Mapping[str, Plane],
    channels: Sequence[str],
    row: Row,
    parts: re.Match,
) -> Field:
    gene = row.get("gene_names") or row.get("ensembl_ids")
    return colours.make_field(
        field_id,
        found,
        channels,
        row.where,
        labels=colours.listed(row.get("locations"), ","),
        group=row.get("antibody") or gene or f"{parts['plate']}_{parts['well']}",
        antibody=row.get("antibody"),
        gene=gene,
        cell_line=row.get("atlas_name") or row.get("cell_line"),
        plate=parts["plate"],
        well=parts["well"],
        status=row.get("status"),
    )


def _crop_name(name: str) -> re.Match | None:
    return _CROP_NAME.fullmatch(name.rpartition("/")[2])


IF_IMAGE = colours.Layout(
    "IF-image.csv beside <plate>/<plate>_<position>_<sample>_<colour>.png",
    lambda files: files.find(_TABLE) is not None,
    _read_fields,
)
SUBCELL = colours.Layout(
    "<folder>/<plate>_<position>_<sample>_<cell>_cell_image.png",
    lambda files: any(x and x["ending"] for x in map(_crop_name, files.names)),
    _read_crops,
)
