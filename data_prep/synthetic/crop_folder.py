"""A folder of synthetic crops: images, crops.csv, crops.json, a contact sheet."""

import os
from dataclasses import dataclass
from pathlib import Path

from data_prep.synthetic.scene import draw_crops
from data_prep.synthetic.wells import (
    CHANNELS,
    CROP_SIDE,
    UNIT_IN_MICROMETRES,
    make_well,
    plan_wells,
)
from tfvqgen.data.crops import Crop, image_name, write_crops
from tfvqgen.data.images import write_image

CREDIT = "Synthetic cells drawn by tfvqgen (data_prep synthesize); no real image in it."


@dataclass(frozen=True)
class WellTask:
    """One well's work, which any process can do alone."""

    folder: str
    seed: int
    index: int
    vocabulary: tuple[str, ...]
    count: int
    size: int


def plan_crops(
    folder: str | os.PathLike,
    seed: int,
    num_cells: int,
    vocabulary: tuple[str, ...],
    size: int,
) -> list[WellTask]:
    """Divides a data set of `num_cells` crops into wells."""
    return [
        WellTask(str(folder), seed, well.index, tuple(vocabulary), count, size)
        for well, count in plan_wells(seed, num_cells, vocabulary)
    ]


def write_well(task: WellTask) -> list[Crop]:
    """Draws a well's crops, writes their images and returns their rows."""
    well = make_well(task.seed, task.index, task.vocabulary)
    rows = []
    for number, picture in enumerate(draw_crops(well, task.count, task.size)):
        crop_id = f"{well.name}-{number:02d}"
        path = image_name(crop_id, len(CHANNELS))
        digest = write_image(Path(task.folder) / path, picture.image)
        rows.append(
            Crop(
                crop_id=crop_id,
                path=path,
                labels=well.labels,
                group=well.name,
                field=well.name,
                x=picture.x,
                y=picture.y,
                size=task.size,
                pixel_size=UNIT_IN_MICROMETRES * CROP_SIDE / task.size,
                metadata={"synthetic": "true", "cell_line": well.line.name},
                sha256=digest,
            )
        )
    return rows


def finish_crops(folder: str | os.PathLike, rows: list[Crop]) -> None:
    """Writes the tables, which make the folder a whole one."""
    write_crops(folder, rows, channels=CHANNELS, dtype="uint8", credit=CREDIT)
