"""One row of ``crops.csv``: what it holds, and what it must not."""

import dataclasses
import math
import re
from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath

from tfvqgen.errors import DataError

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
