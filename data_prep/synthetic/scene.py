"""Pictures of tissue with their truth: a whole field, or crops around cells."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data_prep.synthetic.camera import expose
from data_prep.synthetic.canvas import Canvas
from data_prep.synthetic.cells import CellOutlines, cells_around_crops
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
