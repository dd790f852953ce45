"""Throughput and memory of the input pipeline of training.

The same images are written as different numbers of shards; each number is read in its
own process: batches of 16 in training order, decoded, with a random symmetry.
`memory_megabytes` is the growth of the process from before the data set is opened to
after the last batch. The output is one JSON line for each number of shards; the rate is
the median over the rounds.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import case
from tfvqgen import command_line

SIZE, CHANNELS, BATCH_SIZE = 128, 3, 16
WARM_UP_BATCHES = 100


def main() -> None:
    flags = case.parser(__doc__)
    flags.add_argument("--num_shards", type=int, nargs="+", default=[1, 8, 64, 512])
    flags.add_argument("--images", type=int, default=4096)
    flags.add_argument("--batches", type=int, default=300, help="Batches per round.")
    flags.add_argument("--rounds", type=int, default=5)
    args = flags.parse_args()
    spawn = multiprocessing.get_context("spawn")
    for num_shards in args.num_shards:
        with (
            tempfile.TemporaryDirectory() as folder,
            ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool,
        ):
            pool.submit(write_shards, Path(folder), num_shards, args).result()
            done = pool.submit(read_shards, Path(folder), args).result()
        case.write(done, args)


def write_shards(folder: Path, num_shards: int, args: argparse.Namespace) -> None:
    command_line.import_tensorflow()
    from benchmarks import image_shards

    images = image_shards.made_up_images(args.images, SIZE, CHANNELS, args.seed)
    image_shards.write(folder, {"train": images}, num_shards)


def read_shards(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Measures the rate and memory of reading."""
    case.import_tensorflow(args.threads)
    from tfvqgen.data import input_pipeline, schema

    before = case.megabytes(os.getpid())
    split = schema.open_dataset(folder).split("train")
    examples = input_pipeline.training_examples(
        split, seed=args.seed, batch_size=BATCH_SIZE, augment=True
    )
    iterator = iter(examples)
    images_per_second(iterator, WARM_UP_BATCHES)
    rates = [images_per_second(iterator, args.batches) for _ in range(args.rounds)]
    return {
        "case": "input_pipeline",
        "images_per_second": round(float(np.median(rates))),
        "memory_megabytes": round(case.megabytes(os.getpid()) - before, 1),
        "num_shards": len(split.info.shards),
    }


def images_per_second(iterator, batches: int) -> float:
    """Takes batches from an iterator and returns the rate of their images."""
    started, images = time.perf_counter(), 0
    for _ in range(batches):
        images += next(iterator)["image"].shape[0]
    return images / (time.perf_counter() - started)


if __name__ == "__main__":
    with command_line.guard():
        main()
