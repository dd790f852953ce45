"""A field of view: where its channels are, and what is known about it.

Every layout of images on disk becomes these, so that what comes after (segmentation,
cropping, shards) knows one form.
"""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

# Safe as a part of a file name, and not hidden.
FIELD_ID = re.compile(r"[\w-][\w.-]{0,119}")


@dataclasses.dataclass(frozen=True)
class Plane:
    """Where one channel of a field is.

    Attributes:
        path: The file: PNG, TIFF or JPEG, or one of them with ``.gz``.
        index: Which channel of the file, from 0 (R, G, B, A = 0, 1, 2, 3); None: the
            file is grey.
    """

    path: Path
    index: int | None = None


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of view, or one ready-made crop.

    Attributes:
        field_id: Unique in its folder, and safe as a part of a file name.
        planes: Channel name -> where it is, in the channels' order.
        labels: Names of localizations as the source spells them; none: unknown.
        group: Its antibody, gene or well; the field where nothing better is known.
        metadata: ``codec``, ``gene``, ``antibody``, ``cell_line``, ...: columns of
            ``crops.csv``.
        pixel_size: Micrometres a pixel, None if unknown.
    """

    field_id: str
    planes: Mapping[str, Plane]
    labels: tuple[str, ...]
    group: str
    metadata: Mapping[str, str]
    pixel_size: float | None


@dataclasses.dataclass(frozen=True)
class FieldFolder:
    """A folder of fields as read from disk; no image has been opened for it.

    Attributes:
        layout: The layout's name.
        folder: Where it is.
        channels: The channels' names in order, the same in every field.
        fields: In the order of their ids.
        labels_ordered: Whether a field's first label is its main one.
        credit: Licence and source line.
    """

    layout: str
    folder: Path
    channels: tuple[str, ...]
    fields: tuple[Field, ...]
    labels_ordered: bool
    credit: str
