"""Pictures of tissue with their truth: a whole field, or crops around cells."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data_prep.synthetic import canvas
from data_prep.synthetic.canvas import Canvas
from data_prep.synthetic.cell_outlines import CellOutlines, cells_around_crops
from data_prep.synthetic.markers import stain_markers
from data_prep.synthetic.proteins import stain_protein
from data_prep.synthetic.tissue import Tissue, paint
from data_prep.synthetic.wells import CAMERA, CROP_SIDE, PAINT, Well


@dataclass(frozen=True)
class Scene:
    """A picture of tissue and what is truly where.

    Attributes:
        image: uint8 [H, W, 4] in the order of ``wells.CHANNELS``.
        nuclei: uint16 [H, W]: the number of the cell whose nucleus is there, or 0.
        cells: uint16 [H, W]: the number of the cell that is there, or 0. Numbers run
            from 1 and are those of `nuclei`.
        tissue: The maps it was drawn from.
    """

    image: np.ndarray
    nuclei: np.ndarray
    cells: np.ndarray
    tissue: Tissue


@dataclass(frozen=True)
class CropPicture:
    """A crop around a nucleus, and its truth in the same window."""

    image: np.ndarray
    nuclei: np.ndarray
    cells: np.ndarray
    cell: int  # the number of the cell in the middle
    x: int  # pixel of the scene that is the crop's middle
    y: int


def draw_scene(
    well: Well,
    cells: CellOutlines,
    side: float,
    scale: float,
    vignetting: float = 0.0,
    spoil: Callable[[list[np.ndarray]], list[np.ndarray]] | None = None,
) -> Scene:
    """Draws cells of a well and takes their picture.

    Args:
        well: Labels, staining, camera.
        cells: Where the cells are.
        side: Units of the square piece of tissue.
        scale: Pixels a unit.
        vignetting: How much darker the corners are, in [0, 1).
        spoil: Changes the light of the four channels before the camera.
    """
    canvas = Canvas(side, scale, well.blur)
    rng = well.rng(PAINT)
    tissue = paint(canvas, cells, rng)
    markers = stain_markers(tissue, well, rng)
    protein = stain_protein(tissue, markers, well, rng)
    light = [markers.microtubules, protein, markers.chromatin, markers.reticulum]
    if spoil is not None:
        light = spoil(light)
    cell_mask = _numbered(tissue.owner)
    return Scene(
        image=expose(light, well, scale, well.rng(CAMERA), vignetting),
        nuclei=cell_mask * (tissue.nucleus > 0),
        cells=cell_mask,
        tissue=tissue,
    )


def _numbered(owner: np.ndarray) -> np.ndarray:
    """Renumbers the labels that are there from 1 on, without gaps; 0 stays."""
    there = np.bincount(owner.ravel()) > 0
    there[0] = False
    return (np.cumsum(there) * there).astype(np.uint16)[owner]


def draw_crops(well: Well, count: int, size: int) -> list[CropPicture]:
    """Draws a well and cuts a crop around each of its first `count` cells.

    Args:
        well: At least `count` cells.
        count: How many crops.
        size: Side of a crop in pixels. It shows 41 micrometres of tissue at any size,
            and the same cells.
    """
    scale = size / CROP_SIDE
    cells, side = cells_around_crops(well, CROP_SIDE / 2 + 1)
    scene = draw_scene(well, cells, side, scale)
    crops = []
    for index in range(count):
        x, y = round(cells.x[index] * scale), round(cells.y[index] * scale)
        top, left = y - size // 2, x - size // 2
        window = (slice(top, top + size), slice(left, left + size))
        owner = scene.tissue.owner == index + 1
        crops.append(
            CropPicture(
                image=np.ascontiguousarray(scene.image[window]),
                nuclei=scene.nuclei[window],
                cells=scene.cells[window],
                cell=int(scene.cells[owner].max(initial=0)),
                x=x,
                y=y,
            )
        )
    return crops


_HAZE_UNITS = 22.0  # width of the light that is out of focus
_READ_NOISE = 0.006


def expose(
    light: list[np.ndarray],
    well: Well,
    scale: float,
    rng: np.random.Generator,
    vignetting: float = 0.0,
) -> np.ndarray:
    """Takes the picture.

    Args:
        light: Per channel, [H, W], around 1 where bright.
        well: Its gains, haze, background and photons.
        scale: Pixels a unit.
        rng: Random generator.
        vignetting: How much darker the corners are than the middle, in [0, 1).

    Returns:
        uint8 [H, W, C].
    """
    height, width = light[0].shape
    spread = _haze_matrix(height, scale), _haze_matrix(width, scale)
    shade = _shade(height, width, vignetting)
    image = np.empty((height, width, len(light)), np.uint8)
    for channel, signal in enumerate(light):
        signal = signal * np.float32(well.gains[channel])
        signal += np.float32(well.haze[channel]) * _haze(signal, *spread)
        if vignetting:
            signal *= shade
        signal += np.float32(well.background[channel])
        np.maximum(signal, 0, out=signal)
        variance = signal * np.float32(1 / well.photons[channel])
        variance += np.float32(_READ_NOISE**2)
        grain = canvas.white_noise(rng, signal.shape)
        signal += np.sqrt(variance, out=variance) * grain
        signal *= np.float32(255)
        signal += np.float32(0.5)
        image[..., channel] = np.clip(signal, 0, 255, out=signal)
    return image


def _haze_matrix(size: int, scale: float) -> np.ndarray:
    """Returns [size, knots]: smooth weights of coarse knots, whose rows sum to 1."""
    sigma = _HAZE_UNITS * scale
    knots = np.arange(0, size + sigma, sigma)
    distance = (np.arange(size)[:, None] - knots[None, :]) / sigma
    weights = np.exp(-0.5 * distance**2)
    weights[weights < 1e-6] = 0  # denormal numbers are slow to multiply
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _haze(signal: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Smooths far by averaging onto coarse knots and spreading out from them."""
    coarse = (rows / rows.sum(0)).T @ signal @ (columns / columns.sum(0))
    return rows @ coarse @ columns.T


def _shade(height: int, width: int, strength: float) -> np.ndarray:
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return 1 - np.float32(strength / 2) * (y * y + x * x)
