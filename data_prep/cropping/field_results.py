"""What a field leaves on disk when it is cropped, and what says that it is done.

A field's images are written first and its result file last; what has a result file is
done. A field that cannot be read leaves an error file instead. The same field and
settings give the same bytes wherever and whenever it is done.
"""

import dataclasses
import os
from pathlib import Path
from typing import Any

from data_prep.cropping.field_crops import CropTask, crop_field, mask_path
from tfvqgen.data.crops import Crop, check_crop
from tfvqgen.data.images import channel_paths, write_image
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import read_sealed_json, whole_file, write_sealed_json

IMAGES = "images"
RESULTS = "fields"
# What a damaged result file may raise.
_DAMAGE = (DataError, KeyError, TypeError, AttributeError)
_RESULT_SUFFIX, _ERROR_SUFFIX = ".json", ".error"


@dataclasses.dataclass(frozen=True)
class FieldOutcome:
    """What became of a field: a count, or why it could not be read."""

    field_id: str
    num_crops: int = 0
    error: str = ""


def write_field(task: CropTask) -> FieldOutcome:
    """Writes a field's crops and then its result file.

    A field that cannot be read is an outcome with an error, and an error file; not
    being able to write is raised.
    """
    field_id = task.field.field_id
    try:
        inputs = inputs_of(task)
        cropped = crop_field(task)
    except (UserError, OSError) as error:
        message = " ".join(str(error).split())
        with whole_file(error_path(task.output, field_id), "w") as file:
            file.write(message + "\n")
        return FieldOutcome(field_id, error=message)
    except Exception as error:
        error.add_note(f"while cropping field {field_id}")
        raise
    rows, sizes = [], []
    for index, crop in enumerate(cropped.crops):
        path = Path(task.output) / crop.path
        channels = task.settings.channels
        digest = write_image(path, cropped.crop_image(index), channels)
        files = channel_paths(path, channels)
        sizes.append([file.stat().st_size for file in files])
        rows.append(dataclasses.replace(crop, sha256=digest))
    result = {
        "inputs": inputs,
        "crops": [dataclasses.asdict(row) for row in rows],
        "bytes": sizes,
    }
    write_sealed_json(result_path(task.output, field_id), result)
    return FieldOutcome(field_id, len(rows))


def inputs_of(task: CropTask) -> dict[str, Any]:
    """Returns what a field's crops are made of, to see later whether it has changed.

    Files are known by name and size: reading them all again would take as long as
    cutting.
    """
    field = task.field
    mask = None if task.masks is None else mask_path(task.masks, field.field_id)
    return {
        "planes": {
            name: [plane.path.name, plane.index, plane.path.stat().st_size]
            for name, plane in field.planes.items()
        },
        "mask": None if mask is None else [mask.name, mask.stat().st_size],
        "labels": list(field.labels),
        "group": field.group,
        "metadata": dict(field.metadata),
        "pixel_size": field.pixel_size,
    }


def result_path(output: str | os.PathLike, field_id: str) -> Path:
    """Returns where a field's result is kept."""
    return Path(output) / RESULTS / f"{field_id}{_RESULT_SUFFIX}"


def error_path(output: str | os.PathLike, field_id: str) -> Path:
    """Returns where it is kept why a field cannot be read."""
    return Path(output) / RESULTS / f"{field_id}{_ERROR_SUFFIX}"


def read_rows(output: str | os.PathLike, field_id: str) -> list[Crop]:
    """Returns the rows of a field that was done."""
    return _rows(read_sealed_json(result_path(output, field_id)))


def read_outcome(task: CropTask) -> FieldOutcome:
    """Returns what became of a field, from the files that it has left."""
    field_id = task.field.field_id
    error = error_path(task.output, field_id)
    if error.exists():
        return FieldOutcome(
            field_id, error=error.read_text(encoding="utf-8", errors="replace").strip()
        )
    return FieldOutcome(field_id, len(read_rows(task.output, field_id)))


def _rows(result: Any) -> list[Crop]:
    """Makes crops of what a result file holds; `_DAMAGE` says that it is wrong."""
    rows = [Crop(**{**row, "labels": tuple(row["labels"])}) for row in result["crops"]]
    seen: set[str] = set()
    for row in rows:
        check_crop(row, seen, "a result")
    return rows


def is_done(task: CropTask) -> bool:
    """Says whether a field's crops are all there, made of what the field is now."""
    path = result_path(task.output, task.field.field_id)
    if not path.exists():
        return False
    try:
        result = read_sealed_json(path)
        if result["inputs"] != inputs_of(task):
            return False
        _rows(result)
        # After a loss of power files may be empty whose names are there.
        for row, sizes in zip(result["crops"], result["bytes"], strict=True):
            image = Path(task.output) / row["path"]
            files = channel_paths(image, task.settings.channels)
            if [file.stat().st_size for file in files] != sizes:
                return False
    except (*_DAMAGE, OSError, ValueError):
        return False
    return True


def fields_done(output: str | os.PathLike) -> list[str]:
    """Returns the fields that have a result, in order."""
    paths = (Path(output) / RESULTS).glob(f"*{_RESULT_SUFFIX}")
    return sorted(path.name.removesuffix(_RESULT_SUFFIX) for path in paths)


def forget(task: CropTask) -> None:
    """Removes what an earlier state of a field has left."""
    field_id = task.field.field_id
    path = result_path(task.output, field_id)
    if not path.exists():
        return
    try:
        rows = read_rows(task.output, field_id)
        names = [Path(row.path).name for row in rows]
    except _DAMAGE:
        names = []
    path.unlink()
    for name in filter(None, names):
        image = Path(task.output) / IMAGES / name
        for file in channel_paths(image, task.settings.channels):
            file.unlink(missing_ok=True)


def forget_errors(output: str | os.PathLike) -> None:
    """Removes why fields could not be read, so that they are tried again."""
    for path in (Path(output) / RESULTS).glob(f"*{_ERROR_SUFFIX}"):
        path.unlink()
