"""Fields with their nuclei and crops drawn in, and contact sheets of crops."""

import collections
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data_prep.cropping.crop_quality import reason_kinds, with_decision
from data_prep.cropping.field_crops import CroppedField, CropTask, crop_field
from data_prep.images.field_images import read_field_image
from data_prep.labels import pick_examples
from tfvqgen.data.crops import Crop
from tfvqgen.data.dataset_info import default_display, display_indices
from tfvqgen.data.images import channel_paths, write_image
from tfvqgen.data.sheets import brightening, sheet_of_rows, shown

OVERLAYS = "overlays"
SHEET = "contact_sheet.png"
REJECTED_SHEET = "rejected_sheet.png"
ACCEPTED_COLOUR = (80, 255, 80)
REJECTED_COLOUR = (255, 70, 200)
CONTOUR_COLOUR = (255, 255, 255)
_LEAST_SIDE = 1024  # Pixels: smaller fields are enlarged to show the contours.
_PER_ROW = 8
_MOST_ROWS = 100


def overlay_path(task: CropTask) -> Path:
    """Returns the path of a field's overlay."""
    return Path(task.output) / OVERLAYS / f"{task.field.field_id}.png"


def write_overlay(task: CropTask) -> None:
    """Draws a field with its nuclei and crops."""
    cropped = crop_field(task)
    rows = [with_decision(crop, task.settings.thresholds) for crop in cropped.crops]
    write_image(overlay_path(task), overlay(cropped, rows, task.settings.channels))


def overlay(
    cropped: CroppedField, rows: Sequence[Crop], channels: Sequence[str]
) -> np.ndarray:
    """Draws a field, uint8 [H, W, 3], with the contours of nuclei and boxes of crops.

    The boxes of accepted crops are green and those of rejected ones pink, with the
    number of the crop in the upper left corner.
    """
    from skimage.segmentation import find_boundaries

    display = display_indices(default_display(channels), channels)
    values = cropped.image / np.float32(np.iinfo(cropped.image.dtype).max)
    image = shown(values, display, brightening(values))
    zoom = max(1, _LEAST_SIDE // min(image.shape[:2]))
    image, nuclei = (
        np.repeat(np.repeat(array, zoom, axis=0), zoom, axis=1)
        for array in (image, cropped.nuclei)
    )
    image[find_boundaries(nuclei, connectivity=1, mode="inner")] = CONTOUR_COLOUR
    canvas = Image.fromarray(image)
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(size=13)
    # Accepted crops are drawn last, on top of the others.
    pairs = zip(cropped.corners, rows, strict=True)
    for (top, left), crop in sorted(pairs, key=lambda pair: pair[1].accepted):
        colour = ACCEPTED_COLOUR if crop.accepted else REJECTED_COLOUR
        left, top, side = left * zoom, top * zoom, crop.size * zoom - 1
        draw.rectangle((left, top, left + side, top + side), outline=colour)
        number = crop.crop_id.rpartition("-")[2]
        place = (max(left, 0) + 3, max(top, 0) + 2)
        draw.text(place, number, colour, font, stroke_width=1, stroke_fill="black")
    return np.asarray(canvas)


def write_sheets(
    output: str | os.PathLike, rows: Sequence[Crop], channels: Sequence[str]
) -> None:
    """Writes a sheet with a row for each label, and one with a row for each reason."""
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


def _sheet(output: Path, rows: Sequence[Crop], titles, channels) -> np.ndarray:
    """Draws examples of the crops of each title."""
    counts = collections.Counter(title for each in titles for title in each)
    places = pick_examples(titles, _PER_ROW)
    lines = {}
    for title, count in counts.most_common(_MOST_ROWS):
        images = []
        for place in places[title]:
            files = channel_paths(output / rows[place].path, channels)
            image = np.concatenate([read_field_image(file) for file in files], axis=-1)
            images.append(image / np.float32(np.iinfo(image.dtype).max))
        lines[f"{title} ({count})"] = images
    # One brightness for the whole sheet, so that its crops can be compared.
    gain = brightening(np.stack([*itertools.chain(*lines.values())]))
    display = display_indices(default_display(channels), channels)
    for title, images in lines.items():
        lines[title] = [shown(image, display, gain) for image in images]
    return sheet_of_rows(list(lines.items()))
