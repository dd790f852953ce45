"""Shared parts of the benchmarks: flags, threads and JSON lines."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from tfvqgen import command_line


def parser(description: str) -> argparse.ArgumentParser:
    """Returns a parser with the flags that every benchmark has."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--threads",
        type=int,
        default=os.cpu_count(),
        help="Number of threads for one TensorFlow operation.",
    )
    made.add_argument("--seed", type=int, default=0, help="Random seed.")
    made.add_argument(
        "--output", type=Path, help="File to which the JSON lines are appended."
    )
    return made


def import_tensorflow(threads: int) -> Any:
    """Imports TensorFlow without its start-up messages and sets its threads."""
    tf = command_line.import_tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    return tf


def write(case: dict[str, Any], output: Path | None) -> None:
    """Prints one case as a JSON line and appends it to `output`."""
    line = json.dumps(case, allow_nan=False)
    print(line, flush=True)
    if output is not None:
        with open(output, "a", encoding="utf-8") as file:
            file.write(line + "\n")
