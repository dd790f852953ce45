"""One row of ``crops.csv``: what it holds, and what it must not."""

import csv
import dataclasses
import functools
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
)
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import read_json, whole_file, write_json

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
LABEL_SEPARATOR = "|"


@dataclasses.dataclass(frozen=True, slots=True)
class Crop:
    """One row of ``crops.csv``.

    Attributes:
        crop_id: Unique within the table.
        path: The image, relative to the table, with forward slashes.
        labels: Names of localizations; none means unknown.
        group: One well or antibody: crops of one group never go to different splits.
        field: The field of view it was cut from.
        x: Column of the crop's centre in the field's pixels, if known.
        y: Row of the crop's centre in the field's pixels, if known.
        size: Side in pixels.
        pixel_size: Micrometres a pixel, if known.
        accepted: Whether it takes part.
        reason: Why it was not accepted.
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


def crop_cells(row: Crop) -> list[str]:
    """Returns a crop's cells in the order of COLUMNS."""
    return [
        row.crop_id,
        row.path,
        LABEL_SEPARATOR.join(row.labels),
        row.group,
        row.field,
        *("" if v is None else str(v) for v in (row.x, row.y, row.size)),
        "" if row.pixel_size is None else str(row.pixel_size),
        "true" if row.accepted else "false",
        row.reason,
    ]


def parse_crop(cells: dict[str, str], where: str) -> Crop:
    """Makes a crop of the cells of its row, by column.

    Raises:
        DataError: A cell is not what its column holds; names `where`.
    """
    accepted = cells.pop("accepted").strip().lower()
    if accepted not in ("true", "false"):
        raise DataError(
            f"wrong value in {where}: expected true or false. "
            f"Received: accepted={accepted!r}"
        )
    labels = (name.strip() for name in cells.pop("labels").split(LABEL_SEPARATOR))
    values = {
        "crop_id": cells.pop("crop_id").strip(),
        "path": cells.pop("path").strip(),
        # A label said twice is said once.
        "labels": tuple(dict.fromkeys(name for name in labels if name)),
        "group": cells.pop("group").strip(),
        "field": cells.pop("field").strip(),
        "x": _number(cells.pop("x"), "x", where),
        "y": _number(cells.pop("y"), "y", where),
        "size": _number(cells.pop("size"), "size", where),
        "pixel_size": _number(cells.pop("pixel_size"), "pixel_size", where),
        "reason": cells.pop("reason"),
        "sha256": cells.pop("sha256", "").strip().lower(),
    }
    metadata = {name: cell for name, cell in cells.items() if cell != ""}
    return Crop(**values, accepted=accepted == "true", metadata=metadata)


def check_crop(crop: Crop, seen: set[str], where: str) -> None:
    """Refuses a crop that could not be kept in a table.

    Args:
        crop: The crop.
        seen: The ids of those before it; its own is added.
        where: What the message names.

    Raises:
        DataError: An id is repeated, a path leaves the folder, ...
    """
    for name in ("crop_id", "path", "group"):
        value = getattr(crop, name)
        if not value or value != value.strip() or not value.isprintable():
            raise DataError(
                f"wrong value in {where}: expected a name. Received: {name}={value!r}"
            )
    if crop.crop_id in seen:
        raise DataError(
            f"wrong value in {where}: expected every crop_id once. "
            f"Received: crop_id={crop.crop_id!r} again"
        )
    seen.add(crop.crop_id)
    parts = (*PurePosixPath(crop.path).parts, *PureWindowsPath(crop.path).parts)
    leaves = ".." in parts or crop.path.startswith(("/", "\\", "~"))
    # No parts: the folder itself.
    if leaves or not parts or ":" in parts[0]:
        raise DataError(
            f"wrong value in {where}: expected a path inside the folder of the table. "
            f"Received: path={crop.path!r}"
        )
    for label in crop.labels:
        if not label or LABEL_SEPARATOR in label or label != label.strip():
            raise DataError(
                f"wrong value in {where}: expected labels' names without "
                f"{LABEL_SEPARATOR!r}. Received: {label!r}"
            )
    if crop.sha256 and not re.fullmatch("[0-9a-f]{64}", crop.sha256):
        raise DataError(
            f"wrong value in {where}: expected 64 hexadecimal digits or nothing. "
            f"Received: sha256={crop.sha256!r}"
        )


def _number(cell: str, name: str, where: str) -> float | int | None:
    if not cell.strip():
        return None
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    expected, fits = {
        "size": ("a whole number above 0", value > 0 and value.is_integer()),
        "pixel_size": ("a number above 0", value > 0),
    }.get(name, ("a number", True))
    if not math.isfinite(value) or not fits:
        raise DataError(
            f"wrong value in {where}: expected {expected} or nothing. "
            f"Received: {name}={cell!r}"
        )
    return int(value) if value.is_integer() and name != "pixel_size" else value


TABLE = "crops.csv"
# That of generated cells, so that nobody takes them for real ones.
SAMPLES_TABLE = "samples.csv"


@dataclasses.dataclass(frozen=True)
class CropFolder:
    """A folder of crops as read from disk.

    Attributes:
        folder: Where the paths start.
        channels: Names of the channels in order.
        dtype: ``uint8`` or ``uint16``.
        labels_ordered: Whether a crop's first label is its main one.
        credit: Licence and source line.
        rows: The crops in the table's order.
    """

    folder: Path
    channels: tuple[str, ...]
    dtype: str
    labels_ordered: bool
    credit: str
    rows: list[Crop]

    def image_path(self, crop: Crop) -> Path:
        """Returns where a crop's image is, to be given to ``read_image``.

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


@functools.lru_cache
def _real(folder: Path) -> Path:
    """Returns a folder without links; it is asked for every image."""
    return Path(os.path.realpath(folder))


def image_name(crop_id: str, num_channels: int) -> str:
    """Returns the usual ``path`` of a crop's image.

    ``images/<crop_id>.png``, or with ``{channel}`` where one PNG is too small.
    """
    many = num_channels > MAX_PNG_CHANNELS
    return f"images/{crop_id}{'_' + CHANNEL_PLACEHOLDER if many else ''}.png"


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
    """Writes ``crops.json`` and then ``crops.csv``; the images must be there before.

    Args:
        folder: An existing folder, in which ``rows`` have their images.
        rows: The crops; every crop's metadata become columns.
        channels: Names of the channels in order.
        dtype: ``uint8`` or ``uint16``.
        credit: Licence and source line.
        labels_ordered: Whether a crop's first label is its main one.
        table: Another name for ``crops.csv``, and so for ``crops.json``.

    Raises:
        UserError: The rows could not be read back: a repeated crop_id, a path that
            leaves the folder, a label with ``|`` in it, ...
    """
    rows = list(rows)
    about = {
        "channels": list(channels),
        "dtype": dtype,
        "labels_ordered": labels_ordered,
        "credit": credit,
    }
    table_path = Path(folder) / table
    about_path = table_path.with_suffix(".json")
    _check_about(about_path, about)
    metadata = list(dict.fromkeys(name for row in rows for name in row.metadata))
    _check_header([*COLUMNS, *metadata, "sha256"], f"the columns of {table}")
    seen: set[str] = set()
    for row in rows:
        check_crop(row, seen, f"crop {row.crop_id!r}")
    write_json(about_path, about)
    with whole_file(table_path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*COLUMNS, *metadata, "sha256"])
        for row in rows:
            extra = [row.metadata.get(name, "") for name in metadata]
            writer.writerow([*crop_cells(row), *extra, row.sha256])


def read_crops(path: str | os.PathLike) -> CropFolder:
    """Reads a folder of crops, or a table of the same form under another name.

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
        raise DataError(
            f"no crops there: expected a folder with {TABLE}. Received: {path}"
        )
    about_path = table.with_suffix(".json")
    about = read_json(about_path)
    _check_about(about_path, about)
    return CropFolder(
        folder=table.parent,
        channels=tuple(about["channels"]),
        dtype=about["dtype"],
        labels_ordered=about["labels_ordered"],
        credit=about["credit"],
        rows=_read_table(table),
    )


def _read_table(table: Path) -> list[Crop]:
    rows: list[Crop] = []
    seen: set[str] = set()
    try:
        with open(table, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_header(header, str(table))
            for cells in reader:
                if not cells:
                    continue
                where = f"{table} line {reader.line_num}"
                if len(cells) != len(header):
                    raise DataError(
                        f"damaged table: expected {len(header)} columns in every line. "
                        f"Received: {len(cells)} in {where}"
                    )
                crop = parse_crop(dict(zip(header, cells, strict=True)), where)
                check_crop(crop, seen, where)
                rows.append(crop)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"damaged table: expected CSV in UTF-8. Received: {table} ({error})"
        ) from None
    return rows


def _check_header(header: Sequence[str], where: str) -> None:
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise DataError(
            f"columns are missing in {where}: expected {', '.join(COLUMNS)}. "
            f"Received: no {', '.join(missing)}"
        )
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice or "" in header:
        raise UserError(
            f"wrong columns in {where}: expected every column to have a name of its "
            f"own. Received: {', '.join(map(repr, twice or ['']))}"
        )
    if "id" in header:
        raise UserError(
            f"wrong columns in {where}: expected another name for metadata, since "
            "crop/id of the records is crop_id. Received: 'id'"
        )


def _check_about(path: Path, about: object) -> None:
    def refuse(expected: str, received: object) -> None:
        raise DataError(f"wrong {path}: expected {expected}. Received: {received!r}")

    if not isinstance(about, dict):
        refuse("an object", about)
    for name in ("channels", "dtype", "labels_ordered", "credit"):
        if name not in about:
            refuse(f"{name!r}", f"only {sorted(about)}")
    channels = about["channels"]
    if (
        not isinstance(channels, list)
        or not 1 <= len(channels) <= MAX_CHANNELS
        or not all(
            isinstance(c, str) and re.fullmatch(r"[\w .+-]+", c) for c in channels
        )
        or len(set(channels)) != len(channels)
    ):
        refuse(f"channels to be 1 to {MAX_CHANNELS} different names", channels)
    if about["dtype"] not in DTYPES:
        refuse(f"dtype to be one of {', '.join(DTYPES)}", about["dtype"])
    if not isinstance(about["labels_ordered"], bool):
        refuse("labels_ordered to be true or false", about["labels_ordered"])
    if not isinstance(about["credit"], str):
        refuse("credit to be a text", about["credit"])
