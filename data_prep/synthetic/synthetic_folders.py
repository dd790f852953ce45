"""Folders of synthetic crops, or of synthetic fields with their true masks."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data_prep import processes
from data_prep.images.field_images import read_field_image
from data_prep.labels import pick_examples
from data_prep.synthetic.proteins import RECIPES
from data_prep.synthetic.scene import Defect, draw_crops, draw_field
from data_prep.synthetic.wells import (
    CHANNELS,
    CROP_SIDE,
    UNIT_IN_MICROMETRES,
    make_well,
    plan_wells,
)
from tfvqgen.data.crops import Crop, image_name, write_crops
from tfvqgen.data.images import write_image
from tfvqgen.data.sheets import sheet_of_rows
from tfvqgen.files import write_json, write_table

CREDIT = "Synthetic cells drawn by tfvqgen (data_prep synthesize); no real image in it."
FIELD_FOLDERS = ("train", "masks/nuclei", "masks/cells")
SHEET = "contact_sheet.png"
_PER_LABEL = 6
_DEFECT_COLUMNS = tuple(field.name for field in dataclasses.fields(Defect))


@dataclass(frozen=True)
class DrawTask:
    """The task to draw the crops of one well, or one field."""

    folder: str
    seed: int
    index: int
    vocabulary: tuple[str, ...]
    size: int
    num_crops: int = 1
    defect_share: float = 0.0


def write_crop_folder(
    folder: Path,
    seed: int,
    num_cells: int,
    vocabulary: tuple[str, ...],
    size: int,
    workers: int = 1,
) -> None:
    """Writes crops, a contact sheet and at last the tables."""
    (folder / "images").mkdir(exist_ok=True)
    tasks = [
        DrawTask(str(folder), seed, well.index, vocabulary, size, count)
        for well, count in plan_wells(seed, num_cells, vocabulary)
    ]
    rows = list(itertools.chain(*_draw(_write_well, tasks, workers, "crop")))
    _write_sheet(folder, rows, vocabulary)
    write_crops(folder, rows, channels=CHANNELS, dtype="uint8", credit=CREDIT)


def _draw(work: Callable, tasks: Sequence[DrawTask], workers: int, unit: str) -> list:
    results, total = [], sum(task.num_crops for task in tasks)
    with tqdm(total=total, unit=unit, desc="drawing") as progress:
        drawn = processes.in_parallel(work, tasks, workers)
        for task, result in zip(tasks, drawn, strict=True):
            results.append(result)
            progress.update(task.num_crops)
    return results


def _write_well(task: DrawTask) -> list[Crop]:
    """Writes the images of a well's crops and returns their rows."""
    well, rows = make_well(task.seed, task.index, task.vocabulary), []
    for number, crop in enumerate(draw_crops(well, task.num_crops, task.size)):
        crop_id = f"{well.name}-{number:02d}"
        path = image_name(crop_id, len(CHANNELS))
        rows.append(
            Crop(
                crop_id=crop_id,
                path=path,
                labels=well.labels,
                group=well.name,
                field=well.name,
                x=crop.x,
                y=crop.y,
                size=task.size,
                pixel_size=UNIT_IN_MICROMETRES * CROP_SIDE / task.size,
                metadata={"synthetic": "true", "cell_line": well.line.name},
                sha256=write_image(Path(task.folder) / path, crop.image),
            )
        )
    return rows


def _write_sheet(folder: Path, rows: Sequence[Crop], vocabulary) -> None:
    """Writes a row of examples for each label: composites, then the protein alone."""
    places = pick_examples([row.labels for row in rows], _PER_LABEL)
    lines = []
    for label in vocabulary:
        found = (rows[place].path for place in places.get(label, ()))
        crops = [read_field_image(folder / path) for path in found]
        composites = [np.ascontiguousarray(crop[..., :3]) for crop in crops]
        proteins = [np.repeat(crop[..., 1:2], 3, axis=-1) for crop in crops]
        lines.append((label, composites + proteins))
    write_image(folder / SHEET, sheet_of_rows(lines))


def write_field_folder(
    folder: Path,
    seed: int,
    num_fields: int,
    vocabulary: tuple[str, ...],
    size: int,
    defect_share: float,
    workers: int = 1,
) -> None:
    """Writes fields in the layout of Kaggle 2018, their masks and their tables.

    ``train.csv``, which completes the folder, is written last.
    """
    for name in FIELD_FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    tasks = [
        DrawTask(str(folder), seed, i, vocabulary, size, defect_share=defect_share)
        for i in range(num_fields)
    ]
    truths, defects = zip(*_draw(_write_field, tasks, workers, "field"), strict=True)
    info = {
        "channels": list(CHANNELS),
        "pixel_size": truths[0]["pixel_size"],
        "synthetic": True,
        "credit": CREDIT,
    }
    write_json(folder / "fields.json", info)
    rows = itertools.chain(*defects)
    write_table(folder / "defects.csv", ("Id", *_DEFECT_COLUMNS), rows)
    write_table(folder / "truth.csv", truths[0], [truth.values() for truth in truths])
    index = {label: str(i) for i, label in enumerate(RECIPES)}
    targets = [
        (truth["Id"], " ".join(index[name] for name in truth["labels"].split("|")))
        for truth in truths
    ]
    write_table(folder / "train.csv", ("Id", "Target"), targets)


def _write_field(task: DrawTask) -> tuple[dict, list[list]]:
    """Writes the channels and masks of a field; returns its truth and its defects."""
    well, folder = make_well(task.seed, task.index, task.vocabulary), Path(task.folder)
    field = draw_field(well, task.size, task.defect_share)
    for index, channel in enumerate(CHANNELS):
        plane = field.scene.image[..., index : index + 1]
        write_image(folder / "train" / f"{well.name}_{channel}.png", plane)
    masks = {"nuclei": field.scene.nuclei, "cells": field.scene.cells}
    for name, mask in masks.items():
        write_image(folder / "masks" / name / f"{well.name}.png", mask[..., None])
    truth = {
        "Id": well.name,
        "labels": "|".join(well.labels),
        "cell_line": well.line.name,
        "num_nuclei": len(np.setdiff1d(masks["nuclei"], 0)),
        "num_cells": len(np.setdiff1d(masks["cells"], 0)),
        "defects": "|".join({defect.kind: None for defect in field.defects}),
        "pixel_size": field.pixel_size,
        "synthetic": "true",
    }
    rows = []
    for defect in field.defects:
        cells = {**vars(defect), "channels": "|".join(defect.channels)}
        rows.append([well.name, *cells.values()])
    return truth, rows
