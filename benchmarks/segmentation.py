"""Quality of segmentation and of the rejection of cells with planted defects.

On synthetic fields, whose ground truth is known, one JSON line for each case:

- nuclei: F1 score of the segmented nuclei at an intersection over union of .5, on
  fields without defects. Nuclei that the border cuts to less than the smallest area are
  ignored.
- defects: fields with one kind of planted defect each. A cell is *spoiled* if more than
  half of its nucleus is blurred, more than a tenth of a channel's light in the cell is
  lost to clipping, or more than a tenth of its pixels is under debris; a segmented
  object without a true nucleus is spoiled, too. A cell is *good* if no defect exceeds a
  tenth of these limits. Cells in between, and those cut by the border, are ignored.
  `recall` is the share of spoiled cells that are rejected, and `good_rejected` the
  share of good cells.

With --hpa_fields, on the full-size fields there:

- cell_masks: the share of cells off the border, in the masks that come with the fields,
  that contain exactly one segmented nucleus.

Seconds are processor time per field, after decoding and downsampling.
"""

import argparse
import collections
import csv
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import case
from tfvqgen import command_line

CHANNELS = ("red", "green", "blue", "yellow")
NUCLEUS, PROTEIN = CHANNELS.index("blue"), CHANNELS.index("green")
PIXEL_SIZE, SIDE, CROP_SIZE = 0.32, 512, 64


def main() -> None:
    flags = case.parser(__doc__)
    flags.add_argument("--fields", type=int, default=60, help="Fields per case.")
    flags.add_argument("--hpa_fields", type=Path, help="Folder with full_size/.")
    args = flags.parse_args()
    # One thread: the seconds are those of one core.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    case.write(nuclei_case(args), args)
    case.write(defects_case(args), args)
    if args.hpa_fields is not None:
        case.write(cell_masks_case(args), args)


def nuclei_case(args: argparse.Namespace) -> dict[str, Any]:
    """Returns F1 at IoU .5 on fields without defects."""
    from benchmarks import segmentation_truth

    counts, seconds = collections.Counter(), []
    for index in range(args.fields):
        _, field = draw(args.seed, index, 0.0)
        labels, took = timed(segment, field.scene.image)
        seconds.append(took)
        nuclei = field.scene.nuclei
        counts.update(segmentation_truth.compare(labels, nuclei, PIXEL_SIZE))
    hits, wrong, missed = (counts[name] for name in ("found", "false", "missed"))
    return {
        "case": "segmentation_nuclei",
        "f1": round(2 * hits / (2 * hits + wrong + missed), 4),
        "found": hits,
        "false": wrong,
        "missed": missed,
        "seconds_per_field": round(float(np.median(seconds)), 3),
    }


def defects_case(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the recall of spoiled cells and the share of good cells rejected."""
    from benchmarks import segmentation_truth

    number, refused, seconds = collections.Counter(), collections.Counter(), []
    for index in range(args.fields):
        well, field = draw(args.seed, index, 1.0)
        _, clean = draw(args.seed, index, 0.0)
        kind = field.defects[0].kind
        labels = segment(field.scene.image)
        judged, took = timed(judge, field.scene.image, labels, well.labels)
        seconds.append(took)
        states = segmentation_truth.states(labels, field, clean, well, CROP_SIZE)
        for state, whys in zip(states, judged, strict=True):
            number[state, kind] += 1
            refused[state, kind] += bool(whys)
    kinds = sorted({kind for _, kind in number})

    def share(state: str, of: list[str]) -> float | None:
        total = sum(number[state, kind] for kind in of)
        count = sum(refused[state, kind] for kind in of)
        return round(count / total, 4) if total else None

    return {
        "case": "segmentation_defects",
        "recall": share("spoiled", kinds),
        "good_rejected": share("good", kinds),
        "recall_by_kind": {kind: share("spoiled", [kind]) for kind in kinds},
        "good_rejected_by_kind": {kind: share("good", [kind]) for kind in kinds},
        "cells": {
            state: {kind: number[state, kind] for kind in kinds}
            for state in ("spoiled", "good", "between", "cut")
        },
        "quality_seconds_per_field": round(float(np.median(seconds)), 3),
    }


def cell_masks_case(args: argparse.Namespace) -> dict[str, Any]:
    """Returns the share of cells with exactly one segmented nucleus."""
    folder = args.hpa_fields / "full_size"
    with open(folder / "train.csv", newline="", encoding="utf-8") as file:
        names = [row["Id"] for row in csv.DictReader(file)]
    total = np.sum([nuclei_in_cells(folder, name) for name in names], axis=0)
    return {
        "case": "segmentation_cell_masks",
        "exactly_one": round(float(total[1] / total.sum()), 4),
        "cells": int(total.sum()),
        "cells_with_0_1_2_more": total.tolist(),
    }


def nuclei_in_cells(folder: Path, name: str) -> np.ndarray:
    """Counts the cells off the border with 0, 1, 2 and more nuclei centred in them."""
    from skimage import io

    from data_prep.cropping.cutting import centres
    from data_prep.segmentation.masks import labels_of_mask

    blue = io.imread(folder / "images" / f"{name}_blue.png")
    factor = max(round(blue.shape[0] / SIDE), 1)
    height, width = (side // factor * factor for side in blue.shape)
    blocks = blue[:height, :width].reshape(height // factor, factor, -1, factor)
    plane = np.rint(blocks.mean((1, 3))).astype(np.uint8)
    labels = segment(plane[..., None], nucleus=0)
    mask = io.imread(folder / "cell_masks" / f"{name}.png")
    cells = labels_of_mask(mask, labels.shape)
    rows, columns = np.rint(centres(labels)).astype(int).T
    numbers = np.bincount(cells[rows, columns], minlength=cells.max() + 1)
    border = np.concatenate([cells[0], cells[-1], cells[:, 0], cells[:, -1]])
    kept = numbers[np.setdiff1d(np.arange(1, len(numbers)), border)]
    return np.bincount(np.minimum(kept, 3), minlength=4)


def draw(seed: int, index: int, defect_share: float):
    """Returns a well and its field."""
    from data_prep.labels import DEFAULT_VOCABULARY, load_vocabulary
    from data_prep.synthetic import scene, wells

    well = wells.make_well(seed, index, load_vocabulary(DEFAULT_VOCABULARY).labels)
    return well, scene.draw_field(well, SIDE, defect_share)


def segment(image: np.ndarray, nucleus: int = NUCLEUS) -> np.ndarray:
    """Segments nuclei as `crop` does."""
    from data_prep.segmentation.nuclei import segment_nuclei

    plane = image[..., nucleus].astype(np.float32) / np.iinfo(image.dtype).max
    return segment_nuclei(plane, PIXEL_SIZE)


def judge(image: np.ndarray, labels: np.ndarray, names) -> list[list[str]]:
    """Returns the reasons for rejection of each nucleus."""
    from data_prep.cropping import crop_quality

    columns = crop_quality.measure(
        image, labels, PIXEL_SIZE, CROP_SIZE, nucleus=NUCLEUS, protein=PROTEIN
    )
    return [crop_quality.reasons(one, names) for one in columns]


def timed(work, *arguments) -> tuple[Any, float]:
    """Returns the result of `work` and its seconds of processor time."""
    started = time.process_time()
    done = work(*arguments)
    return done, time.process_time() - started


if __name__ == "__main__":
    with command_line.guard():
        main()
