"""Tiny fields with nuclei at known places, for the tests of cropping."""

from pathlib import Path

import numpy as np

from data_prep.cropping import field_crops, pipeline
from data_prep.cropping.crop_settings import CropSettings
from data_prep.fields import Field, FieldFolder, Plane
from tfvqgen.data import images

CHANNELS = ("red", "green", "blue", "yellow")
PIXEL_SIZE = 0.32
RADIUS = 14
# Rows and columns of the middles; the last nucleus is in the last rows, and the crop
# of 64 pixels around it fits in a field of 192.
PLACES = ((40, 50), (60, 130), (110, 60), (150, 150))
SETTINGS = CropSettings(
    channels=CHANNELS,
    dtype="uint8",
    nucleus_channel="blue",
    protein_channel="green",
    crop_size=64,
)


def draw_field(seed=0, places=PLACES, side=192, dtype="uint8", dim=1.0):
    """Returns [side, side, 4]: discs in blue, around them the other channels."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    image = rng.normal((4, 6, 5, 7), 0.7, size=(side, side, 4))
    for row, column in places:
        distance = np.hypot(rows - row, columns - column)
        image[..., 2] += 120 * np.clip(RADIUS - distance, 0, 1)
        image[..., 1] += 60 * np.clip(RADIUS + 8 - distance, 0, 1)
        image[..., 0] += 30 * np.clip(RADIUS + 12 - distance, 0, 1)
    top = np.iinfo(dtype).max
    return np.clip(image * dim * top / 255, 0, top).astype(dtype)


def write_fields(folder: Path, arrays, channels=CHANNELS, **attributes) -> FieldFolder:
    """Writes fields called f0, f1, ... as one grey PNG a channel."""
    folder.mkdir(parents=True, exist_ok=True)
    fields = []
    for index, array in enumerate(arrays):
        planes = {}
        for place, channel in enumerate(channels):
            path = folder / f"f{index}_{channel}.png"
            images.write_image(path, array[..., place : place + 1])
            planes[channel] = Plane(path)
        known = {
            "labels": ("Cytosol",) if index % 2 else ("Nucleoplasm", "Cytosol"),
            "group": f"well{index // 2}",
            "metadata": {"codec": "png"},
            "pixel_size": PIXEL_SIZE,
        }
        fields.append(Field(f"f{index}", planes, **{**known, **attributes}))
    return FieldFolder("drawn", folder, channels, tuple(fields), False, "drawn")


def crop(folder: FieldFolder, output: Path, settings=SETTINGS, **options):
    """Crops fields in this process."""
    options = {"runner": lambda tasks: map(field_crops.write_field, tasks), **options}
    return pipeline.crop_fields(folder, output, settings, **options)
