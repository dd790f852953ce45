"""What a person looks at: fields with their nuclei and boxes, and sheets of crops."""

import collections
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data_prep.cropping.crop_quality import judged, reason_kinds
from data_prep.cropping.field_crops import CroppedField, CropTask, crop_field
from data_prep.images.field_images import read_image_file
from data_prep.images.sheet import pick_examples
from tfvqgen.data.crops import Crop
from tfvqgen.data.dataset_info import COLOURS, default_display
from tfvqgen.data.images import channel_paths, write_image
from tfvqgen.data.sheets import brightening, sheet_of_rows, shown

OVERLAYS = "overlays"
SHEET = "contact_sheet.png"
REJECTED_SHEET = "rejected_sheet.png"
ACCEPTED_COLOUR = (80, 255, 80)
REJECTED_COLOUR = (255, 70, 200)
CONTOUR_COLOUR = (255, 255, 255)
_LEAST_SIDE = 1024  # Pixels: smaller fields are enlarged to see the contours.
_PER_ROW = 8
_MOST_ROWS = 100


def overlay_path(output: str | os.PathLike, field_id: str) -> Path:
    """Returns where the picture of a field is."""
    return Path(output) / OVERLAYS / f"{field_id}.png"


def write_overlay(task: CropTask) -> None:
    """Draws a field as it was cut and judged."""
    cropped = crop_field(task)
    rows = [judged(crop, task.settings.thresholds) for crop in cropped.crops]
    picture = overlay(cropped, rows, task.settings.channels)
    write_image(overlay_path(task.output, task.field.field_id), picture)


def overlay(
    cropped: CroppedField, rows: Sequence[Crop], channels: Sequence[str]
) -> np.ndarray:
    """Draws a field with the contours of its nuclei, and the boxes of its crops.

    Accepted boxes are green and rejected ones pink, with the crop's number in the
    upper left corner.

    Args:
        cropped: The field.
        rows: Its crops, judged.
        channels: The channels' names, of which some are shown red, green and blue.

    Returns:
        uint8 [height, width, 3].
    """
    picture = _field_picture(cropped.image, channels)
    zoom = max(1, _LEAST_SIDE // min(picture.shape[:2]))
    picture, nuclei = (
        np.repeat(np.repeat(array, zoom, axis=0), zoom, axis=1)
        for array in (picture, cropped.nuclei)
    )
    picture[_contours(nuclei)] = CONTOUR_COLOUR
    canvas = Image.fromarray(picture)
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=13)
    # The accepted on top.
    order = sorted(zip(cropped.boxes, rows, strict=True), key=_is_accepted)
    for box, crop in order:
        colour = ACCEPTED_COLOUR if crop.accepted else REJECTED_COLOUR
        left, top = box.left * zoom, box.top * zoom
        side = box.size * zoom - 1
        draw.rectangle((left, top, left + side, top + side), outline=colour)
        number = crop.crop_id.rpartition("-")[2]
        place = (max(left, 0) + 3, max(top, 0) + 2)
        draw.text(place, number, colour, font, stroke_width=1, stroke_fill="black")
    return np.asarray(canvas)


def write_sheets(
    output: str | os.PathLike, rows: Sequence[Crop], channels: Sequence[str]
) -> None:
    """Draws one sheet with a row a label, and one with a row a reason.

    Args:
        output: The folder of the crops.
        rows: All of them.
        channels: The channels' names.
    """
    accepted = [row for row in rows if row.accepted]
    rejected = [row for row in rows if not row.accepted]
    for name, chosen, titles in (
        (SHEET, accepted, [row.labels or ("(unknown)",) for row in accepted]),
        (REJECTED_SHEET, rejected, [reason_kinds(row.reason) for row in rejected]),
    ):
        path = Path(output) / name
        path.unlink(missing_ok=True)
        if chosen:
            write_image(path, _sheet(Path(output), chosen, titles, channels))


def _sheet(
    output: Path,
    rows: Sequence[Crop],
    titles: Sequence[Sequence[str]],
    channels: Sequence[str],
) -> np.ndarray:
    """Draws crops under the titles that each has."""
    counts = collections.Counter(title for each in titles for title in each)
    places = pick_examples(titles, _PER_ROW)
    lines = []
    for title, count in counts.most_common(_MOST_ROWS):
        images = [_read(output, rows[place], channels) for place in places[title]]
        lines.append((f"{title} ({count})", images))
    # One brightness for the whole sheet, so that its crops can be compared.
    gain = brightening(np.stack([image for _, images in lines for image in images]))
    display = _display(channels)
    return sheet_of_rows(
        [
            (title, [shown(image, display, gain) for image in images])
            for title, images in lines
        ]
    )


def _read(output: Path, crop: Crop, channels: Sequence[str]) -> np.ndarray:
    """Reads a crop's image in [0, 1], float32 [S, S, C]; needs no TensorFlow."""
    files = channel_paths(output / crop.path, channels)
    image = np.concatenate([read_image_file(file) for file in files], axis=-1)
    return image / np.float32(np.iinfo(image.dtype).max)


def _field_picture(image: np.ndarray, channels: Sequence[str]) -> np.ndarray:
    values = image / np.float32(np.iinfo(image.dtype).max)
    return shown(values, _display(channels), brightening(values))


def _display(channels: Sequence[str]) -> list[int | None]:
    names = list(channels)
    display = default_display(names)
    return [
        None if display[colour] is None else names.index(display[colour])
        for colour in COLOURS
    ]


def _contours(labels: np.ndarray) -> np.ndarray:
    """Marks the pixels of every object whose right or lower neighbour is another's."""
    edge = np.zeros(labels.shape, bool)
    differs = labels[:-1] != labels[1:]
    edge[:-1] |= differs & (labels[:-1] > 0)
    edge[1:] |= differs & (labels[1:] > 0)
    differs = labels[:, :-1] != labels[:, 1:]
    edge[:, :-1] |= differs & (labels[:, :-1] > 0)
    edge[:, 1:] |= differs & (labels[:, 1:] > 0)
    return edge


def _is_accepted(item: tuple) -> bool:
    return item[1].accepted
