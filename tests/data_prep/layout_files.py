"""Small images of every codec, and tables, for the tests of layouts."""

import gzip
import io
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from tests import support
from tests.data_prep import png_writer

COLOURS = ("red", "green", "blue", "yellow")


def write(path: Path, channels: int = 1, dtype: str = "uint8", seed: int = 0):
    """Writes a random image of 6 x 5 pixels in the codec of its name; returns it."""
    image = support.random_image((6, 5, channels), dtype, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(".png"):
        data = png_writer.write_png(image)
    else:
        file = io.BytesIO()
        if name.endswith(".jpg"):
            Image.fromarray(image.squeeze()).save(file, "JPEG")
            image = np.asarray(Image.open(file)).reshape(image.shape)
        else:
            tifffile.imwrite(file, image.squeeze())
        data = file.getvalue()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return image


def write_colours(stem: Path, suffix: str = ".png", colours=COLOURS, **options):
    """Writes ``<stem>_<colour><suffix>`` for each colour; returns them [6, 5, C]."""
    parts = [
        write(stem.with_name(f"{stem.name}_{colour}{suffix}"), seed=seed, **options)
        for seed, colour in enumerate(colours)
    ]
    return np.concatenate(parts, axis=-1)


def write_table(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path
