"""Throughput and memory of the input pipeline of training.

The same images are written as different numbers of shards; each number is read in its
own process: batches of 16 in training order, decoded, with a random symmetry.
`memory_megabytes` is the growth of the process from before the data set is opened to
after the last batch. The output is one JSON line for each number of shards; the rate is
the median over the rounds.
"""

import argparse
import multiprocessing
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
    args = _flags().parse_args()
    spawn = multiprocessing.get_context("spawn")
    for num_shards in args.num_shards:
        with (
            tempfile.TemporaryDirectory() as folder,
            ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as pool,
        ):
            pool.submit(write_shards, Path(folder), num_shards, args).result()
            done = pool.submit(read_shards, Path(folder), args).result()
        case.write(done, args.output)


def write_shards(folder: Path, num_shards: int, args: argparse.Namespace) -> None:
    """Writes the images as `num_shards` shards."""
    command_line.import_tensorflow()
    from benchmarks import image_shards

    images = image_shards.made_up_images(args.images, SIZE, CHANNELS, args.seed)
    names = [f"channel_{i}" for i in range(CHANNELS)]
    image_shards.write(folder, {"train": images}, names, num_shards)


def read_shards(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Measures the rate and memory of reading."""
    case.import_tensorflow(args.threads)
    from tfvqgen.data import input_pipeline, schema

    before = resident_megabytes()
    split = schema.open_dataset(folder).split("train")
    examples = input_pipeline.training_examples(
        split, seed=args.seed, batch_size=BATCH_SIZE, augment=True
    )
    iterator = iter(examples)
    images_per_second(iterator, WARM_UP_BATCHES)
    rates = [images_per_second(iterator, args.batches) for _ in range(args.rounds)]
    shards = split.info.shards
    return {
        "case": "input_pipeline",
        "images_per_second": round(float(np.median(rates))),
        "slowest": round(min(rates)),
        "fastest": round(max(rates)),
        "memory_megabytes": round(resident_megabytes() - before, 1),
        "num_shards": len(shards),
        "num_examples": split.num_examples,
        "bytes_per_record": sum(s.bytes for s in shards) // split.num_examples,
        "image_shape": list(split.dataset_info.image_shape),
        "batch_size": BATCH_SIZE,
        "rounds": args.rounds,
        "seed": args.seed,
        "threads": args.threads,
    }


def images_per_second(iterator, batches: int) -> float:
    """Takes batches from an iterator and returns the rate of their images."""
    started, images = time.perf_counter(), 0
    for _ in range(batches):
        images += next(iterator)["image"].shape[0]
    return images / (time.perf_counter() - started)


def resident_megabytes() -> float:
    """Returns the resident memory of this process (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS in /proc/self/status")


def _flags() -> argparse.ArgumentParser:
    flags = case.parser(__doc__)
    flags.add_argument("--num_shards", type=int, nargs="+", default=[1, 8, 64, 512])
    flags.add_argument("--images", type=int, default=4096)
    flags.add_argument("--batches", type=int, default=300, help="Batches per round.")
    flags.add_argument("--rounds", type=int, default=5)
    return flags


if __name__ == "__main__":
    with command_line.guard():
        main()
