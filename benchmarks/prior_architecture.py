"""How likely held-out codes are under the fast architecture and a conventional one.

Trains both kinds of prior of a level on the same code shards by the training loop
itself: same steps, batches, order of the data, optimizer, averages of the weights.
*Ours* is `tfvqgen.models.PixelSNAIL` at the workdir's sizes; *conventional* is
`conventional_pixelsnail`, whose width is chosen such that it has as many parameters.
Each is judged on the same held-out codes by the averages of its weights. `over_ours` is
how much more bits a code costs under the conventional one, as a share (the mean over
the seeds of the seeds' ratios, less 1): above 0 ours is better.

`--workdir` has `config.json` and `codes/`, as training leaves them; nothing is written
there. One JSON line for each level and model.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import case
from tfvqgen import command_line

MODELS = ("ours", "conventional")
LEVELS = ("top", "bottom")


def main() -> None:
    args = _flags().parse_args()
    case.import_tensorflow(args.threads)
    for level in args.levels:
        compare(level, args)


def compare(level: str, args: argparse.Namespace) -> None:
    """Trains each model with each seed and writes a line for each model."""
    import keras

    from benchmarks.conventional_pixelsnail import (
        ConventionalPixelSNAIL,
        count,
        matched,
    )
    from tfvqgen.data import codes
    from tfvqgen.models import PixelSNAIL
    from tfvqgen.training.workdir import Workdir

    workdir = Workdir(args.workdir)
    info = codes.read_codes_info(workdir.stage("codes"))
    config = workdir.load_config().with_overrides(_overrides(level, args))
    ours = getattr(config, level)
    parameters = count(ours, PixelSNAIL)
    other = matched(ours, parameters)
    sizes = [f"{level}.width={other.width}"]
    sizes += [f"{level}.residual_width={other.residual_width}"]
    kinds = {
        "ours": (PixelSNAIL, config),
        "conventional": (ConventionalPixelSNAIL, config.with_overrides(sizes)),
    }
    bits_of_ours = None
    for model in args.models:
        model_class, model_config = kinds[model]
        runs = []
        started = time.perf_counter()
        for seed in seeds(args):
            keras.utils.set_random_seed(seed)
            runs.append(
                held_out_bits(level, model_class, model_config, info, seed, args)
            )
        seconds = (time.perf_counter() - started) / args.seeds
        section = getattr(model_config, level)
        bits = np.array([list(run.values()) for run in runs])
        if model == "ours":
            bits_of_ours = bits
        line = {
            "case": "prior_architecture",
            "model": model,
            "level": level,
            "map_size": section.code_shape[0],
            "parameters": count(section, model_class),
            "width": section.width,
            "residual_width": section.residual_width,
            "steps": section.steps,
            "batch_size": section.batch_size,
            "symmetries": info.symmetries,
            **bits_figures(bits, bits_of_ours),
            "bits_by_step": dict(zip(runs[0], bits.mean(axis=0).round(4), strict=True)),
            "seconds": round(seconds, 1),
            "seeds": list(seeds(args)),
            "threads": args.threads,
        }
        case.write(line, args.output)


def bits_figures(bits: np.ndarray, bits_of_ours: np.ndarray | None) -> dict[str, Any]:
    """Returns what is said of held-out bits per code [seeds, validations]."""
    last = bits[:, -1]
    figures = {
        "bits_per_code": round(last.mean(), 4),
        "bits_by_seed": last.round(4).tolist(),
        "lowest_bits_by_seed": bits.min(axis=1).round(4).tolist(),
    }
    if bits_of_ours is None:
        return figures
    over = last / bits_of_ours[:, -1] - 1
    return {
        **figures,
        "over_ours": round(over.mean(), 4),
        "over_ours_by_seed": over.round(4).tolist(),
    }


def seeds(args: argparse.Namespace) -> range:
    """Returns the seeds of a model's runs."""
    return range(args.seed, args.seed + args.seeds)


def held_out_bits(
    level: str, model_class, config, info, seed: int, args: argparse.Namespace
) -> dict[int, float]:
    """Trains one prior; returns the held-out bits per code by step."""
    import dataclasses

    from tfvqgen.data import codes
    from tfvqgen.training import distribution
    from tfvqgen.training.loop import Loop
    from tfvqgen.training.metrics_log import read_metrics
    from tfvqgen.training.stages.prior import PriorStage
    from tfvqgen.training.workdir import Workdir

    class ComparedStage(PriorStage):
        """Draws no samples, which need a sampler."""

        def pictures(self):
            """Returns none."""
            return {}

    ComparedStage.model_class = model_class
    folder = Path(args.workdir) / "codes"
    splits = [codes.CodeSplit(folder, name, info) for name in ("train", "validation")]
    strategy = distribution.make_strategy("one_device")
    config = dataclasses.replace(config, seed=seed)
    with tempfile.TemporaryDirectory() as temporary:
        with strategy.scope():
            stage = ComparedStage(level, config, *splits, autoencoder=None, display=())
        workdir = Workdir(temporary)
        with workdir.locked():
            Loop(stage, strategy, workdir, seed=seed).run()
        lines = read_metrics(workdir.stage(level) / "metrics.jsonl")
    return {
        line["step"]: line["bits_per_code"]
        for line in lines
        if line["split"] == "validation"
    }


def _overrides(level: str, args: argparse.Namespace) -> list[str]:
    return [
        f"{level}.steps={args.steps}",
        f"{level}.validate_every={args.every}",
        f"{level}.log_every={args.every}",
        f"{level}.checkpoint_every={args.steps}",
        f"{level}.validation_examples=100000",
        *(f"{level}.{text}" for text in args.set),
    ]


def _flags() -> argparse.ArgumentParser:
    flags = case.parser(__doc__)
    flags.add_argument("--workdir", type=Path, required=True)
    flags.add_argument("--levels", nargs="+", choices=LEVELS, default=list(LEVELS))
    flags.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    flags.add_argument("--steps", type=int, default=1000)
    flags.add_argument("--every", type=int, default=100, help="steps between looks")
    flags.add_argument("--seeds", type=int, default=2, help="runs of each model")
    flags.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="changes a key of the levels' section (repeated)",
    )
    return flags


if __name__ == "__main__":
    with command_line.guard():
        main()
