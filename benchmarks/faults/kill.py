"""Kills training with SIGKILL at random moments and compares what comes out.

One run is left alone; another one, on the same data with the same flags, is killed
`--kills` times at moments drawn from the seed (from start-up to the end, so that
imports, steps, validations and checkpoints are all hit) and started again each time.
Every variable of the last checkpoints (weights, codebooks, optimizer, step, running
sums) and every line of figures but the speed must be equal, bit for bit. One JSON line.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import case
from benchmarks.faults.process import ROOT
from tfvqgen import command_line

SMALL = (
    "vqvae.hidden=16",
    "vqvae.residual_width=8",
    "vqvae.num_embeddings=32",
    "vqvae.embedding_dim=8",
    "vqvae.batch_size=8",
    "vqvae.quantize_after=10",
    "vqvae.bottom_dropout=0.1",
    "vqvae.log_every=7",
    "vqvae.validate_every=20",
    "vqvae.checkpoint_every=5",
)


def main() -> None:
    parser = case.parser(__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--steps", type=int, default=400)
    args = parser.parse_args()
    case.import_tensorflow(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        case.write(compare(Path(folder), args), args.output)


def compare(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Runs both and returns the case."""
    from benchmarks import image_shards

    data = folder / "data"
    images = image_shards.made_up_images(200, 64, 4, args.seed)
    splits = {"train": images[:168], "validation": images[168:]}
    image_shards.write(data, splits, ["red", "green", "blue", "yellow"])
    begun = time.monotonic()
    finish(folder / "alone", data, args)
    seconds = time.monotonic() - begun
    rng = random.Random(args.seed)
    killed_at = [
        kill_once(folder / "killed", data, args, seconds, rng)
        for _ in range(args.kills)
    ]
    finish(folder / "killed", data, args)
    different = differences(folder / "alone", folder / "killed")
    return {
        "case": "kill",
        "kills": len(killed_at),
        "steps": args.steps,
        "last_checkpoint_at_each_kill": killed_at,
        "variables_that_differ": different,
        "figures_equal": figures(folder / "alone") == figures(folder / "killed"),
        "seed": args.seed,
        "threads": args.threads,
    }


def start(workdir: Path, data: Path, args: argparse.Namespace) -> subprocess.Popen:
    """Starts training in a process of its own."""
    command = [
        sys.executable,
        "train.py",
        f"--data_dir={data}",
        f"--workdir={workdir}",
        "--preset=demo",
        "--stage=vqvae",
        "--strategy=one_device",
        f"--steps={args.steps}",
        *(f"--set={override}" for override in SMALL),
    ]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def finish(workdir: Path, data: Path, args: argparse.Namespace) -> None:
    """Trains to the end."""
    if start(workdir, data, args).wait() != 0:
        raise RuntimeError(f"training failed in {workdir}")


def kill_once(workdir, data, args, seconds: float, rng: random.Random) -> int:
    """Starts training and kills it; returns the step of its last checkpoint.

    A tenth of the whole run's time at the most beyond start-up, so that ten kills fall
    into ten parts of it.
    """
    from tfvqgen.training.checkpoints import saved_checkpoints

    process = start(workdir, data, args)
    before = saved_checkpoints(workdir / "vqvae" / "checkpoints")
    if rng.random() < 0.7:
        # Wait for steps to be taken; the others may die while they start up.
        while process.poll() is None:
            if saved_checkpoints(workdir / "vqvae" / "checkpoints") != before:
                break
            time.sleep(0.01)
    time.sleep(rng.uniform(0, seconds / 10))
    process.send_signal(signal.SIGKILL)
    process.wait()
    saved = saved_checkpoints(workdir / "vqvae" / "checkpoints")
    return saved[-1][0] if saved else 0


def differences(one: Path, other: Path) -> list[str]:
    """Names the variables of the last checkpoints that are not equal."""
    values = [saved_values(one), saved_values(other)]
    names = sorted(values[0].keys() | values[1].keys())
    return [
        name
        for name in names
        if any(name not in v for v in values)
        or not np.array_equal(values[0][name], values[1][name])
    ]


def saved_values(workdir: Path) -> dict[str, np.ndarray]:
    """Reads all variables of the last checkpoint."""
    import tensorflow as tf

    from tfvqgen.training.checkpoints import saved_checkpoints

    _, path = saved_checkpoints(workdir / "vqvae" / "checkpoints")[-1]
    reader = tf.train.load_checkpoint(path)
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name.endswith("VARIABLE_VALUE") and "save_counter" not in name
    }


def figures(workdir: Path) -> list[dict[str, Any]]:
    """Reads the lines of figures without their speed."""
    lines = (workdir / "vqvae" / "metrics.jsonl").read_text().splitlines()
    read = [json.loads(line) for line in lines]
    for line in read:
        line.pop("images_per_second", None)
    return read


if __name__ == "__main__":
    with command_line.guard():
        main()
