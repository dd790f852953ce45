"""Synthetic crops with planted defects, measured and accepted or rejected as by `crop`.

A defect changes the light around one cell before the camera model, so noise and haze
are those of a good crop. Quality metrics are computed in the whole image of the well,
after its nuclei were found.

Shapes: [H, W] image of a well, [S, S] crop.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

from data_prep.cropping import crop_quality
from data_prep.segmentation.nuclei import segment_nuclei
from data_prep.synthetic import scene
from data_prep.synthetic.cell_outlines import CellOutlines, cells_around_crops
from data_prep.synthetic.scene import Defect, spoil
from data_prep.synthetic.wells import (
    CHANNELS,
    CROP_SIDE,
    UNIT_IN_MICROMETRES,
    Well,
    plan_wells,
)
from tfvqgen.data.crops import Crop, image_name, write_crops
from tfvqgen.data.images import write_image

KINDS = ("blur", "saturation", "debris", "empty", "two nuclei")
SIZE = CROP_SIDE
# Largest distance in pixels between the centres of a found nucleus and its cell.
_NEAR = 14
_BLUE, _GREEN = CHANNELS.index("blue"), CHANNELS.index("green")


def write_folder(
    folder: Path, num: int, share: float, seed: int, labels
) -> dict[str, str]:
    """Writes a folder of crops; returns each crop's defect by its id, "" for none."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng((seed, 99))
    truth: dict[str, str] = {}
    rows = []
    for well, count in plan_wells(seed, num, labels):
        kinds = ["" for _ in range(count)]
        for index in np.flatnonzero(rng.random(count) < share):
            kinds[index] = KINDS[sum(map(bool, truth.values())) % len(KINDS)]
            truth[f"{well.name}-{index:02d}"] = kinds[index]
        for number, (image, columns) in enumerate(draw_well(well, kinds, rng)):
            crop_id = f"{well.name}-{number:02d}"
            truth.setdefault(crop_id, "")
            path = image_name(crop_id, len(CHANNELS))
            why = crop_quality.reasons(columns, well.labels)
            rows.append(
                Crop(
                    crop_id=crop_id,
                    path=path,
                    labels=well.labels,
                    group=well.name,
                    field=well.name,
                    size=SIZE,
                    pixel_size=UNIT_IN_MICROMETRES,
                    accepted=not why,
                    reason="; ".join(why),
                    metadata={name: f"{value:g}" for name, value in columns.items()},
                    sha256=write_image(folder / path, image),
                )
            )
    write_crops(folder, rows, channels=CHANNELS, credit="synthetic, with defects")
    return truth


def draw_well(well: Well, kinds: list[str], rng) -> list[tuple[np.ndarray, dict]]:
    """Draws a crop, uint8 [S, S, 4], with quality metrics for each of `kinds`."""
    cells, side = cells_around_crops(well, CROP_SIDE / 2 + 1)
    good = _WellImage(scene.draw_scene(well, cells, side, 1.0).image)
    drawn = []
    for index, kind in enumerate(kinds):
        whole = good
        if kind:
            change = _change(kind, well, cells, index, rng)
            image = scene.draw_scene(well, cells, side, 1.0, spoil=change).image
            whole = _WellImage(image)
        drawn.append(whole.crop(cells.x[index], cells.y[index]))
    return drawn


class _WellImage:
    """The image of a well, the nuclei found in it, and their quality metrics."""

    def __init__(self, image: np.ndarray):
        self._image = image
        plane = image[..., _BLUE].astype(np.float32) / 255
        nuclei = segment_nuclei(plane, UNIT_IN_MICROMETRES)
        self._columns = crop_quality.measure(
            image, nuclei, UNIT_IN_MICROMETRES, SIZE, nucleus=_BLUE, protein=_GREEN
        )
        numbers = range(1, nuclei.max() + 1)
        middles = ndimage.center_of_mass(nuclei > 0, nuclei, numbers)
        self._middles = np.reshape(middles, (-1, 2))[:, ::-1]

    def crop(self, x: float, y: float) -> tuple[np.ndarray, dict]:
        """Cuts the crop around a cell; without a nucleus its area is 0."""
        top, left = round(y) - SIZE // 2, round(x) - SIZE // 2
        image = self._image[top : top + SIZE, left : left + SIZE]
        found = {"nucleus_area": 0.0}
        if len(self._middles):
            away = np.hypot(*(self._middles - [x, y]).T)
            if away.min() < _NEAR:
                found = dict(self._columns[int(away.argmin())])
                # The crop is centred on the cell, not on the nucleus that was found.
                found["inside_field"] = 1.0
        return np.ascontiguousarray(image), found


def _change(kind: str, well: Well, cells: CellOutlines, index: int, rng) -> Callable:
    """Returns a function that changes the light of all channels, [H, W] each."""
    x, y = float(cells.x[index]), float(cells.y[index])
    if kind == "empty":
        left, top = round(x) - SIZE // 2, round(y) - SIZE // 2
        square = np.s_[top : top + SIZE, left : left + SIZE]
        return lambda light: [_without(plane, square) for plane in light]
    if kind == "two nuclei":
        others = np.delete(np.arange(len(cells.x)), index)
        away = np.hypot(cells.x[others] - x, cells.y[others] - y)
        other = int(others[away.argmin()])
        turn = rng.uniform(0, 2 * np.pi)
        apart = 1.15 * well.line.nucleus_radius
        down = round(y - cells.y[other] + apart * np.sin(turn))
        right = round(x - cells.x[other] + apart * np.cos(turn))
        shift = (down, right)
        return lambda light: [np.maximum(p, np.roll(p, shift, (0, 1))) for p in light]
    strength = {"blur": (3.0, 7.0), "saturation": (5.0, 10.0), "debris": (2.0, 4.0)}
    chosen = rng.random(len(CHANNELS)) < (0.6 if kind == "debris" else 0.4)
    chosen[rng.integers(len(CHANNELS))] = True
    channels = CHANNELS if kind == "blur" else tuple(np.array(CHANNELS)[chosen])
    side = SIZE
    if kind == "debris":
        side = int(rng.uniform(30, 70))
        x, y = x + rng.uniform(-15, 15), y + rng.uniform(-15, 15)
    defect = Defect(
        kind=kind,
        extent="field" if kind == "saturation" else "region",
        channels=channels,
        x=round(x) - side // 2,
        y=round(y) - side // 2,
        width=side,
        height=side,
        strength=float(rng.uniform(*strength[kind])),
    )
    well = dataclasses.replace(well, seed=int(rng.integers(2**31)))
    return lambda light: spoil(light, [defect], well, 1.0)


def _without(plane: np.ndarray, square: tuple[slice, slice]) -> np.ndarray:
    plane = plane.copy()
    plane[square] = 0
    return plane
