"""A folder of synthetic crops: images, crops.csv, crops.json, a contact sheet."""

import csv
import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.synthetic.proteins import RECIPES
from data_prep.synthetic.scene import draw_crops
from data_prep.synthetic.synthetic_fields import Defect, SyntheticField, draw_field
from data_prep.synthetic.wells import (
    CHANNELS,
    CROP_SIDE,
    UNIT_IN_MICROMETRES,
    make_well,
    plan_wells,
)
from tfvqgen.data.crops import Crop, image_name, write_crops
from tfvqgen.data.images import write_image
from tfvqgen.files import whole_file, write_json

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


FOLDERS = ("train", "masks/nuclei", "masks/cells")
_DEFECT_COLUMNS = tuple(field.name for field in dataclasses.fields(Defect))


@dataclasses.dataclass(frozen=True)
class FieldTask:
    """One field's work, which any process can do alone."""

    folder: str
    seed: int
    index: int
    vocabulary: tuple[str, ...]
    size: int
    defect_share: float


@dataclasses.dataclass(frozen=True)
class FieldTruth:
    """What is known about a written field."""

    field_id: str
    labels: tuple[str, ...]
    cell_line: str
    num_nuclei: int
    num_cells: int
    pixel_size: float
    defects: tuple[Defect, ...]


def write_field(task: FieldTask) -> FieldTruth:
    """Draws a field and writes its channels and masks."""
    well = make_well(task.seed, task.index, task.vocabulary)
    field = draw_field(well, task.size, task.defect_share)
    folder = Path(task.folder)
    for index, channel in enumerate(CHANNELS):
        plane = field.scene.image[..., index : index + 1]
        write_image(folder / "train" / f"{well.name}_{channel}.png", plane)
    for name, mask in (("nuclei", field.scene.nuclei), ("cells", field.scene.cells)):
        write_image(folder / "masks" / name / f"{well.name}.png", mask[..., None])
    return _truth(well, field)


def _truth(well, field: SyntheticField) -> FieldTruth:
    return FieldTruth(
        field_id=well.name,
        labels=well.labels,
        cell_line=well.line.name,
        num_nuclei=len(np.setdiff1d(field.scene.nuclei, 0)),
        num_cells=len(np.setdiff1d(field.scene.cells, 0)),
        pixel_size=field.pixel_size,
        defects=tuple(field.defects),
    )


def finish_fields(folder: str | os.PathLike, truths: list[FieldTruth]) -> None:
    """Writes the tables; ``train.csv``, which makes the folder a whole one, last."""
    folder = Path(folder)
    about = {
        "channels": list(CHANNELS),
        "pixel_size": truths[0].pixel_size,
        "synthetic": True,
        "credit": CREDIT,
    }
    write_json(folder / "fields.json", about)
    _write_table(
        folder / "defects.csv",
        ("Id", *_DEFECT_COLUMNS),
        ((t.field_id, *_cells(d)) for t in truths for d in t.defects),
    )
    _write_table(
        folder / "truth.csv",
        ("Id", "labels", "cell_line", "num_nuclei", "num_cells", "defects")
        + ("pixel_size", "synthetic"),
        (_truth_row(truth) for truth in truths),
    )
    index = {label: i for i, label in enumerate(RECIPES)}
    _write_table(
        folder / "train.csv",
        ("Id", "Target"),
        ((t.field_id, " ".join(str(index[n]) for n in t.labels)) for t in truths),
    )


def _truth_row(truth: FieldTruth) -> tuple:
    kinds = dict.fromkeys(defect.kind for defect in truth.defects)
    return (
        truth.field_id,
        "|".join(truth.labels),
        truth.cell_line,
        truth.num_nuclei,
        truth.num_cells,
        "|".join(kinds),
        truth.pixel_size,
        "true",
    )


def _cells(defect: Defect) -> list:
    values = (getattr(defect, name) for name in _DEFECT_COLUMNS)
    return ["|".join(v) if isinstance(v, tuple) else v for v in values]


def _write_table(path: Path, header, rows) -> None:
    with whole_file(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
