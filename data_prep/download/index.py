"""Which images to fetch, from which addresses, under which names.

Two forms of table are understood. One with a column ``url`` lists images. One with
``filename`` and ``locations``, as the Human Protein Atlas's own ``IF-image.csv``, lists
fields, whose addresses are made by a template.
"""

import dataclasses
import re
import string
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

from data_prep.download.names import checked_path, checked_url, colours_of, path_of_url
from data_prep.layouts.colours import COLOURS
from data_prep.tables import Row, read_header, read_table
from tfvqgen.errors import DataError, UserError

FIELD_COLUMNS = ("filename", "locations")
URL_TEMPLATE = "https://images.proteinatlas.org/{antibody_number}/{name}_{channel}.jpg"
_CHANNEL = "channel"
_NAME = "name"
_ANTIBODY_NUMBER = "antibody_number"
# What the reader of the layout goes by, too.
_FILENAME = re.compile(r"(?:.*/)?((\d+)_[A-P]\d{1,2}_\d+)_?")


@dataclasses.dataclass(frozen=True, slots=True)
class Wanted:
    """One image.

    Attributes:
        url: Where it is.
        path: Where it goes, below the output folder.
        sha256: Of its bytes, in lower-case hex; "" if the index does not say.
        line: Which line of the table wants it, counted from 0.
    """

    url: str
    path: str
    sha256: str
    line: int


@dataclasses.dataclass(frozen=True)
class Index:
    """What a table asks for.

    Attributes:
        images: In the table's order, each path once.
        header: The table's columns if it is a table of fields, which a reader of the
            images needs too; none otherwise.
        lines: Its lines.
        left_out: How many images show none of the channels asked for.
    """

    images: list[Wanted]
    header: tuple[str, ...]
    lines: list[tuple[str, ...]]
    left_out: int


def read_index(
    path: Path, channels: Sequence[str] = COLOURS, template: str = URL_TEMPLATE
) -> Index:
    """Reads a table of images or of fields.

    Args:
        path: The table, CSV; with tabs if its name ends in ``.tsv``.
        channels: The colours to fetch.
        template: The addresses of a field's images, in which ``{channel}``,
            ``{name}`` (``7_C5_1`` of the filename ``/archive/7/7_C5_1_``),
            ``{antibody_number}`` (992 of the antibody HPA000992) and the table's
            columns stand for their values.

    Raises:
        DataError: The table is damaged, an address or a path is wrong, or two images
            have the same path; names the line.
        UserError: The template asks for what is not there, or nothing is left.
    """
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    header = read_header(path, delimiter)
    rows = list(read_table(path, (), delimiter))
    columns = {name.lower() for name in header}
    if "url" in columns:
        index = _of_images(rows, set(channels))
    elif columns.issuperset(FIELD_COLUMNS):
        index = _of_fields(rows, header, channels, template)
    else:
        raise DataError(
            f"wrong columns in {path}: expected url, or "
            f"{', '.join(FIELD_COLUMNS)}. Received: {', '.join(header) or 'none'}"
        )
    if not index.images:
        raise UserError(
            f"nothing to fetch: expected images of {', '.join(channels)}. "
            f"Received: {len(rows)} lines in {path}"
        )
    return index


def _of_images(rows: Sequence[Row], channels: set[str]) -> Index:
    found = _Found()
    left_out = 0
    for line, row in enumerate(rows):
        url = checked_url(row.get("url"), row.where)
        path = (
            checked_path(row.get("path"), row.where)
            if row.get("path")
            else path_of_url(url, row.where)
        )
        colours = colours_of(path)
        if colours and not channels.intersection(colours):
            left_out += 1
            continue
        found.add(Wanted(url, path, _sha256(row), line), row.where)
    return Index(found.images, (), [], left_out)


def _of_fields(
    rows: Sequence[Row],
    header: tuple[str, ...],
    channels: Sequence[str],
    template: str,
) -> Index:
    suffix = _check_template(template, header)
    found = _Found()
    for line, row in enumerate(rows):
        values = {name: quote(row.get(name), safe="/") for name in header}
        if f"{{{_ANTIBODY_NUMBER}}}" in template:
            values[_ANTIBODY_NUMBER] = _antibody_number(row)
        name, plate = _name_and_plate(row)
        for channel in channels:
            values |= {_NAME: name, _CHANNEL: channel}
            url = checked_url(template.format_map(values), row.where)
            path = checked_path(f"{plate}/{name}_{channel}{suffix}", row.where)
            found.add(Wanted(url, path, "", line), row.where)
    lines = [tuple(row.get(name) for name in header) for row in rows]
    return Index(found.images, header, lines, 0)


class _Found:
    """Images by their paths, which must differ where case doesn't count as well."""

    def __init__(self):
        self.images: list[Wanted] = []
        self._seen: dict[str, tuple[Wanted, str]] = {}

    def add(self, wanted: Wanted, where: str) -> None:
        key = wanted.path.lower()
        first, before = self._seen.setdefault(key, (wanted, where))
        if first is wanted:
            self.images.append(wanted)
            return
        same = dataclasses.replace(wanted, line=first.line) == first
        if not same:
            raise DataError(
                "two images have the same path: expected a path for each. "
                f"Received: {wanted.path!r} in {where} and in {before}"
            )


def _sha256(row: Row) -> str:
    found = row.get("sha256").lower()
    if found and not re.fullmatch(r"[0-9a-f]{64}", found):
        raise DataError(
            "wrong sha256: expected 64 hexadecimal digits or nothing. "
            f"Received: {found[:80]!r} in {row.where}"
        )
    return found


def _name_and_plate(row: Row) -> tuple[str, str]:
    found = _FILENAME.fullmatch(row.get("filename"))
    if found is None:
        raise DataError(
            "wrong filename: expected .../<plate>_<position>_<sample>_. "
            f"Received: filename={row.get('filename')!r} in {row.where}"
        )
    return found[1], found[2]


def _antibody_number(row: Row) -> str:
    """Returns 992 for HPA000992, by which the site orders its images."""
    found = re.fullmatch(r"(?:HPA|CAB)?0*([1-9]\d*)", row.get("antibody"))
    if found is None:
        raise DataError(
            "wrong antibody: expected HPA or CAB and a number, from which "
            "{antibody_number} of the addresses is made. "
            f"Received: {row.get('antibody')!r} in {row.where}"
        )
    return found[1]


def _check_template(template: str, header: Sequence[str]) -> str:
    """Returns the ending of the addresses that a template makes."""
    known = {_CHANNEL, _NAME, _ANTIBODY_NUMBER, *header}
    try:
        parts = [x for x in string.Formatter().parse(template) if x[1] is not None]
        path = urlsplit(template).path
    except ValueError:
        parts, path = [], ""
    plain = all(not spec and not conversion for _, _, spec, conversion in parts)
    names = [name for _, name, _, _ in parts]
    suffix = re.search(r"\.(png|jpe?g|tiff?)(\.gz)?$", path, re.IGNORECASE)
    if not plain or _CHANNEL not in names or not known.issuperset(names) or not suffix:
        raise UserError(
            "wrong --url: expected an address that ends as an image's, with {channel} "
            f"in it and none but {', '.join(sorted(known))}. Received: {template}"
        )
    return suffix[0].lower()
