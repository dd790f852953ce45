"""Shared parts of the benchmarks: flags, threads, timing and JSON lines."""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfvqgen import command_line


def parser(description: str) -> argparse.ArgumentParser:
    """Returns a parser with the flags that every benchmark has."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    text = "Number of threads for one TensorFlow operation."
    made.add_argument("--threads", type=int, default=os.cpu_count(), help=text)
    made.add_argument("--seed", type=int, default=0, help="Random seed.")
    text = "File to which the JSON lines are appended."
    made.add_argument("--output", type=Path, help=text)
    return made


def import_tensorflow(threads: int) -> Any:
    """Imports TensorFlow without its start-up messages and sets its threads."""
    tf = command_line.import_tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    return tf


def write(case: dict[str, Any], args: argparse.Namespace) -> None:
    """Prints a case with its flags as a JSON line, and appends it to `--output`."""
    line = json.dumps({**case, "flags": vars(args)}, allow_nan=False, default=str)
    print(line, flush=True)
    if args.output is not None:
        with open(args.output, "a", encoding="utf-8") as file:
            file.write(line + "\n")


def megabytes(pid: int) -> float:
    """Returns the resident memory of a process and its children (Linux)."""
    total, waiting = 0.0, [pid]
    while waiting:
        proc = Path(f"/proc/{waiting.pop()}")
        try:
            pages = int((proc / "statm").read_text().split()[1])
            children = (proc / "task" / proc.name / "children").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        waiting += map(int, children.split())
    return total


def median(values: np.ndarray) -> float:
    """Returns the median to four digits."""
    return float(f"{np.median(values):.4g}")


def alternate(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, np.ndarray]:
    """Times functions alternately, after one untimed call of each.

    Returns:
        Seconds of wall time and of processor time by name, float64 [rounds, 2].
    """
    for run in runs.values():
        run()
    times = {name: np.zeros([rounds, 2]) for name in runs}
    for turn in range(rounds):
        for name, run in runs.items():
            started = time.perf_counter(), time.process_time()
            run()
            ended = time.perf_counter(), time.process_time()
            times[name][turn] = np.subtract(ended, started)
    return times
