"""A folder of synthetic fields in the Kaggle 2018 layout, with the truth beside it."""

import csv
import dataclasses
import os
from pathlib import Path

import numpy as np

from data_prep.synthetic.crop_folder import CREDIT
from data_prep.synthetic.defects import Defect
from data_prep.synthetic.fields import SyntheticField, draw_field
from data_prep.synthetic.proteins import RECIPES
from data_prep.synthetic.wells import CHANNELS, make_well
from tfvqgen.data.images import write_image
from tfvqgen.files import whole_file, write_json

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
