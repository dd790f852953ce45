"""One field's crops: what a task is, and how a field is read, measured and cut.

Legend: [h, w, C] rows, columns and channels of a field at the crops' scale, N nuclei.
"""

import dataclasses
import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data_prep.cropping import crop_quality, cutting
from data_prep.cropping.crop_settings import USUAL_PIXEL_SIZE, CropSettings
from data_prep.cropping.cutting import centres
from data_prep.fields import Field
from data_prep.images.field_images import read_field, read_mask_file
from data_prep.segmentation.masks import labels_of_mask, nuclei_of_cells
from data_prep.segmentation.nuclei import Segmentation, segment_nuclei
from tfvqgen.data.crops import COLUMNS, Crop, image_name
from tfvqgen.errors import DataError

_MASK_SUFFIXES = (".png", ".tif", ".tiff", ".png.gz", ".tif.gz", ".tiff.gz")
_TAKEN = {*COLUMNS, "sha256", *crop_quality.COLUMNS}


@dataclasses.dataclass(frozen=True)
class CropTask:
    """One field's work.

    Attributes:
        field: The field.
        settings: How to cut.
        output: The folder of the crops.
        masks: A folder with ``<field_id>.png`` or ``.tif``, None for no masks.
    """

    field: Field
    settings: CropSettings
    output: str
    masks: str | None = None


@dataclasses.dataclass(frozen=True)
class CroppedField:
    """A field at the crops' scale and its crops, row i about box i.

    Attributes:
        image: uint8 or uint16 [h, w, C] in the crops' intensities.
        nuclei: int32 labels [h, w], 1 to N.
        owners: int32 [h, w], which cell a pixel belongs to, if neighbours are masked.
        boxes: Where the crops are.
        crops: Their rows, still without sha256 and not judged.
    """

    image: np.ndarray
    nuclei: np.ndarray
    owners: np.ndarray | None
    boxes: list[cutting.Box]
    crops: list[Crop]

    def crop_image(self, index: int) -> np.ndarray:
        """Returns the image of a crop, [S, S, C]."""
        crop = cutting.cut(self.image, self.boxes[index])
        if self.owners is None:
            return crop
        owner = cutting.cut(self.owners, self.boxes[index])
        return cutting.without_neighbours(crop, owner, index + 1)


def crop_field(task: CropTask, segment: Segmentation = segment_nuclei) -> CroppedField:
    """Reads a field, finds its nuclei and measures the cell around each.

    Raises:
        DataError: The field or its mask cannot be read.
    """
    settings, field = task.settings, task.field
    image = read_field(field)
    _check_depth(image, task)
    pixel_size, scale = scale_of(field, settings)
    planes = cutting.reduced(image, scale)
    given = _given_mask(task, image.shape[:2], planes.shape[1:], scale)
    del image  # The largest array by far.
    pixel_size *= scale
    nuclei, cells = _cells_of(given, settings, planes, pixel_size, segment)
    columns = crop_quality.measure(
        cutting.recorded(planes, settings.dtype),
        nuclei,
        pixel_size,
        settings.crop_size,
        nucleus=settings.channel_index(settings.nucleus_channel),
        protein=settings.channel_index(settings.protein_channel),
        cells=cells,
    )
    ranges = cutting.intensity_ranges(planes, settings.dtype, settings.intensity)
    boxes = cutting.boxes(centres(nuclei, cells), settings.crop_size)
    about = {**_range_columns(ranges, settings), **_own_columns(field)}
    return CroppedField(
        image=cutting.stretched(planes, ranges, settings.dtype),
        nuclei=nuclei,
        owners=cutting.owners(nuclei, cells) if settings.mask_neighbours else None,
        boxes=boxes,
        crops=[
            _crop(field, settings, number, box, scale, pixel_size, measured, about)
            for number, (box, measured) in enumerate(
                zip(boxes, columns, strict=True), start=1
            )
        ],
    )


def scale_of(field: Field, settings: CropSettings) -> tuple[float, float]:
    """Returns micrometres a pixel of the field, and how many pixels become one.

    Raises:
        DataError: The pixels' size is not known.
    """
    pixel_size = settings.pixel_size or field.pixel_size
    if pixel_size is None:
        raise DataError(
            "the size of pixels is unknown: expected --pixel_size in micrometres. "
            f"Received: field {field.field_id}"
        )
    if settings.scale is not None:
        return pixel_size, settings.scale
    return pixel_size, cutting.working_scale(pixel_size, USUAL_PIXEL_SIZE)


def mask_path(folder: str | os.PathLike, field_id: str) -> Path:
    """Returns a field's mask.

    Raises:
        DataError: There is none.
    """
    names = [f"{field_id}{suffix}" for suffix in _MASK_SUFFIXES]
    for name in names:
        if (path := Path(folder) / name).is_file():
            return path
    raise DataError(
        f"no mask for a field: expected {names[0]} or .tif in {folder}. "
        f"Received: field {field_id}"
    )


def _check_depth(image: np.ndarray, task: CropTask) -> None:
    if image.dtype.name != task.settings.dtype:
        raise DataError(
            f"a field of another depth: expected {task.settings.dtype} as in the first "
            "field; crops of another depth need a folder of their own. "
            f"Received: {image.dtype.name} in field {task.field.field_id}"
        )


def _given_mask(
    task: CropTask, full: tuple[int, ...], shape: tuple[int, ...], scale: float
) -> np.ndarray | None:
    """Returns the labels that are given for a field, at the crops' scale."""
    if task.masks is None:
        return None
    path = mask_path(task.masks, task.field.field_id)
    mask = read_mask_file(path)
    if mask.shape[:2] == full:
        # Reduction has cut off what does not fill a pixel.
        mask = mask[: round(shape[0] * scale), : round(shape[1] * scale)]
    try:
        return labels_of_mask(mask, shape)
    except DataError as error:
        raise DataError(f"{error}, in {path}") from None


def _cells_of(
    given: np.ndarray | None,
    settings: CropSettings,
    planes: np.ndarray,
    pixel_size: float,
    segment: Segmentation,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns labels of nuclei, and of cells where they are given."""
    if given is not None and settings.mask_kind == "nuclei":
        return given, None
    index = settings.channel_index(settings.nucleus_channel)
    plane = planes[index] / np.float32(np.iinfo(settings.dtype).max)
    found = segment(plane, pixel_size)
    if given is None:
        return found, None
    return nuclei_of_cells(given, found), given


def _crop(
    field: Field,
    settings: CropSettings,
    number: int,
    box: cutting.Box,
    scale: float,
    pixel_size: float,
    measured: Mapping[str, float],
    about: Mapping[str, str],
) -> Crop:
    crop_id = f"{field.field_id}-{number:03d}"
    y, x = (place * scale for place in box.centre)
    return Crop(
        crop_id=crop_id,
        path=image_name(crop_id, len(settings.channels)),
        labels=tuple(field.labels),
        group=field.group,
        field=field.field_id,
        x=_plain(x),
        y=_plain(y),
        size=settings.crop_size,
        pixel_size=round(pixel_size, 9),
        metadata={**{name: _cell(v) for name, v in measured.items()}, **about},
    )


def _plain(place: float) -> float | int:
    place = round(place, 3)
    return int(place) if place.is_integer() else place


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.10g}"


def _range_columns(ranges, settings: CropSettings) -> dict[str, str]:
    """Returns what became 0 and full in each channel, as shares of what the type holds.

    With a fixed range the settings say it.
    """
    if settings.intensity.mode == "fixed":
        return {}
    top = np.iinfo(settings.dtype).max
    return {
        f"{name}_{end}": f"{value / top:.5f}"
        for name, pair in zip(settings.channels, ranges, strict=True)
        for end, value in zip(("low", "high"), pair, strict=True)
    }


def _own_columns(field: Field) -> dict[str, str]:
    """Returns what is known about the field under names that no other column has."""
    return {
        f"field_{name}" if name in _TAKEN else name: value
        for name, value in field.metadata.items()
    }
