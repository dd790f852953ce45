"""Whether both levels of the demo's autoencoder carry something, from end to end.

What `make demo` does, without its pictures: synthetic crops, shards, the stage `vqvae`
with the demo preset; then the figures of the last validation. Each level's codebook
perplexity stands beside K: near 1 the level says nothing, near K every code is used
alike. `top_only_mse` is the error of pictures decoded from the top codes alone, and
`mean_image_mse` that of the mean image, which needs no codes at all. One JSON line.

With --folder what is there already is used again and training goes on, as the commands
themselves do.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import case
from tfvqgen import command_line
from tfvqgen.errors import UserError

FIGURES = (
    "top_codebook_perplexity",
    "bottom_codebook_perplexity",
    "top_usage",
    "bottom_usage",
    "reconstruction_mse",
    "top_only_mse",
    "bottom_only_mse",
    "mean_image_mse",
    "psnr",
)


def main() -> None:
    args = _flags().parse_args()
    with contextlib.ExitStack() as stack:
        folder = args.folder
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        started = time.perf_counter()
        train(folder, args)
        seconds = time.perf_counter() - started
        case.write(health(folder / "workdir", seconds, args), args.output)


def train(folder: Path, args: argparse.Namespace) -> None:
    """Runs the commands as a user does, each in a process of its own."""
    crops, shards, workdir = (folder / name for name in ("crops", "shards", "workdir"))
    size = ("--num_cells", args.crops, "--size", 64, "--seed", args.seed)
    _run("-m", "data_prep", "synthesize", "--output", crops, *size)
    if not (shards / "dataset.json").exists():
        _run("-m", "data_prep", "shard", "--crops", crops, "--output", shards)
    program = Path(__file__).resolve().parents[1] / "train.py"
    flags = [f"--data_dir={shards}", f"--workdir={workdir}", "--preset=demo"]
    flags += [f"--seed={args.seed}", "--stage=vqvae"]
    flags += [f"--set={override}" for override in args.set]
    flags += [f"--steps={args.steps}"] if args.steps else []
    _run(program, *flags)


def health(workdir: Path, seconds: float, args: argparse.Namespace) -> dict[str, Any]:
    """Returns the case: figures of the last validation, and what they are held to."""
    case.import_tensorflow(args.threads)
    from tfvqgen.training.metrics_log import read_metrics
    from tfvqgen.training.workdir import Workdir

    config = Workdir(workdir).load_config().vqvae
    lines = read_metrics(workdir / "vqvae" / "metrics.jsonl")
    last = [line for line in lines if line["split"] == "validation"][-1]
    missing = [name for name in FIGURES if last.get(name) is None]
    if missing:
        raise UserError(
            f"figures are missing: expected {', '.join(FIGURES)} in the last "
            f"validation of {workdir}. Received: no {', '.join(missing)}"
        )
    number = config.num_embeddings
    return {
        "case": "demo_health",
        **{name: round(last[name], 6) for name in FIGURES},
        "top_perplexity_over_k": round(last["top_codebook_perplexity"] / number, 3),
        "bottom_perplexity_over_k": round(
            last["bottom_codebook_perplexity"] / number, 3
        ),
        "top_only_over_mean_image": round(
            last["top_only_mse"] / last["mean_image_mse"], 3
        ),
        "num_embeddings": number,
        "step": last["step"],
        "seconds": round(seconds, 1),
        "crops": args.crops,
        "seed": args.seed,
    }


def _run(*words: object) -> None:
    # What the commands print belongs on stderr here: stdout is the JSON line's.
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, stdout=sys.stderr)
    if done.returncode:
        sys.exit(done.returncode)


def _flags() -> argparse.ArgumentParser:
    flags = case.parser(__doc__)
    flags.add_argument("--folder", type=Path, help="keep everything here")
    flags.add_argument("--crops", type=int, default=4000, help="synthetic crops")
    flags.add_argument("--steps", type=int, help="the preset's if not given")
    flags.add_argument("--set", action="append", default=[], help="as train.py's")
    return flags


if __name__ == "__main__":
    with command_line.guard(command_line.GOES_ON):
        main()
