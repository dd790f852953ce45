"""Crops to be sharded, wherever they come from: a table of crops, or a layout.

Shapes: [H, W, C] height, width, channels.
"""

import dataclasses
import hashlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from data_prep.fields import Field, FieldFolder
from data_prep.images.field_images import read_field, whole_png
from tfvqgen.data import images
from tfvqgen.data.crops import Crop, CropFolder
from tfvqgen.errors import DataError


class StoredImage(NamedTuple):
    """An image as read.

    Attributes:
        pixels: uint8 or uint16 [H, W, C].
        path: Where it was, for messages.
        png: A PNG that holds these very pixels, if there was one.
    """

    pixels: np.ndarray
    path: str
    png: bytes | None


@dataclasses.dataclass(frozen=True)
class CropSource:
    """Crops and how their images are read.

    Attributes:
        channels: Names of the channels in order.
        dtype: ``uint8`` or ``uint16``.
        labels_ordered: Whether a crop's first label is its main one.
        credit: Licence and source line.
        rows: The crops.
        read: Reads a crop's image; any thread may call it.
    """

    channels: tuple[str, ...]
    dtype: str
    labels_ordered: bool
    credit: str
    rows: list[Crop]
    read: Callable[[Crop], StoredImage]


def source_of_table(folder: CropFolder) -> CropSource:
    """Returns the crops of a folder with ``crops.csv``."""

    def read(crop: Crop) -> StoredImage:
        path = folder.image_path(crop)
        files = images.read_image_bytes(path, folder.channels)
        digest = hashlib.sha256(b"".join(files)).hexdigest() if crop.sha256 else ""
        if digest != crop.sha256:
            raise DataError(
                "an image is not the one of its table: expected the sha256 in "
                f"crops.csv. Received: {path}"
            )
        pixels = images.decode_files(path, files)
        return StoredImage(pixels, str(path), files[0] if len(files) == 1 else None)

    return CropSource(
        channels=folder.channels,
        dtype=folder.dtype,
        labels_ordered=folder.labels_ordered,
        credit=folder.credit,
        rows=folder.rows,
        read=read,
    )


def source_of_layout(folder: FieldFolder) -> CropSource:
    """Returns ready-made crops, each of which is a field of a layout.

    Raises:
        DataError: The first image can't be read.
    """
    fields = {field.field_id: field for field in folder.fields}

    def read(crop: Crop) -> StoredImage:
        field = fields[crop.crop_id]
        path = str(next(iter(field.planes.values())).path)
        return StoredImage(read_field(field), path, whole_png(field))

    return CropSource(
        channels=folder.channels,
        dtype=read_field(folder.fields[0]).dtype.name,
        labels_ordered=folder.labels_ordered,
        credit=folder.credit,
        rows=[_crop(folder, field) for field in folder.fields],
        read=read,
    )


def _crop(folder: FieldFolder, field: Field) -> Crop:
    first = next(iter(field.planes.values())).path
    return Crop(
        crop_id=field.field_id,
        path=first.relative_to(folder.folder).as_posix(),
        labels=field.labels,
        group=field.group,
        pixel_size=field.pixel_size,
        metadata=field.metadata,
    )
