"""What the benchmarks share: their flags, their threads and how a case is printed."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from tfvqgen import command_line


def parser(description: str) -> argparse.ArgumentParser:
    """Returns a parser with the flags that every benchmark has."""
    made = command_line.Parser(description=description)
    made.add_argument("--threads", type=int, default=os.cpu_count(), help="for one op")
    made.add_argument("--seed", type=int, default=0, help="what all depends on")
    made.add_argument("--output", type=Path, help="a file that lines are added to")
    return made


def import_tensorflow(threads: int) -> Any:
    """Imports TensorFlow quietly, each operation running on `threads` threads."""
    tf = command_line.import_tensorflow()
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    return tf


def write(case: dict[str, Any], output: Path | None) -> None:
    """Prints one case as a JSON line and adds it to `output`."""
    line = json.dumps(case, allow_nan=False)
    print(line, flush=True)
    if output is not None:
        with open(output, "a", encoding="utf-8") as file:
            file.write(line + "\n")
