"""Whether nuclei are found, cells with a planted defect refused, and good ones kept.

One JSON line a case, on synthetic fields whose truth is known:

nuclei: the F1 score of found nuclei against the true ones at an intersection over union
    of .5, on fields without defects. Slivers at the border that are smaller than the
    smallest nucleus count neither way.
defects: fields with one kind of planted defect each. A cell is *spoiled* if the defect
    truly changed it: more than half of its nucleus in the blurred region; more than a
    tenth of a channel's light in the cell lost by clipping; more than a tenth of its
    pixels under debris; and so is what was found where no nucleus is. It is *good* if
    nothing of the kind exceeds a tenth of that. What lies between counts neither way,
    nor does what the border cuts. Recall is the share of spoiled cells that are
    refused, and `good_rejected` the share of good cells that are.

and, with --hpa_fields, on the full-size fields there:

cell_masks: the share of cells that do not touch the border, in the masks that came with
    the fields, that hold exactly one found nucleus.

Seconds are of processor time for a field, after decoding and reduction.
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
from tfvqgen.errors import UserError

CHANNELS = ("red", "green", "blue", "yellow")
NUCLEUS, PROTEIN = CHANNELS.index("blue"), CHANNELS.index("green")
PIXEL_SIZE, SIDE, CROP_SIZE = 0.32, 512, 64


def main() -> None:
    args = _flags().parse_args()
    # A core's worth: the libraries below must not start threads.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    case.write(nuclei_case(args), args.output)
    case.write(defects_case(args), args.output)
    if args.hpa_fields is not None:
        case.write(cell_masks_case(args), args.output)


def nuclei_case(args: argparse.Namespace) -> dict[str, Any]:
    """Returns F1 at IoU .5 on fields without defects."""
    from benchmarks import segmentation_truth

    counts, seconds = collections.Counter(), []
    for index in range(args.fields):
        _, field = draw(args.seed, index, 0.0)
        labels, took = timed(segment, field.scene.image)
        seconds.append(took)
        counts.update(
            segmentation_truth.compare(labels, field.scene.nuclei, PIXEL_SIZE)
        )
    hits, wrong, missed = (counts[name] for name in ("found", "false", "missed"))
    return {
        "case": "segmentation_nuclei",
        "f1": round(2 * hits / (2 * hits + wrong + missed), 4),
        "found": hits,
        "false": wrong,
        "missed": missed,
        "fields": args.fields,
        "seconds_per_field": round(float(np.median(seconds)), 3),
        "seed": args.seed,
    }


def defects_case(args: argparse.Namespace) -> dict[str, Any]:
    """Returns recall of spoiled cells by kind, and the share of good ones refused."""
    from benchmarks import segmentation_truth

    number, refused, planted = (collections.Counter() for _ in range(3))
    seconds = []
    for index in range(args.fields):
        well, field = draw(args.seed, index, 1.0)
        _, clean = draw(args.seed, index, 0.0)
        kind = field.defects[0].kind
        planted[kind] += len(field.defects)
        labels = segment(field.scene.image)
        judged, took = timed(judge, field.scene.image, labels, well.labels)
        seconds.append(took)
        states = segmentation_truth.states(labels, field, clean, well, CROP_SIZE)
        for state, whys in zip(states, judged, strict=True):
            number[state, kind] += 1
            refused[state, kind] += bool(whys)
    kinds = sorted(planted)

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
        "planted": dict(planted),
        "fields": args.fields,
        "quality_seconds_per_field": round(float(np.median(seconds)), 3),
        "seed": args.seed,
    }


def cell_masks_case(args: argparse.Namespace) -> dict[str, Any]:
    """Returns how many given cells hold exactly one found nucleus."""
    folder = args.hpa_fields / "full_size"
    if not (folder / "train.csv").is_file():
        raise UserError(
            "no full-size fields: expected full_size/train.csv in the folder. "
            f"Received: hpa_fields={args.hpa_fields}"
        )
    with open(folder / "train.csv", newline="", encoding="utf-8") as file:
        names = [row["Id"] for row in csv.DictReader(file)]
    numbers = {name: nuclei_in_cells(folder, name) for name in names}
    every = np.concatenate(list(numbers.values()))
    return {
        "case": "segmentation_cell_masks",
        "exactly_one": round(float(np.mean(every == 1)), 4),
        "cells": len(every),
        "cells_with_0_1_2_more": np.bincount(
            np.minimum(every, 3), minlength=4
        ).tolist(),
        "by_field": {
            name: np.bincount(np.minimum(n, 3), minlength=4).tolist()
            for name, n in numbers.items()
        },
    }


def nuclei_in_cells(folder: Path, name: str) -> np.ndarray:
    """Returns how many found nuclei have their middle in each whole cell."""
    from skimage import io

    from data_prep.cropping.cutting import centres
    from data_prep.segmentation.masks import labels_of_mask

    blue = io.imread(folder / "images" / f"{name}_blue.png")
    factor = max(round(blue.shape[0] / SIDE), 1)
    plane = reduced(blue, factor)
    labels = segment(plane[..., None], nucleus=0)
    cells = labels_of_mask(
        io.imread(folder / "cell_masks" / f"{name}.png"), labels.shape
    )
    rows, columns = np.rint(centres(labels)).astype(int).T
    numbers = np.bincount(cells[rows, columns], minlength=cells.max() + 1)
    border = np.concatenate([cells[0], cells[-1], cells[:, 0], cells[:, -1]])
    return numbers[np.setdiff1d(np.arange(1, len(numbers)), border)]


def reduced(plane: np.ndarray, factor: int) -> np.ndarray:
    """Returns uint8 means over squares of `factor` pixels."""
    height, width = (side // factor * factor for side in plane.shape)
    blocks = plane[:height, :width].reshape(height // factor, factor, -1, factor)
    return np.rint(blocks.mean((1, 3))).astype(np.uint8)


def draw(seed: int, index: int, defect_share: float):
    """Returns a well and its field."""
    from data_prep.labels import DEFAULT_VOCABULARY, load_vocabulary
    from data_prep.synthetic import synthetic_fields, wells

    well = wells.make_well(seed, index, load_vocabulary(DEFAULT_VOCABULARY).labels)
    return well, synthetic_fields.draw_field(well, SIDE, defect_share)


def segment(image: np.ndarray, nucleus: int = NUCLEUS) -> np.ndarray:
    """Finds nuclei as `crop` does."""
    from data_prep.segmentation.nuclei import segment_nuclei

    plane = image[..., nucleus].astype(np.float32) / np.iinfo(image.dtype).max
    return segment_nuclei(plane, PIXEL_SIZE)


def judge(image: np.ndarray, labels: np.ndarray, names) -> list[list[str]]:
    """Returns the reasons not to take each found nucleus."""
    from data_prep.cropping import crop_quality

    columns = crop_quality.measure(
        image, labels, PIXEL_SIZE, CROP_SIZE, nucleus=NUCLEUS, protein=PROTEIN
    )
    return [crop_quality.reasons(one, names) for one in columns]


def timed(work, *arguments) -> tuple[Any, float]:
    """Returns what `work` returns and the seconds of processor time it took."""
    started = time.process_time()
    done = work(*arguments)
    return done, time.process_time() - started


def _flags() -> argparse.ArgumentParser:
    flags = case.parser(__doc__)
    flags.add_argument("--fields", type=int, default=60, help="synthetic fields a case")
    flags.add_argument("--hpa_fields", type=Path, help="a folder with full_size/ in it")
    return flags


if __name__ == "__main__":
    with command_line.guard():
        main()
