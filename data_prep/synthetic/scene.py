"""Images of tissue with their truth: crops around cells, or fields with defects."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data_prep.segmentation.nuclei import numbered
from data_prep.synthetic import wells
from data_prep.synthetic.canvas import Canvas, random_noise
from data_prep.synthetic.cell_outlines import (
    CellOutlines,
    cells_around_crops,
    cells_of_field,
)
from data_prep.synthetic.proteins import stain_markers, stain_protein
from data_prep.synthetic.tissue import Tissue, paint
from data_prep.synthetic.wells import CHANNELS, CROP_SIDE, Well

FIELD_SIDE = 512.0  # Units of tissue that a field shows, for any number of pixels.
KINDS = ("blur", "saturation", "debris", "empty")
MAX_CELLS_OF_EMPTY = 3
_HAZE_UNITS = 22.0  # Width of the light that is out of focus.
_READ_NOISE = 0.006


@dataclass(frozen=True)
class Scene:
    """An image of tissue, its true labels, and the maps that it was drawn from."""

    image: np.ndarray  # uint8 [H, W, 4] in the order of `CHANNELS`.
    nuclei: np.ndarray  # uint16 labels [H, W] with the numbers of their cells.
    cells: np.ndarray  # uint16 labels [H, W] from 1 without gaps.
    tissue: Tissue


@dataclass(frozen=True)
class SyntheticCrop:
    """A crop around a nucleus with its truth: a window of a scene."""

    image: np.ndarray
    nuclei: np.ndarray
    cells: np.ndarray
    cell: int  # Number of the cell in the middle.
    x: int  # Pixel of the scene in the middle of the crop.
    y: int


@dataclass(frozen=True)
class Defect:
    """A defect and its box in pixels.

    The strength of a blur is its deviation in units, that of saturation the factor of
    the light, that of debris its peak, and that of an empty field its number of cells.
    """

    kind: str  # One of `KINDS`.
    extent: str  # "field" or "region".
    channels: tuple[str, ...]  # The channels that it changes.
    x: int
    y: int
    width: int
    height: int
    strength: float

    @property
    def window(self) -> tuple[slice, slice]:
        """The box as slices of rows and columns."""
        rows = slice(self.y, self.y + self.height)
        return rows, slice(self.x, self.x + self.width)


@dataclass(frozen=True)
class SyntheticField:
    """A field, its defects, and its pixel size in micrometres."""

    scene: Scene
    defects: list[Defect]
    pixel_size: float


def draw_scene(
    well: Well,
    cells: CellOutlines,
    side: float,
    scale: float,
    vignetting: float = 0.0,
    spoil: Callable[[list[np.ndarray]], list[np.ndarray]] | None = None,
) -> Scene:
    """Draws cells on a square of `side` units and takes their image.

    `scale` is in pixels per unit, and `vignetting`, in [0, 1), is how much darker the
    corners are. `spoil` changes the light of the four channels before the camera.
    """
    rng = well.rng(wells.PAINT)
    tissue = paint(Canvas(side, scale, well.blur), cells, rng)
    markers = stain_markers(tissue, well, rng)
    protein = stain_protein(tissue, markers, well, rng)
    light = [markers.microtubules, protein, markers.chromatin, markers.reticulum]
    if spoil is not None:
        light = spoil(light)
    mask = numbered(tissue.owner).astype(np.uint16)
    image = _expose(light, well, scale, vignetting)
    return Scene(image, mask * (tissue.nucleus > 0), mask, tissue)


def draw_crops(well: Well, count: int, size: int) -> list[SyntheticCrop]:
    """Draws a well and cuts a crop around each of its first `count` cells.

    A crop of `size` x `size` pixels shows the same 41 micrometres at any size.
    """
    scale = size / CROP_SIDE
    cells, side = cells_around_crops(well, CROP_SIDE / 2 + 1)
    scene = draw_scene(well, cells, side, scale)
    crops = []
    for index in range(count):
        x, y = round(cells.x[index] * scale), round(cells.y[index] * scale)
        top, left = y - size // 2, x - size // 2
        window = (slice(top, top + size), slice(left, left + size))
        own = scene.cells[scene.tissue.owner == index + 1]
        image = np.ascontiguousarray(scene.image[window])
        masks = scene.nuclei[window], scene.cells[window]
        crops.append(SyntheticCrop(image, *masks, int(own.max(initial=0)), x, y))
    return crops


def draw_field(well: Well, size: int, defect_share: float = 0.0) -> SyntheticField:
    """Draws one field of `size` x `size` pixels.

    At 512 pixels a pixel is 0.32 micrometres. `defect_share` is the probability that
    the field has defects.
    """
    scale = size / FIELD_SIDE
    defects = plan_defects(well, size, defect_share)
    is_empty = defects and defects[0].kind == "empty"
    num_cells = int(defects[0].strength) if is_empty else None
    cells = cells_of_field(well, FIELD_SIDE, num_cells)
    shade = float(well.rng(wells.SHADE).uniform(0.05, 0.25))
    scene = draw_scene(
        well, cells, FIELD_SIDE, scale, shade, lambda x: spoil(x, defects, well, scale)
    )
    return SyntheticField(scene, defects, wells.UNIT_IN_MICROMETRES / scale)


def _expose(
    light: list[np.ndarray], well: Well, scale: float, vignetting: float
) -> np.ndarray:
    """Takes the image, uint8 [H, W, C], of light [H, W] per channel."""
    rng = well.rng(wells.CAMERA)
    (side, _), shade = light[0].shape, 1.0
    # Smooth weights [side, knots] of coarse knots, whose rows sum to 1.
    sigma = _HAZE_UNITS * scale
    knots = np.arange(0, side + sigma, sigma)
    weights = np.exp(-0.5 * ((np.arange(side)[:, None] - knots[None, :]) / sigma) ** 2)
    weights[weights < 1e-6] = 0  # Denormal numbers are slow to multiply.
    spread = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    if vignetting:
        square = np.square(np.linspace(-1, 1, side, dtype=np.float32))
        shade = 1 - np.float32(vignetting / 2) * (square[:, None] + square)
    image = np.empty((side, side, len(light)), np.uint8)
    for channel, signal in enumerate(light):
        signal = signal * np.float32(well.gains[channel])
        # The haze is the mean around coarse knots, spread out from them.
        coarse = (spread / spread.sum(0)).T @ signal @ (spread / spread.sum(0))
        signal += np.float32(well.haze[channel]) * (spread @ coarse @ spread.T)
        signal = np.maximum(signal * shade + np.float32(well.background[channel]), 0)
        variance = signal * np.float32(1 / well.photons[channel])
        variance += np.float32(_READ_NOISE**2)
        signal += np.sqrt(variance) * random_noise(rng, signal.shape)
        signal = signal * np.float32(255) + np.float32(0.5)
        image[..., channel] = np.clip(signal, 0, 255)
    return image


def plan_defects(well: Well, size: int, share: float) -> list[Defect]:
    """Draws a field's defects: some of one kind with probability `share`, or none."""
    rng = well.rng(wells.DEFECTS)
    kind = KINDS[rng.integers(len(KINDS))]
    if rng.random() >= share:
        return []
    if kind == "debris":
        lumps = []
        for _ in range(rng.integers(2, 6)):
            channels, box = _some_channels(rng, 0.6), _box(rng, size, 0.03, 0.14)
            strength = float(rng.uniform(2, 4))
            lumps.append(Defect(kind, "region", channels, *box, strength))
        return lumps
    extent, box, channels = "field", (0, 0, size, size), CHANNELS
    if kind == "empty":
        strength = float(rng.integers(0, MAX_CELLS_OF_EMPTY + 1))
    elif kind == "blur":
        strength = float(rng.uniform(3, 7))
        if rng.random() < 0.5:
            extent, box = "region", _box(rng, size, 0.4, 0.7)
    else:
        strength = float(rng.uniform(5, 10))
        channels = _some_channels(rng, 0.4)
    return [Defect(kind, extent, channels, *box, strength)]


def _some_channels(rng, share: float) -> tuple[str, ...]:
    chosen = rng.random(len(CHANNELS)) < share
    chosen[rng.integers(len(CHANNELS))] = True
    return tuple(np.array(CHANNELS)[chosen].tolist())


def _box(rng, size: int, low: float, high: float) -> tuple[int, int, int, int]:
    """Returns x, y, width, height of a box whose sides are shares of the field's."""
    width, height = (max(int(side * size), 4) for side in rng.uniform(low, high, 2))
    x, y = (int(rng.integers(0, size - side + 1)) for side in (width, height))
    return x, y, width, height


def spoil(
    light: list[np.ndarray], defects: list[Defect], well: Well, scale: float
) -> list[np.ndarray]:
    """Returns the light of the four channels with the defects in it."""
    from scipy.ndimage import gaussian_filter

    light, rng = list(light), well.rng(wells.DEFECTS)
    for defect in defects:
        patch = _debris(rng, defect, scale) if defect.kind == "debris" else None
        for name in defect.channels:
            index = CHANNELS.index(name)
            if defect.kind == "saturation":
                light[index] = light[index] * np.float32(defect.strength)
            elif defect.kind == "debris":
                light[index] = light[index].copy()
                light[index][defect.window] += patch
            elif defect.kind == "blur":
                blurred = gaussian_filter(light[index], defect.strength * scale)
                mask = fade(light[index].shape, defect)
                light[index] = light[index] * (1 - mask) + blurred * mask
    return light


def fade(shape, defect: Defect) -> np.ndarray:
    """Returns 1 in the box and 0 outside; the border of a region is soft."""
    mask = np.zeros(shape, np.float32)
    mask[defect.window] = 1
    if defect.extent == "region":
        y, x = _inner_coordinates(defect)
        mask[defect.window] = np.clip(4 * (1 - np.maximum(np.abs(y), np.abs(x))), 0, 1)
    return mask


def _debris(rng, defect: Defect, scale: float) -> np.ndarray:
    """Returns a bright lump of ragged outline that ends within its box."""
    radius = np.hypot(*_inner_coordinates(defect))
    ragged = random_noise(rng, radius.shape, max(3 * scale, 0.5))
    depth = 0.75 + 0.20 * ragged - radius
    inside = np.clip(1 - radius, 0, 0.1) * 10
    lump = np.clip(4 * depth, 0, 1) * inside * defect.strength
    return (lump * (1 + 0.15 * ragged)).astype(np.float32)


def _inner_coordinates(defect: Defect) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows [h, 1] and columns [1, w] of the box, from -1 to 1."""
    rows = np.linspace(-1, 1, defect.height, dtype=np.float32)
    columns = np.linspace(-1, 1, defect.width, dtype=np.float32)
    return rows[:, None], columns[None, :]
