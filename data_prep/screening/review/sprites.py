"""Sprite sheets: thumbnails of crops, many in one JPEG, as the page shows them.

Sheets are named after what is on them, so that a run that was interrupted goes on, and
a browser never shows an old one. Shapes: [H, W, C] height, width, channels.
"""

import hashlib
import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from data_prep import processes
from tfvqgen.data import sheets
from tfvqgen.data.crops import Crop, CropFolder
from tfvqgen.data.dataset_info import default_display, display_indices
from tfvqgen.data.images import read_image
from tfvqgen.files import whole_file

TILE = 64
TILES_A_SIDE = 32
PER_SHEET = TILES_A_SIDE**2
_QUALITY = 80
_SAMPLE = 128


class Thumbnails:
    """Makes thumbnails of crops, all brightened by the same factors."""

    def __init__(self, folder: CropFolder, tile: int = TILE):
        self._folder, self._tile = folder, tile
        shown = default_display(folder.channels)
        self._display = display_indices(shown, folder.channels)
        step = max(1, len(folder.rows) // _SAMPLE)
        sample = [
            self._unit(crop).reshape(-1, len(folder.channels))
            for crop in folder.rows[::step]
        ]
        self.gain = sheets.brightening(np.concatenate(sample))

    def __call__(self, crop: Crop) -> np.ndarray:
        """Returns a crop's thumbnail, uint8 [tile, tile, 3], its margins black."""
        picture = Image.fromarray(
            sheets.shown(self._unit(crop), self._display, self.gain)
        )
        scale = self._tile / max(picture.size)
        size = [max(1, round(side * scale)) for side in picture.size]
        how = Image.Resampling.BOX if scale < 1 else Image.Resampling.NEAREST
        tile = Image.new("RGB", (self._tile, self._tile))
        place = [(self._tile - side) // 2 for side in size]
        tile.paste(picture.resize(size, how), place)
        return np.asarray(tile)

    def _unit(self, crop: Crop) -> np.ndarray:
        image = read_image(self._folder.image_path(crop), self._folder.channels)
        return image.astype(np.float32) / np.iinfo(image.dtype).max


def write_sheets(
    output: Path, folder: CropFolder, crops: Sequence[Crop], hashes: Sequence[str]
) -> list[str]:
    """Writes the sheets of crops in their order, and removes others.

    Args:
        output: Made if need be.
        folder: Where the images are.
        crops: In the order of the tiles.
        hashes: Of their images.

    Returns:
        The sheets' names in order.
    """
    output.mkdir(parents=True, exist_ok=True)
    thumbnails = Thumbnails(folder)
    names = []
    with (
        ThreadPoolExecutor(processes.num_cores()) as pool,
        tqdm(total=len(crops), unit="crop", desc="thumbnails") as progress,
    ):
        for start in range(0, len(crops), PER_SHEET):
            part = slice(start, start + PER_SHEET)
            about = [*hashes[part], thumbnails.gain.tolist(), TILE, TILES_A_SIDE]
            key = hashlib.sha256(repr(about).encode()).hexdigest()
            names.append(f"{key[:16]}.jpg")
            if not (output / names[-1]).exists():
                tiles = pool.map(thumbnails, crops[part])
                with whole_file(output / names[-1]) as file:
                    file.write(_jpeg(sheet_of(tiles, TILES_A_SIDE)))
            progress.update(len(crops[part]))
    for path in output.glob("*.jpg"):
        if path.name not in names:
            path.unlink()
    return names


def sheet_of(tiles: Iterator[np.ndarray], side: int) -> np.ndarray:
    """Lays tiles in rows of `side`: uint8 [rows * tile, side * tile, 3].

    A last sheet of few tiles has fewer rows, but is as wide as the others.
    """
    tiles = list(tiles)
    size = len(tiles[0])
    sheet = np.zeros((-(-len(tiles) // side) * size, side * size, 3), np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // side * size, number % side * size
        sheet[top : top + size, left : left + size] = tile
    return sheet


def _jpeg(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=_QUALITY, subsampling=0)
    return file.getvalue()
