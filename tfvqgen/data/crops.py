"""Folders of crops: images, ``crops.csv`` and ``crops.json``."""

import csv
import dataclasses
import functools
import hashlib
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from tfvqgen.data.images import (
    CHANNEL_PLACEHOLDER,
    DTYPES,
    MAX_CHANNELS,
    MAX_PNG_CHANNELS,
    channel_paths,
    read_image_bytes,
)
from tfvqgen.errors import DataError
from tfvqgen.files import read_json, write_json, write_table
from tfvqgen.validation import key, read

TABLE = "crops.csv"
# The table of generated cells has another name, so that they are not taken for real.
SAMPLES_TABLE = "samples.csv"
LABEL_SEPARATOR = "|"
COLUMNS = (
    "crop_id",
    "path",
    "labels",
    "group",
    "field",
    "x",
    "y",
    "size",
    "pixel_size",
    "accepted",
    "reason",
)
# By column: the valid numbers in words, a bound below them, and whether it is whole.
_NUMBERS = {
    "x": ("a number", -math.inf, False),
    "y": ("a number", -math.inf, False),
    "size": ("a whole number above 0", 0, True),
    "pixel_size": ("a number above 0", 0, False),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Crop:
    """One row of ``crops.csv``.

    Attributes:
        crop_id: Unique within the table.
        path: The image, relative to the table, with forward slashes.
        labels: Names of localizations; none means unknown.
        group: One well or antibody; crops of a group never go to different splits.
        field: The field of view that contains the crop.
        x: Column of the crop's centre in the field's pixels, if known.
        y: Row of the crop's centre in the field's pixels, if known.
        size: Side in pixels.
        pixel_size: Micrometres per pixel, if known.
        accepted: Whether the crop is used.
        reason: Why the crop is not accepted.
        metadata: Further columns by name, e.g. ``gene`` or ``synthetic``.
        sha256: Hex sha256 of the image's bytes, as ``write_image`` returns it.
    """

    crop_id: str
    path: str
    labels: tuple[str, ...]
    group: str
    field: str = ""
    x: float | None = None
    y: float | None = None
    size: int | None = None
    pixel_size: float | None = None
    accepted: bool = True
    reason: str = ""
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    sha256: str = ""


@dataclasses.dataclass(frozen=True)
class CropsInfo:
    """The contents of ``crops.json``.

    Attributes:
        channels: The names of the channels in order.
        dtype: ``uint8`` or ``uint16``.
        labels_ordered: Whether the first label of a crop is its main label.
        credit: Licence and source of the images.
    """

    channels: tuple[str, ...] = key(
        pattern=r"[\w .+-]+", max_items=MAX_CHANNELS, unique=True
    )
    dtype: str = key(choices=DTYPES)
    labels_ordered: bool
    credit: str


@dataclasses.dataclass(frozen=True)
class CropFolder(CropsInfo):
    """A folder of crops as read from disk, in the order of its table."""

    folder: Path  # Paths are relative to it.
    rows: list[Crop]

    def image_path(self, crop: Crop) -> Path:
        """Returns the path of a crop's image, for ``read_image``.

        Raises:
            DataError: A link leads out of the folder.
        """
        path = self.folder / crop.path
        for file in channel_paths(path, self.channels):
            real = Path(os.path.realpath(file)) if file.is_symlink() else None
            if not (real or _real(file.parent)).is_relative_to(_real(self.folder)):
                raise DataError(
                    "a link leaves the folder: expected images in the folder of the "
                    f"table. Received: {file}"
                )
        return path

    def image_hash(self, crop: Crop) -> str:
        """Returns the sha256 of a crop's image, which is read if the table has none."""
        if crop.sha256:
            return crop.sha256
        files = read_image_bytes(self.image_path(crop), self.channels)
        return hashlib.sha256(b"".join(files)).hexdigest()


@functools.lru_cache
def _real(folder: Path) -> Path:
    """Returns a folder without links; called for every image."""
    return Path(os.path.realpath(folder))


def image_name(crop_id: str, num_channels: int) -> str:
    """Returns ``images/<crop_id>.png``, with ``_{channel}`` if one PNG is too few."""
    many = num_channels > MAX_PNG_CHANNELS
    return f"images/{crop_id}{'_' + CHANNEL_PLACEHOLDER if many else ''}.png"


def leaves_folder(path: str) -> bool:
    """Returns whether a relative path may lead out of its folder, on any system."""
    parts = (*PurePosixPath(path).parts, *PureWindowsPath(path).parts)
    # A path without parts is the folder itself.
    return (
        not parts
        or ".." in parts
        or path.startswith(("/", "\\", "~"))
        or ":" in parts[0]
        or not path.isprintable()
    )


def write_crops(
    folder: str | os.PathLike,
    rows: Iterable[Crop],
    *,
    channels: Sequence[str],
    dtype: str = "uint8",
    credit: str = "",
    labels_ordered: bool = False,
    table: str = TABLE,
) -> None:
    """Writes ``crops.json`` and then ``crops.csv``; the images have to exist before.

    Args:
        folder: The existing folder of the images.
        rows: The crops; their metadata become columns.
        channels: The names of the channels in order.
        dtype: ``uint8`` or ``uint16``.
        credit: Licence and source of the images.
        labels_ordered: Whether the first label of a crop is its main label.
        table: Another name for ``crops.csv``, and so for ``crops.json``.

    Raises:
        UserError: The rows could not be read back: a repeated crop_id, a path that
            leaves the folder, a label with ``|`` in it, ...
    """
    rows = list(rows)
    table_path = Path(folder) / table
    json_path = table_path.with_suffix(".json")
    info = CropsInfo(tuple(channels), dtype, labels_ordered, credit)
    read(CropsInfo, vars(info), json_path)
    metadata = list(dict.fromkeys(name for row in rows for name in row.metadata))
    header = [*COLUMNS, *metadata, "sha256"]
    _check_header(header, f"the columns of {table}")
    seen: set[str] = set()
    for row in rows:
        check_crop(row, seen, f"crop {row.crop_id!r}")
    write_json(json_path, vars(info))
    lines = (
        [*_cells(row), *(row.metadata.get(name, "") for name in metadata), row.sha256]
        for row in rows
    )
    write_table(table_path, header, lines)


def read_crops(path: str | os.PathLike) -> CropFolder:
    """Reads a folder of crops, or a table of the same form with another name.

    Args:
        path: A folder with ``crops.csv`` and ``crops.json`` (or else ``samples.csv``
            and ``samples.json``), or the path of a CSV file that has a JSON file of the
            same name beside it.

    Raises:
        DataError: Something is missing, damaged or ambiguous; names file and line.
    """
    path = Path(path)
    table = path
    if path.suffix.lower() != ".csv":
        tables = [path / TABLE, path / SAMPLES_TABLE]
        table = next((x for x in tables if x.is_file()), tables[0])
    if not table.is_file():
        raise DataError(f"no crops: expected a folder with {TABLE}. Received: {path}")
    json_path = table.with_suffix(".json")
    info = read(CropsInfo, read_json(json_path), json_path)
    return CropFolder(**vars(info), folder=table.parent, rows=_read_table(table))


def check_crop(crop: Crop, seen: set[str], where: str) -> None:
    """Raises a DataError with the place `where` if a table could not hold a crop.

    The id of the crop is added to `seen`, the ids of the crops before it.
    """
    for name in ("crop_id", "path", "group"):
        value = getattr(crop, name)
        if not value or value != value.strip() or not value.isprintable():
            raise _wrong(where, "a name", f"{name}={value!r}")
    if crop.crop_id in seen:
        raise _wrong(where, "every crop_id once", f"crop_id={crop.crop_id!r} again")
    seen.add(crop.crop_id)
    if leaves_folder(crop.path):
        raise _wrong(where, "a path inside the folder", f"path={crop.path!r}")
    for label in crop.labels:
        if not label or LABEL_SEPARATOR in label or label != label.strip():
            raise _wrong(where, f"labels without {LABEL_SEPARATOR!r}", repr(label))
    if not re.fullmatch("([0-9a-f]{64})?", crop.sha256):
        expected = "64 hexadecimal digits or nothing"
        raise _wrong(where, expected, f"sha256={crop.sha256!r}")


def _cells(row: Crop) -> list[str]:
    """Returns the cells of a row in the order of COLUMNS."""
    numbers = (row.x, row.y, row.size, row.pixel_size)
    return [
        row.crop_id,
        row.path,
        LABEL_SEPARATOR.join(row.labels),
        row.group,
        row.field,
        *("" if number is None else str(number) for number in numbers),
        "true" if row.accepted else "false",
        row.reason,
    ]


def _parse_row(cells: dict[str, str], where: str) -> Crop:
    """Makes a crop of the cells of a row by column; errors name `where`."""
    stripped = {name: cell.strip() for name, cell in cells.items()}
    accepted = stripped["accepted"].lower()
    if accepted not in ("true", "false"):
        raise _wrong(where, "true or false", f"accepted={accepted!r}")
    labels = (name.strip() for name in cells["labels"].split(LABEL_SEPARATOR))
    others = [name for name in cells if name not in (*COLUMNS, "sha256")]
    return Crop(
        **{name: stripped[name] for name in ("crop_id", "path", "group", "field")},
        # Repeated labels count once.
        labels=tuple(dict.fromkeys(name for name in labels if name)),
        **{name: _number(stripped[name], name, where) for name in _NUMBERS},
        accepted=accepted == "true",
        reason=cells["reason"],
        metadata={name: cells[name] for name in others if cells[name]},
        sha256=stripped.get("sha256", "").lower(),
    )


def _number(cell: str, name: str, where: str) -> float | int | None:
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    expected, above, whole = _NUMBERS[name]
    # Tables of pandas have whole numbers such as 64.0.
    if not (above < value < math.inf) or (whole and not value.is_integer()):
        raise _wrong(where, f"{expected} or nothing", f"{name}={cell!r}")
    return int(value) if value.is_integer() and name != "pixel_size" else value


def _read_table(table: Path) -> list[Crop]:
    rows: list[Crop] = []
    seen: set[str] = set()
    try:
        with open(table, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_header(header, str(table))
            for cells in filter(None, reader):
                where = f"{table} line {reader.line_num}"
                if len(cells) != len(header):
                    columns = f"{len(header)} columns in every line"
                    raise _wrong(where, columns, f"{len(cells)} columns")
                crop = _parse_row(dict(zip(header, cells, strict=True)), where)
                check_crop(crop, seen, where)
                rows.append(crop)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"damaged table: expected CSV in UTF-8. Received: {table} ({error})"
        ) from None
    return rows


def _check_header(header: Sequence[str], where: str) -> None:
    """Raises a DataError if columns are missing, repeated or reserved."""
    repeated = sorted({name for name in header if header.count(name) > 1 or not name})
    if missing := ", ".join(name for name in COLUMNS if name not in header):
        raise _wrong(where, f"the columns {', '.join(COLUMNS)}", f"no {missing}")
    if repeated:
        raise _wrong(where, "every column to have a unique name", f"{repeated}")
    if "id" in header:
        # The feature crop/id of a record is the crop_id.
        raise _wrong(where, "another name for the metadata", "the column 'id'")


def _wrong(where: str, expected: str, received: str) -> DataError:
    return DataError(
        f"wrong value in {where}: expected {expected}. Received: {received}"
    )
