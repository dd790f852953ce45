"""How well autoencoders reconstruct real cells that they have not seen.

Trains ours and the *recipe* on the crops of four fifths of the fields and measures both
on the crops of the other fields, with a JSON line for each every `--every` steps. The
recipe is the plain graph of `plain_vqvae2` with residual width 32, batch 16, Adam 3e-4
and no augmentation. Ours is a preset's autoencoder, trained by the training loop itself
on the same crops with the same batch size; `--set` changes its other keys.

`--fields` is a folder with fields of the Human Protein Atlas in the layout of the
Kaggle 2018 data.
"""

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import case, real_crops
from benchmarks.reconstruction_measures import BATCH_SIZE, measure, to_unit
from tfvqgen import command_line

RECIPE_WIDTH = 32
MODELS = ("recipe", "ours")

# Takes the number of steps, what reconstructs, what encodes, the size of each codebook,
# and further figures.
Report = Callable[[int, Callable, Callable, int, dict[str, Any]], None]


def main() -> None:
    args = _flags().parse_args()
    crops = real_crops.cut(args.fields)
    case.import_tensorflow(args.threads)
    trainers = {"recipe": train_recipe, "ours": train_ours}
    for model in args.models:
        trainers[model](crops, args, _reporter(model, crops, args))


def train_recipe(
    crops: real_crops.Crops, args: argparse.Namespace, report: Report
) -> None:
    """Trains the plain graph, reporting every `args.every` steps."""
    import tensorflow as tf

    from benchmarks import plain_vqvae2

    sizes = plain_vqvae2.Sizes(
        channels=len(real_crops.CHANNELS), residual_width=RECIPE_WIDTH
    )
    model = plain_vqvae2.PlainVQVAE2(sizes, seed=args.seed)
    batches = random_batches(crops.images[~crops.held_out], args.seed)
    model.start_codebooks(tf.constant(to_unit(next(batches))))
    errors = []
    for step in range(1, args.steps + 1):
        errors.append(model.train_step(tf.constant(to_unit(next(batches)))))
        if step % args.every == 0 or step == args.steps:
            report(
                step,
                lambda images: model.reconstruct(images)[0],
                lambda images: model.reconstruct(images)[1:],
                sizes.num_embeddings,
                {"train_mse": float(np.mean(errors))},
            )
            errors.clear()


def random_batches(images: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Yields batches without end; each pass over the images has an order of its own."""
    generator = np.random.default_rng(seed)
    waiting = np.empty(0, int)
    while True:
        while len(waiting) < BATCH_SIZE:
            waiting = np.append(waiting, generator.permutation(len(images)))
        yield images[waiting[:BATCH_SIZE]]
        waiting = waiting[BATCH_SIZE:]


def train_ours(
    crops: real_crops.Crops, args: argparse.Namespace, report: Report
) -> None:
    """Trains our autoencoder by the training loop, reporting at every validation."""
    import keras

    from benchmarks import image_shards
    from tfvqgen import Config
    from tfvqgen.training import distribution
    from tfvqgen.training.loop import Loop
    from tfvqgen.training.workdir import Workdir

    preset = dataclasses.replace(Config.from_preset(args.preset), seed=args.seed)
    config = preset.with_overrides(
        [
            f"vqvae.image_shape={','.join(map(str, crops.images.shape[1:]))}",
            f"vqvae.batch_size={BATCH_SIZE}",
            f"vqvae.steps={args.steps}",
            f"vqvae.validate_every={args.every}",
            f"vqvae.log_every={args.every}",
            f"vqvae.checkpoint_every={args.steps}",
            *args.set,
        ]
    )
    splits = {
        "train": crops.images[~crops.held_out],
        "validation": crops.images[crops.held_out],
    }
    keras.utils.set_random_seed(args.seed)
    strategy = distribution.make_strategy("one_device")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        dataset = image_shards.write(folder, splits, real_crops.CHANNELS)
        with strategy.scope():
            further = {"preset": args.preset, "set": args.set}
            stage = _reporting_stage(config, dataset, args.every, report, further)
        workdir = Workdir(folder / "workdir")
        with workdir.locked():
            Loop(stage, strategy, workdir, seed=args.seed).run()


def _reporting_stage(config, dataset, every: int, report: Report, further: dict):
    """Makes the stage `vqvae` such that each of its validations makes a report."""
    import tensorflow as tf

    from tfvqgen.training.stages.vqvae import AutoencoderStage

    class ReportingStage(AutoencoderStage):
        """Counts validations to know the step."""

        step = 0

        def validation_metrics(self, sums):
            """Reports, and returns what the stage itself says."""
            self.step = min(self.step + every, self.config.steps)
            own = super().validation_metrics(sums)
            number = self.config.num_embeddings
            report(self.step, reconstruct, stage.model.encode, number, further)
            return own

    stage = ReportingStage(config, dataset)
    reconstruct = tf.function(stage.model.reconstruct)
    return stage


def _reporter(model: str, crops: real_crops.Crops, args: argparse.Namespace) -> Report:
    """Returns a function that measures on the held-out crops and writes a case."""
    held_out = crops.images[crops.held_out]
    measuring, started = 0.0, time.perf_counter()

    def report(
        step: int, reconstruct, codes, num_embeddings: int, further: dict[str, Any]
    ) -> None:
        nonlocal measuring
        now = time.perf_counter()
        done = {
            "case": "reconstruction",
            "model": model,
            "step": step,
            **measure(reconstruct, codes, held_out, num_embeddings),
            "train_crops": len(crops.images) - len(held_out),
            "held_out_crops": len(held_out),
            "batch_size": BATCH_SIZE,
            "seed": args.seed,
            "threads": args.threads,
            "seconds": round(now - started - measuring, 1),
            **further,
        }
        case.write(done, args.output)
        measuring += time.perf_counter() - now

    return report


def _flags() -> argparse.ArgumentParser:
    flags = case.parser(__doc__)
    flags.add_argument("--fields", type=Path, required=True)
    flags.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    flags.add_argument("--steps", type=int, default=1000)
    flags.add_argument("--every", type=int, default=100, help="steps between cases")
    flags.add_argument("--preset", default="hpa128", help="of ours")
    flags.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="vqvae.KEY=VALUE",
        help="changes a key of the preset (repeated)",
    )
    return flags


if __name__ == "__main__":
    with command_line.guard():
        main()
