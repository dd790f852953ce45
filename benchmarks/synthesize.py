"""How many synthetic crops a core draws in a second, and draws and writes.

The same wells are drawn, and then drawn and written as `python -m data_prep synthesize`
writes them (lossless PNGs of 4 channels, sha256), in one process without threads, in
turns. The figures are of processor time, which other programs on the machine disturb
little; they are medians over the rounds. One JSON line.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import case
from tfvqgen import command_line


def main() -> None:
    args = _flags().parse_args()
    # A core's worth: the libraries below must not start threads.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    with tempfile.TemporaryDirectory() as folder:
        case.write(measure(Path(folder), args), args.output)


def measure(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Times both and returns the case."""
    import numpy as np

    from data_prep.labels import DEFAULT_VOCABULARY, load_vocabulary
    from data_prep.synthetic import scene, synthetic_folders, wells

    labels = load_vocabulary(DEFAULT_VOCABULARY).labels
    (folder / "images").mkdir()
    tasks = synthetic_folders.plan_crops(
        folder, args.seed, args.crops, labels, args.size
    )

    def draw(task: synthetic_folders.WellTask) -> None:
        well = wells.make_well(task.seed, task.index, task.vocabulary)
        scene.draw_crops(well, task.count, task.size)

    # A round that is not counted fills the caches of canvases and noise.
    cpu_seconds(draw, tasks)
    rates = np.array(
        [
            args.crops / cpu_seconds(work, tasks)
            for _ in range(args.rounds)
            for work in (draw, synthetic_folders.write_well)
        ]
    ).reshape(args.rounds, 2)
    drawing, writing = np.median(rates, axis=0)
    return {
        "case": "synthesize",
        "drawing_crops_per_second_per_core": round(float(drawing), 1),
        "crops_per_second_per_core": round(float(writing), 1),
        "rates": rates.round(1).tolist(),
        "size": args.size,
        "crops": args.crops,
        "wells": len(tasks),
        "rounds": args.rounds,
        "seed": args.seed,
        "threads": 1,
    }


def cpu_seconds(work: Callable[[Any], Any], tasks: list) -> float:
    """Returns the processor time of doing all tasks."""
    started = time.process_time()
    for task in tasks:
        work(task)
    return time.process_time() - started


def _flags() -> argparse.ArgumentParser:
    flags = case.parser(__doc__)
    flags.add_argument("--size", type=int, default=128, help="side in pixels")
    # All labels, and whole wells, as in a real folder.
    flags.add_argument("--crops", type=int, default=3000, help="crops of a round")
    flags.add_argument("--rounds", type=int, default=3, help="of which the median is")
    return flags


if __name__ == "__main__":
    with command_line.guard():
        main()
