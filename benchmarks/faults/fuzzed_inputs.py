"""Does every parser outlive what strangers may give it, and say what is wrong?

Whole files of every kind are damaged by the seed: values, types, names, cells, rows,
encodings, chunks with sums that are right, declared sizes, bombs that unpack to a
thousand times their size, links that leave the folder, pickles where numbers should be.
Each input must be read or refused in a sentence, in time, without a traceback; and the
memory must be at the end what it was after a tenth.

Every target runs in a process of its own and gives one JSON line; `faults` must be
empty. `--target all` runs them all, with their shares of `--inputs`: what takes long
gets fewer. An input of a target is made of the seed and its number alone.
"""

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from benchmarks import case
from tfvqgen import command_line
from tfvqgen.errors import UserError

ALL = "all"
ROOT = Path(__file__).resolve().parents[2]
# Of the inputs of `all`: whole folders and what TensorFlow opens take longer.
_FOLDERS = ("layout", "kaggle2018", "kaggle2021", "hpa", "if_image", "subcell")
_FOLDERS += ("folder", "manifest", "crops", "crop_images", "stored_png", "features")
_FOLDERS += ("umap", "decisions", "decided", "clusters", "dataset_json", "codes_json")
_FOLDERS += ("config_json", "metrics", "journal", "downloaded")
_SHARES = dict.fromkeys(_FOLDERS, 0.25)
_SHARES |= dict.fromkeys(("shards", "code_shards", "saved_model"), 0.02)


def main() -> None:
    args = _flags().parse_args()
    from benchmarks.faults.fuzzing.targets import TARGETS

    if args.target == ALL:
        shares = {name: _SHARES.get(name, 1.0) for name in TARGETS}
        for name, share in shares.items():
            number = round(args.inputs * share / sum(shares.values())) + 1
            _run_apart(name, number, args)
        return
    if args.target not in TARGETS:
        raise UserError(
            f"unknown target: expected {ALL} or one of {', '.join(TARGETS)}. "
            f"Received: target={args.target}"
        )
    case.import_tensorflow(args.threads)
    case.write(fuzz(args.target, args.inputs, args.seed, args.seconds), args.output)


def fuzz(target: str, number: int, seed: int, seconds: float = 10.0) -> dict[str, Any]:
    """Gives a parser so many inputs and returns the case."""
    from benchmarks.faults.fuzzing.judging import judge
    from benchmarks.faults.fuzzing.targets import TARGETS

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = judge(TARGETS[target](Path(folder)), number, seed, seconds)
    return {
        "case": "fuzzed_inputs",
        "target": target,
        **result.as_json(),
        "seconds": round(time.perf_counter() - started, 1),
        "seed": seed,
    }


def _run_apart(target: str, number: int, args: argparse.Namespace) -> None:
    words = ["--target", target, "--inputs", number, "--seed", args.seed]
    words += ["--seconds", args.seconds, "--threads", args.threads]
    if args.output is not None:
        words += ["--output", args.output]
    command = [sys.executable, "-m", "benchmarks.faults.fuzzed_inputs"]
    done = subprocess.run([*command, *map(str, words)], cwd=ROOT)
    if done.returncode:
        fault = f"the process ended with exit status {done.returncode}"
        died = {"case": "fuzzed_inputs", "target": target, "faults": {fault: 1}}
        case.write(died, args.output)


def _flags() -> argparse.ArgumentParser:
    flags = case.parser(__doc__)
    flags.add_argument("--target", default=ALL, help=f"a parser, or {ALL}")
    flags.add_argument("--inputs", type=int, default=200_000, help="how many")
    flags.add_argument(
        "--seconds", type=float, default=10.0, help="that one input may take"
    )
    return flags


if __name__ == "__main__":
    with command_line.guard():
        main()
