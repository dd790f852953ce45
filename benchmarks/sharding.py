"""Speed of writing shards, up to a data set of 157,000 crops.

Crops are drawn once. The cases, one JSON line each:

- `rate`: crops a second of processor time of the function behind the command `shard`,
  without the start of Python and TensorFlow;
- `total`: `--total` crops, which are the drawn ones under new names (hard links, so
  that the files come from memory), through the commands `shard` and `train.py` as a
  user starts them: seconds until the shards are written and until the first training
  step is logged, and the largest memory of either process, for `--total` crops and for
  a twentieth of them.
"""

import argparse
import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import case
from tfvqgen import command_line

ROOT = Path(__file__).resolve().parents[1]
CASES = ("rate", "total")
# Enough network to train; its speed is measured elsewhere.
SMALL = (
    "hidden=16 residual_width=8 batch_size=16 log_every=1 validate_every=1000 "
    "validation_examples=64 warmup_steps=1"
)


def main() -> None:
    flags = case.parser(__doc__)
    add = flags.add_argument
    add("--cases", nargs="+", choices=CASES, default=["rate"])
    add("--distinct", type=int, default=2000, help="Crops to draw.")
    add("--rounds", type=int, default=3, help="Rounds of `rate`.")
    add("--total", type=int, default=157_000, help="Crops of `total`.")
    text = "Folder for temporary files (about 7 GB for `total`)."
    add("--scratch", type=Path, default=Path("runs"), help=text)
    args = flags.parse_args()
    case.import_tensorflow(1)
    measures = {"rate": rate, "total": total}
    args.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        folder = Path(scratch) / "crops"
        command = ["-m", "data_prep", "synthesize", f"--output={folder}"]
        command += [f"--num_cells={args.distinct}", "--size=128"]
        run([*command, f"--seed={args.seed}"])
        for name in args.cases:
            for measured in measures[name](folder, Path(scratch), args):
                case.write({"case": f"sharding_{name}", **measured}, args)


def rate(folder: Path, scratch: Path, args: argparse.Namespace) -> Iterator[dict]:
    """Measures crops a second of processor time."""
    from data_prep.labels import load_vocabulary
    from data_prep.shards import shards
    from tfvqgen.data.crops import read_crops

    options = shards.ShardOptions(
        vocabulary=load_vocabulary("hpa24"),
        splits={"train": 0.8, "validation": 0.1, "test": 0.1},
    )
    rates = []
    for _ in range(args.rounds):
        output = scratch / "shards"
        source = shards.source_of_table(read_crops(folder))
        started = time.process_time()
        info, _ = shards.write_dataset(source, output, options)
        seconds = time.process_time() - started
        number = sum(split.num_examples for split in info.splits.values())
        rates.append(number / seconds)
        shutil.rmtree(output)
    yield {
        "crops_per_core_second": round(float(np.median(rates))),
        "crops": number,
    }


def total(folder: Path, scratch: Path, args: argparse.Namespace) -> Iterator[dict]:
    """Runs the commands on very many crops, and on a twentieth of them."""
    for number in (args.total // 20, args.total):
        crops, shards = scratch / "many", scratch / "shards"
        workdir = scratch / "workdir"
        distinct = link_many(folder, crops, number)
        command = ["-m", "data_prep", "shard", f"--crops={crops}"]
        sharded = run([*command, f"--output={shards}", "--num_shards=16"])
        flags = [f"--data_dir={shards}", f"--workdir={workdir}", "--preset=hpa128"]
        flags += ["--stage=vqvae", "--steps=200"]
        flags += [f"--set=vqvae.{override}" for override in SMALL.split()]
        trained = run(["train.py", *flags], workdir / "vqvae" / "metrics.jsonl")
        yield {
            "crops": number,
            "distinct_crops": distinct,
            "shard_seconds": round(sharded.seconds, 1),
            "shard_memory_megabytes": sharded.megabytes,
            "seconds_to_first_step": round(trained.first_line, 1),
            "train_memory_megabytes": trained.megabytes,
        }
        for path in (crops, shards, workdir):
            shutil.rmtree(path)


class Run(NamedTuple):
    """Time and memory of a process."""

    seconds: float
    megabytes: int  # The maximum.
    first_line: float  # Seconds until the awaited file had its first line.


def run(command: list[str], awaited: Path | None = None) -> Run:
    """Runs Python and notes when `awaited` has its first line."""
    started, first_line = time.perf_counter(), 0.0
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT)
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        now = time.perf_counter() - started
        if not first_line and awaited and awaited.exists() and awaited.stat().st_size:
            first_line = now
        if pid:
            break
        time.sleep(0.05)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return Run(now, usage.ru_maxrss // 1024, first_line)


def link_many(folder: Path, target: Path, number: int) -> int:
    """Makes a folder of many crops: the groups of `folder` repeated under new names."""
    from tfvqgen.data.crops import read_crops, write_crops

    source = read_crops(folder)
    (target / "images").mkdir(parents=True)
    rows = []
    for index in range(number):
        again, place = divmod(index, len(source.rows))
        row = source.rows[place]
        crop_id = f"{row.crop_id}-{again}"
        path = f"images/{crop_id}.png"
        os.link(source.image_path(row), target / path)
        changed = {"crop_id": crop_id, "path": path, "group": f"{row.group}-{again}"}
        rows.append(dataclasses.replace(row, **changed))
    write_crops(target, rows, channels=source.channels, credit=source.credit)
    return min(number, len(source.rows))


if __name__ == "__main__":
    with command_line.guard():
        main()
