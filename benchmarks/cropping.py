"""Throughput and memory of `python -m data_prep crop`.

Draws a few synthetic fields of 2048 x 2048 pixels in four channels, lists them many
times under other names, and crops them as a user does: from PNG files to written crops,
with quality metrics, without overlays. The start of the workers is timed by a run on a
few fields and subtracted. `core_seconds_per_field` is processor time, which other
programs disturb less. Memory is that of the command and its workers together, sampled
while it runs: `memory_growth` is the mean of the last quarter over that of the second.
The output is one JSON line.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import case
from tfvqgen import command_line
from tfvqgen.data.crops import read_crops

CHANNELS = ("red", "green", "blue", "yellow")
NUM_DRAWN = 8
_PAUSE = 0.25


def main() -> None:
    flags = case.parser(__doc__)
    flags.add_argument("--fields", type=int, default=200, help="Fields to crop.")
    flags.add_argument("--field_size", type=int, default=2048, help="Side in pixels.")
    args = flags.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        case.write(measure(Path(folder), args), args)


def measure(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Draws the fields, crops few and many of them, and measures."""
    drawn = folder / "drawn"
    words = ["--output", drawn, "--fields", NUM_DRAWN, "--defects", 0]
    words += ["--field_size", args.field_size, "--seed", args.seed]
    _run("synthesize", *words, "--workers", args.threads).wait()
    few, many = 2 * args.threads, args.fields
    start = _crop(_listed(drawn, folder / "few", few), few, args)
    whole = _crop(_listed(drawn, folder / "many", many), many, args)
    rate = (many - few) / (whole.seconds - start.seconds)
    core_seconds = (whole.core_seconds - start.core_seconds) / (many - few)
    memory = whole.megabytes
    quarter = len(memory) // 4
    before = np.mean(memory[quarter : 2 * quarter])
    return {
        "case": "cropping",
        "fields_per_second": round(rate, 2),
        "core_seconds_per_field": round(core_seconds, 3),
        "crops_per_field": round(whole.num_crops / many, 1),
        "memory_growth": round(float(np.mean(memory[-quarter:]) / before), 3),
        "largest_megabytes": round(max(memory)),
    }


def _listed(drawn: Path, folder: Path, count: int) -> Path:
    """Makes a folder that lists the drawn fields many times."""
    (folder / "train").mkdir(parents=True)
    os.link(drawn / "fields.json", folder / "fields.json")
    with open(drawn / "train.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    with open(folder / "train.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("Id", "Target"))
        for index in range(count):
            row = rows[index % len(rows)]
            writer.writerow((f"field{index:05d}", row["Target"]))
            for channel in CHANNELS:
                name = f"train/field{index:05d}_{channel}.png"
                os.link(drawn / f"train/{row['Id']}_{channel}.png", folder / name)
    return folder


class _Run(NamedTuple):
    seconds: float
    core_seconds: float  # Of all processes together.
    megabytes: list[float]  # Over time.
    num_crops: int


def _crop(fields: Path, count: int, args: argparse.Namespace) -> _Run:
    output = fields.with_name(f"{fields.name}-crops")
    words = ["--fields", fields, "--output", output, "--overlays", 0]
    started, used = time.perf_counter(), _core_seconds()
    process = _run("crop", *words, "--workers", args.threads)
    memory = []
    while process.poll() is None:
        memory.append(case.megabytes(process.pid))
        time.sleep(_PAUSE)
    seconds = time.perf_counter() - started
    rows = read_crops(output).rows
    if process.returncode or len({row.field for row in rows}) != count:
        raise RuntimeError("the fields were not cropped")
    return _Run(seconds, _core_seconds() - used, memory[:-1], len(rows))


def _core_seconds() -> float:
    """Returns the processor time of all finished child processes."""
    times = os.times()
    return times.children_user + times.children_system


def _run(command: str, *words: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "data_prep", command, *map(str, words)],
        stdout=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    with command_line.guard():
        main()
