"""Whole synthetic fields of view with true masks and known defects."""

import dataclasses
from dataclasses import dataclass

import numpy as np

from data_prep.synthetic import canvas
from data_prep.synthetic.cell_outlines import cells_of_field
from data_prep.synthetic.scene import Scene, draw_scene
from data_prep.synthetic.wells import (
    CHANNELS,
    DEFECTS,
    SHADE,
    UNIT_IN_MICROMETRES,
    Well,
)

KINDS = ("blur", "saturation", "debris", "empty")
MAX_CELLS_OF_EMPTY = 3


@dataclasses.dataclass(frozen=True)
class Defect:
    """What is wrong, where.

    Attributes:
        kind: One of `KINDS`.
        extent: ``field`` or ``region``.
        channels: The channels that it changes.
        x: Left column of its box, in pixels as the next three.
        y: Top row.
        width: Columns.
        height: Rows.
        strength: Blur: deviation in units; saturation: factor of the light; debris:
            its peak; empty: the number of cells.
    """

    kind: str
    extent: str
    channels: tuple[str, ...]
    x: int
    y: int
    width: int
    height: int
    strength: float

    @property
    def window(self) -> tuple[slice, slice]:
        """The box as slices of rows and columns."""
        return (
            slice(self.y, self.y + self.height),
            slice(self.x, self.x + self.width),
        )


def plan_defects(well: Well, size: int, share: float) -> list[Defect]:
    """Draws a field's defects: none, or some of one kind.

    Args:
        well: The field's well.
        size: Side of the field in pixels.
        share: Probability that a field has a defect.
    """
    rng = well.rng(DEFECTS)
    kind = KINDS[rng.integers(len(KINDS))]
    if rng.random() >= share:
        return []
    if kind == "debris":
        return [_piece_of_debris(rng, size) for _ in range(rng.integers(2, 6))]
    extent, box, channels = "field", (0, 0, size, size), CHANNELS
    if kind == "empty":
        strength = float(rng.integers(0, MAX_CELLS_OF_EMPTY + 1))
    elif kind == "blur":
        strength = float(rng.uniform(3, 7))
        if rng.random() < 0.5:
            extent, box = "region", _box(rng, size, 0.4, 0.7)
    else:
        strength = float(rng.uniform(5, 10))
        chosen = rng.random(len(CHANNELS)) < 0.4
        chosen[rng.integers(len(CHANNELS))] = True
        channels = tuple(np.array(CHANNELS)[chosen].tolist())
    return [Defect(kind, extent, channels, *box, strength)]


def _piece_of_debris(rng, size: int) -> Defect:
    chosen = rng.random(len(CHANNELS)) < 0.6
    chosen[rng.integers(len(CHANNELS))] = True
    channels = tuple(np.array(CHANNELS)[chosen].tolist())
    box = _box(rng, size, 0.03, 0.14)
    return Defect("debris", "region", channels, *box, float(rng.uniform(2, 4)))


def _box(rng, size: int, low: float, high: float) -> tuple[int, int, int, int]:
    """Returns x, y, width, height of a box whose sides are shares of the field's."""
    width, height = (max(int(side * size), 4) for side in rng.uniform(low, high, 2))
    return (
        int(rng.integers(0, size - width + 1)),
        int(rng.integers(0, size - height + 1)),
        width,
        height,
    )


def spoil(
    light: list[np.ndarray], defects: list[Defect], well: Well, scale: float
) -> list[np.ndarray]:
    """Returns the light of the four channels with the defects in it."""
    from scipy.ndimage import gaussian_filter

    light = list(light)
    rng = well.rng(DEFECTS)
    for defect in defects:
        patch = _debris(rng, defect, scale) if defect.kind == "debris" else None
        for index, name in enumerate(CHANNELS):
            if name not in defect.channels:
                continue
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
    """Returns 1 in the box and 0 outside; soft within a region's border."""
    mask = np.zeros(shape, np.float32)
    mask[defect.window] = 1
    if defect.extent == "region":
        y, x = _inner_coordinates(defect)
        mask[defect.window] = np.clip(4 * (1 - np.maximum(np.abs(y), np.abs(x))), 0, 1)
    return mask


def _debris(rng, defect: Defect, scale: float) -> np.ndarray:
    """Returns a bright lump of ragged outline that ends within its box."""
    y, x = _inner_coordinates(defect)
    shape = (defect.height, defect.width)
    ragged = canvas.smooth_noise(rng, shape, max(3 * scale, 0.5))
    depth = 0.75 + 0.20 * ragged - np.hypot(y, x)
    inside = np.clip(1 - np.hypot(y, x), 0, 0.1) * 10
    lump = np.clip(4 * depth, 0, 1) * inside * defect.strength
    return (lump * (1 + 0.15 * ragged)).astype(np.float32)


def _inner_coordinates(defect: Defect) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows [h, 1] and columns [1, w] of the box, from -1 to 1."""
    rows = np.linspace(-1, 1, defect.height, dtype=np.float32)
    columns = np.linspace(-1, 1, defect.width, dtype=np.float32)
    return rows[:, None], columns[None, :]


FIELD_SIDE = 512.0  # units that a field shows, whatever its pixels


@dataclass(frozen=True)
class SyntheticField:
    """A field, its defects, and its pixel size in micrometres."""

    scene: Scene
    defects: list[Defect]
    pixel_size: float


def draw_field(well: Well, size: int, defect_share: float = 0.0) -> SyntheticField:
    """Draws one field of a well: a pure function of its arguments.

    Args:
        well: Labels, staining, camera.
        size: Side in pixels: 512 are .32 micrometres a pixel, 2048 are .08.
        defect_share: Probability that the field has defects.
    """
    scale = size / FIELD_SIDE
    defects = plan_defects(well, size, defect_share)
    num_cells = None
    if defects and defects[0].kind == "empty":
        num_cells = int(defects[0].strength)
    vignetting = float(well.rng(SHADE).uniform(0.05, 0.25))
    scene = draw_scene(
        well,
        cells_of_field(well, FIELD_SIDE, num_cells),
        FIELD_SIDE,
        scale,
        vignetting,
        lambda light: spoil(light, defects, well, scale),
    )
    return SyntheticField(scene, defects, UNIT_IN_MICROMETRES / scale)
