"""Tables that list the images to download.

A table with a column ``url`` lists images. A table with ``filename`` and ``locations``,
as the Human Protein Atlas's ``IF-image.csv``, lists fields; a template makes the
addresses of their images.
"""

import dataclasses
import posixpath
import re
import string
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from data_prep.layouts.colours import COLOURS
from data_prep.tables import Row, read_header, read_table
from tfvqgen.errors import DataError, UserError

URL_TEMPLATE = "https://images.proteinatlas.org/{antibody_number}/{name}_{channel}.jpg"
_FIELD_COLUMNS = ("filename", "locations")
# The layout `if_image` reads the same names.
_FILENAME = re.compile(r"(?:.*/)?((\d+)_[A-P]\d{1,2}_\d+)_?")
_ANTIBODY = re.compile(r"(?:HPA|CAB)?0*([1-9]\d*)")
_SUFFIX = re.compile(r"\.(png|jpe?g|tiff?)(\.gz)?$", re.IGNORECASE)
# Parts of a path are not hidden, and every operating system allows them.
_PART = r"\w(?:[\w .+,()=@-]{0,198}[\w+,()=@-])?"
_PATH = re.compile(rf"(?:{_PART}/){{0,7}}{_PART}", re.ASCII)
_COLOUR = "|".join(COLOURS)
_COLOURS = re.compile(rf"_((?:{_COLOUR})(?:_(?:{_COLOUR}))*)\.[a-z.]+$", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True)
class ListedImage:
    """An image that a table lists."""

    url: str
    path: str  # Path below the output folder.
    sha256: str  # Hex checksum of its bytes; empty if the table has none.
    line: int  # Number of its row in the table, counted from 0.


@dataclasses.dataclass(frozen=True)
class ImageIndex:
    """The images of a table."""

    images: list[ListedImage]  # In the order of the table, each path once.
    header: tuple[str, ...] = ()  # Columns of a table of fields, else empty.
    lines: Sequence[tuple[str, ...]] = ()  # Rows of a table of fields.
    num_left_out: int = 0  # Number of images without any of the wanted channels.


def read_index(
    path: Path, channels: Sequence[str] = COLOURS, template: str = URL_TEMPLATE
) -> ImageIndex:
    """Reads a table of images or of fields.

    Args:
        path: CSV file; a name that ends in ``.tsv`` means columns separated by tabs.
        channels: Colors to download.
        template: Addresses of the images of a field. It may contain ``{channel}``,
            ``{name}`` (``7_C5_1`` of the filename ``/archive/7/7_C5_1_``),
            ``{antibody_number}`` (992 of the antibody HPA000992) and the columns of the
            table.

    Raises:
        DataError: The table is damaged, an address or a path is wrong, or two images
            have the same path; names the line.
        UserError: The template is wrong, or no image is left.
    """
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    header = read_header(path, delimiter)
    rows = list(read_table(path, (), delimiter))
    columns = {name.lower() for name in header}
    if "url" in columns:
        images = _unique(_listed(rows))
        shown = [image for image in images if _shows(image, channels)]
        index = ImageIndex(shown, num_left_out=len(images) - len(shown))
    elif columns.issuperset(_FIELD_COLUMNS):
        images = _unique(_of_fields(rows, header, channels, template))
        lines = [tuple(row.get(name) for name in header) for row in rows]
        index = ImageIndex(images, header, lines)
    else:
        raise DataError(
            f"wrong columns in {path}: expected url, or "
            f"{', '.join(_FIELD_COLUMNS)}. Received: {', '.join(header) or 'none'}"
        )
    if not index.images:
        raise UserError(
            f"no images to download: expected images of {', '.join(channels)}. "
            f"Received: {len(rows)} lines in {path}"
        )
    return index


def host_of(url: str) -> str:
    """Returns the host of an address."""
    return (urlsplit(url).hostname or "").lower()


def checked_url(text: str, where: str) -> str:
    """Returns an address without its fragment.

    Raises a DataError if it is not an http or https address or contains a user name.
    """
    url = text.partition("#")[0]
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname
        plain = parts.username is None and url.isprintable() and " " not in url
        fits = known and plain and (parts.port or 1) > 0
    except ValueError:
        fits = False
    if not fits:
        raise DataError(
            f"wrong address in {where}: expected http:// or https://, a host and no "
            f"user name. Received: {text[:200]!r}"
        )
    return url


def checked_path(text: str, where: str) -> str:
    """Returns the path of an image below the output folder.

    Raises a DataError if it is no such path on any operating system.
    """
    if not _PATH.fullmatch(text) or not _SUFFIX.search(text):
        raise DataError(
            f"wrong path in {where}: expected folder/name.png (.jpg, .tif, also with "
            ".gz) below the output folder, of letters, digits and -_.+,()=@ without "
            f"a dot in front. Received: {text[:200]!r}"
        )
    return text


def _listed(rows: Sequence[Row]) -> Iterator[tuple[ListedImage, str]]:
    """Yields the images of a list, and where they stand."""
    for line, row in enumerate(rows):
        url = checked_url(row.get("url"), row.where)
        # The folder and the name in the address.
        parts = [part for part in unquote(urlsplit(url).path).split("/") if part][-2:]
        path = checked_path(row.get("path") or posixpath.join("", *parts), row.where)
        sha256 = row.get("sha256").lower()
        if sha256 and not re.fullmatch("[0-9a-f]{64}", sha256):
            raise DataError(
                "wrong sha256: expected 64 hexadecimal digits or nothing. "
                f"Received: {sha256[:80]!r} in {row.where}"
            )
        yield ListedImage(url, path, sha256, line), row.where


def _of_fields(
    rows: Sequence[Row], header: Sequence[str], channels: Sequence[str], template: str
) -> Iterator[tuple[ListedImage, str]]:
    """Yields the images of a table of fields, and where they stand."""
    suffix = _check_template(template, header)
    for line, row in enumerate(rows):
        values = {name: quote(row.get(name), safe="/") for name in header}
        if "{antibody_number}" in template:
            antibody = _part_of(row, "antibody", _ANTIBODY, "HPA or CAB and a number")
            values["antibody_number"] = antibody[1]
        expected = ".../<plate>_<position>_<sample>_"
        filename = _part_of(row, "filename", _FILENAME, expected)
        values["name"] = filename[1]
        for channel in channels:
            values["channel"] = channel
            url = checked_url(template.format_map(values), row.where)
            path = f"{filename[2]}/{filename[1]}_{channel}{suffix}"
            yield ListedImage(url, path, "", line), row.where


def _unique(found: Iterable[tuple[ListedImage, str]]) -> list[ListedImage]:
    """Returns each image once; the paths must differ in more than letter case."""
    seen: dict[str, tuple[ListedImage, str]] = {}
    for image, where in found:
        first, before = seen.setdefault(image.path.lower(), (image, where))
        if dataclasses.replace(image, line=first.line) != first:
            raise DataError(
                "two images have the same path: expected a path for each. "
                f"Received: {image.path!r} in {where} and in {before}"
            )
    return [image for image, _ in seen.values()]


def _shows(image: ListedImage, channels: Sequence[str]) -> bool:
    """Whether an image's name tells one of the channels, or none at all."""
    found = _COLOURS.search(image.path)
    return found is None or not set(channels).isdisjoint(found[1].lower().split("_"))


def _part_of(row: Row, column: str, form, expected: str) -> re.Match:
    found = re.fullmatch(form, row.get(column))
    if found is None:
        received = f"{column}={row.get(column)!r} in {row.where}"
        raise DataError(f"wrong {column}: expected {expected}. Received: {received}")
    return found


def _check_template(template: str, header: Sequence[str]) -> str:
    """Returns the ending of the addresses that a template makes."""
    known = {"channel", "name", "antibody_number", *header}
    try:
        parts = list(string.Formatter().parse(template))
        suffix = _SUFFIX.search(urlsplit(template).path)
    except ValueError:
        parts, suffix = [], None
    names = {name for _, name, _, _ in parts if name is not None}
    plain = not any(spec or conversion for _, _, spec, conversion in parts)
    if not plain or "channel" not in names or not names <= known or not suffix:
        raise UserError(
            "wrong --url: expected an address that ends as an image's, with {channel} "
            f"and other names only of {', '.join(sorted(known))}. Received: {template}"
        )
    return suffix[0].lower()
