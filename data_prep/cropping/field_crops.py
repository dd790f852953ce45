"""One field: it is read, its cells are measured, and its crops are cut and written.

The images of a field are written first and its result file last: a field with a result
file is finished. A field that cannot be read leaves an error file instead. The same
field and settings give the same bytes on any machine.

Legend: [h, w, C] rows, columns and channels of a field at the crops' scale, N nuclei,
S side of a crop.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.cropping import crop_quality, cutting
from data_prep.cropping.crop_settings import CropSettings, scale_of
from data_prep.fields import Field
from data_prep.images.field_images import read_field, read_mask_file
from data_prep.segmentation.masks import labels_of_mask, nuclei_of_cells
from data_prep.segmentation.nuclei import segment_nuclei
from tfvqgen.data.crops import COLUMNS, Crop, check_crop, image_name
from tfvqgen.data.images import channel_paths, write_image
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import read_sealed_json, whole_file, write_sealed_json

IMAGES = "images"
RESULTS = "fields"
# Errors that a damaged result file may raise.
_DAMAGE = (DataError, KeyError, TypeError, AttributeError)
_RESULT_SUFFIX, ERROR_SUFFIX = ".json", ".error"
_MASK_SUFFIXES = (".png", ".tif", ".tiff", ".png.gz", ".tif.gz", ".tiff.gz")
_RESERVED_COLUMNS = {*COLUMNS, "sha256", *crop_quality.COLUMNS}


@dataclasses.dataclass(frozen=True)
class CropTask:
    """The task to cut one field."""

    field: Field
    settings: CropSettings
    output: str  # Folder for the crops.
    masks: str | None = None  # Folder with <field_id>.png or .tif.

    @property
    def result_path(self) -> Path:
        """The file that exists when the field is finished."""
        return Path(self.output) / RESULTS / f"{self.field.field_id}{_RESULT_SUFFIX}"

    @property
    def error_path(self) -> Path:
        """The file that exists if the field cannot be read."""
        return self.result_path.with_name(f"{self.field.field_id}{ERROR_SUFFIX}")


@dataclasses.dataclass(frozen=True)
class CroppedField:
    """A field at the crops' scale, with its crops."""

    image: np.ndarray  # uint8 or uint16 [h, w, C] in the crops' intensities.
    nuclei: np.ndarray  # int32 labels [h, w], 1 to N.
    owners: np.ndarray | None  # int32 [h, w], the cell of every pixel, for masking.
    corners: list[tuple[int, int]]  # Row and column of the crops' upper left pixels.
    crops: list[Crop]  # Rows without sha256, `accepted` and `reason`.

    def crop_image(self, index: int) -> np.ndarray:
        """Returns the image of a crop, [S, S, C]."""
        corner, size = self.corners[index], self.crops[index].size
        crop = cutting.cut(self.image, corner, size)
        if self.owners is None:
            return crop
        own = cutting.cut(self.owners, corner, size) == index + 1
        return np.where(own[..., None], crop, 0).astype(crop.dtype)


def crop_field(task: CropTask) -> CroppedField:
    """Reads a field, finds its nuclei and measures the cell around each."""
    settings, field = task.settings, task.field
    image = read_field(field)
    if image.dtype.name != settings.dtype:
        raise DataError(
            f"a field of another depth: expected {settings.dtype} as in the first "
            "field; crops of another depth need a folder of their own. "
            f"Received: {image.dtype.name} in field {field.field_id}"
        )
    pixel_size, scale = scale_of(field, settings)
    planes = cutting.downscale(image, scale)
    mask = _read_mask(task, image.shape[:2], planes.shape[1:], scale)
    del image  # By far the largest array.
    pixel_size *= scale
    nuclei, cells = _find_nuclei(mask, settings, planes, pixel_size)
    columns = crop_quality.measure(
        cutting.rounded(planes, settings.dtype),
        nuclei,
        pixel_size,
        settings.crop_size,
        nucleus=settings.channel_index(settings.nucleus_channel),
        protein=settings.channel_index(settings.protein_channel),
        cells=cells,
    )
    ranges = cutting.intensity_ranges(planes, settings.dtype, settings.intensity)
    centres, masked = cutting.centres(nuclei, cells), settings.mask_neighbours
    corners = cutting.crop_corners(centres, settings.crop_size).tolist()
    return CroppedField(
        image=cutting.rescale_intensity(planes, ranges, settings.dtype),
        nuclei=nuclei,
        owners=cutting.cell_of_pixels(nuclei, cells) if masked else None,
        corners=corners,
        crops=_crop_rows(field, settings, ranges, corners, columns),
    )


def _crop_rows(field, settings: CropSettings, ranges, corners, columns) -> list[Crop]:
    """Returns the rows of a field's crops, still without a decision."""
    pixel_size, scale = scale_of(field, settings)
    size, field_columns = settings.crop_size, {}
    if settings.intensity.mode != "fixed":
        # Each channel's range as shares of the type's maximum.
        top = np.iinfo(settings.dtype).max
        for name, (low, high) in zip(settings.channels, ranges, strict=True):
            field_columns[f"{name}_low"] = f"{low / top:.5f}"
            field_columns[f"{name}_high"] = f"{high / top:.5f}"
    for name, value in field.metadata.items():
        field_columns[f"field_{name}" if name in _RESERVED_COLUMNS else name] = value
    crops = []
    for number, (corner, measured) in enumerate(zip(corners, columns, strict=True), 1):
        crop_id = f"{field.field_id}-{number:03d}"
        places = (round((edge + size / 2) * scale, 3) for edge in corner)
        y, x = (int(place) if place.is_integer() else place for place in places)
        metadata = {
            name: "" if math.isnan(value) else f"{value:.10g}"
            for name, value in measured.items()
        }
        crop = Crop(
            crop_id=crop_id,
            path=image_name(crop_id, len(settings.channels)),
            labels=tuple(field.labels),
            group=field.group,
            field=field.field_id,
            x=x,
            y=y,
            size=size,
            pixel_size=round(pixel_size * scale, 9),
            metadata={**metadata, **field_columns},
        )
        crops.append(crop)
    return crops


def _mask_path(task: CropTask) -> Path | None:
    """Returns the path of a field's mask, None without masks."""
    if task.masks is None:
        return None
    field_id = task.field.field_id
    for suffix in _MASK_SUFFIXES:
        if (path := Path(task.masks) / f"{field_id}{suffix}").is_file():
            return path
    raise DataError(
        f"no mask for a field: expected {field_id}.png or .tif in {task.masks}. "
        f"Received: field {field_id}"
    )


def _read_mask(task: CropTask, full, shape, scale: float) -> np.ndarray | None:
    """Returns the given labels of a field at the crops' scale, None without masks."""
    path = _mask_path(task)
    if path is None:
        return None
    mask = read_mask_file(path)
    if mask.shape[:2] == full:
        # Downscaling has dropped the border that does not fill a pixel.
        mask = mask[: round(shape[0] * scale), : round(shape[1] * scale)]
    try:
        return labels_of_mask(mask, shape)
    except DataError as error:
        raise DataError(f"{error}, in {path}") from None


def _find_nuclei(mask, settings: CropSettings, planes, pixel_size: float):
    """Returns labels of nuclei, and of cells where they are given, else None."""
    if mask is not None and settings.mask_kind == "nuclei":
        return mask, None
    index = settings.channel_index(settings.nucleus_channel)
    plane = planes[index] / np.float32(np.iinfo(settings.dtype).max)
    nuclei = segment_nuclei(plane, pixel_size)
    return (nuclei, None) if mask is None else (nuclei_of_cells(mask, nuclei), mask)


@dataclasses.dataclass(frozen=True)
class FieldOutcome:
    """A field's number of crops, or the error because of which it cannot be read."""

    field_id: str
    num_crops: int = 0
    error: str = ""


def write_field(task: CropTask) -> FieldOutcome:
    """Writes a field's crops and then its result file, or the error file."""
    field_id = task.field.field_id
    try:
        inputs = _inputs_of(task)
        cropped = crop_field(task)
    except (UserError, OSError) as error:
        message = " ".join(str(error).split())
        with whole_file(task.error_path, "w") as file:
            file.write(message + "\n")
        return FieldOutcome(field_id, error=message)
    except Exception as error:
        error.add_note(f"while cropping field {field_id}")
        raise
    rows, sizes = [], []
    for index, crop in enumerate(cropped.crops):
        path, channels = Path(task.output) / crop.path, task.settings.channels
        digest = write_image(path, cropped.crop_image(index), channels)
        sizes.append(_file_sizes(task, crop.path))
        rows.append(dataclasses.asdict(crop) | {"sha256": digest})
    result = {"inputs": inputs, "crops": rows, "bytes": sizes}
    write_sealed_json(task.result_path, result)
    return FieldOutcome(field_id, len(rows))


def _file_sizes(task: CropTask, path: str) -> list[int]:
    files = channel_paths(Path(task.output) / path, task.settings.channels)
    return [file.stat().st_size for file in files]


def _inputs_of(task: CropTask) -> dict[str, Any]:
    """Returns a description of the field, to detect later that it has changed.

    It names the files and their sizes: reading them again would take too long.
    """
    field, mask = task.field, _mask_path(task)
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


def read_rows(task: CropTask) -> list[Crop]:
    """Returns the rows of a finished field."""
    return _rows(read_sealed_json(task.result_path))


def _rows(result: Any) -> list[Crop]:
    """Returns the crops in a result file; raises one of `_DAMAGE` if it is damaged."""
    rows = [Crop(**{**row, "labels": tuple(row["labels"])}) for row in result["crops"]]
    seen: set[str] = set()
    for row in rows:
        check_crop(row, seen, "a result")
    return rows


def read_error(task: CropTask) -> str:
    """Returns the error of a field that cannot be read; empty for other fields."""
    if not task.error_path.exists():
        return ""
    return task.error_path.read_text(encoding="utf-8", errors="replace").strip()


def read_outcome(task: CropTask) -> FieldOutcome:
    """Returns the outcome of a field, from the files that it has left."""
    error = read_error(task)
    num_crops = 0 if error else len(read_rows(task))
    return FieldOutcome(task.field.field_id, num_crops, error)


def is_finished(task: CropTask) -> bool:
    """Returns whether all crops of a field are there and the field is unchanged."""
    if not task.result_path.exists():
        return False
    try:
        result = read_sealed_json(task.result_path)
        _rows(result)
        # After a power failure there may be files that are named but empty.
        sizes = [_file_sizes(task, row["path"]) for row in result["crops"]]
        return result["inputs"] == _inputs_of(task) and sizes == result["bytes"]
    except (*_DAMAGE, OSError, ValueError):
        return False


def finished_fields(output: Path) -> list[str]:
    """Returns the ids of the fields that have a result file, in order."""
    paths = (output / RESULTS).glob(f"*{_RESULT_SUFFIX}")
    return sorted(path.name.removesuffix(_RESULT_SUFFIX) for path in paths)


def remove_field(task: CropTask) -> None:
    """Removes the result file and the images of a field."""
    if not task.result_path.exists():
        return
    try:
        names = [Path(row.path).name for row in read_rows(task)]
    except _DAMAGE:
        names = []
    task.result_path.unlink()
    for name in names:
        image = Path(task.output) / IMAGES / name
        for file in channel_paths(image, task.settings.channels):
            file.unlink(missing_ok=True)
