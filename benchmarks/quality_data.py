"""Where `benchmarks.quality` gets its crops from, as shards."""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks import image_shards, real_crops

LABELS = 28  # Of the Kaggle 2018 data.
SIZE = 128


def shards(args: argparse.Namespace, folder: Path) -> Path:
    """Returns the folder of the shards that the flags ask for.

    Args:
        args: With ``data_dir``, ``fields`` or ``synthetic``, and ``seed``.
        folder: Where shards are made unless they are given; those that are there from
            before are taken.
    """
    if args.data_dir is not None:
        return args.data_dir
    made = folder / "shards"
    if not (made / "dataset.json").is_file():
        # What an interrupted run left.
        shutil.rmtree(made, ignore_errors=True)
        if args.fields is not None:
            _cut(args.fields, made)
        else:
            _draw(args.synthetic, args.seed, folder / "crops", made)
    return made


def _cut(fields: Path, made: Path) -> None:
    crops = real_crops.cut(fields, SIZE)
    labels = np.zeros((len(crops.images), LABELS), bool)
    for row, target in zip(labels, crops.targets, strict=True):
        row[[int(index) for index in target.split()]] = True
    rows = {"train": ~crops.held_out, "validation": crops.held_out}
    image_shards.write(
        made,
        {split: crops.images[chosen] for split, chosen in rows.items()},
        real_crops.CHANNELS,
        labels={split: labels[chosen] for split, chosen in rows.items()},
    )


def _draw(number: int, seed: int, crops: Path, made: Path) -> None:
    shutil.rmtree(crops, ignore_errors=True)
    _run("synthesize", f"--output={crops}", f"--num_cells={number}", f"--seed={seed}")
    _run("shard", f"--crops={crops}", f"--output={made}", f"--seed={seed}")


def _run(*arguments: str) -> None:
    command = [sys.executable, "-m", "data_prep", *arguments]
    # What they print is for people; here lines are cases.
    status = subprocess.run(command, stdout=subprocess.DEVNULL).returncode
    if status:
        sys.exit(status)
