"""Reconstruction quality of autoencoders on held-out crops, against training time.

Trains the *baseline* (`plain_vqvae2`, a widely used VQ-VAE-2 implementation as a plain
TensorFlow graph: residual width 32, Adam 3e-4, no augmentation) and ours (a preset's
autoencoder, trained by the training loop) on the train split of a data set, and
measures both on crops of its validation split every `--every` steps:

    python -m data_prep crop --fields FOLDER --output crops
    python -m data_prep shard --crops crops --output shards
    --splits train=0.8,validation=0.2
    python -m benchmarks.reconstruction --data_dir shards --models baseline default
    plain:texture_noise_weight=0

A model is `baseline`, `default` (the preset), or NAME:KEY=VALUE,KEY=VALUE with keys of
the section vqvae. Each gets one JSON line a measurement: mean squared error and PSNR
(peak 1) over all pixels and channels with a 95 % bootstrap interval over crops,
codebook perplexity and usage, the share of spectral power that is kept in two bands of
spatial frequency for each channel, the Frechet distance between reconstructions and
originals in the features of a random network, and the seconds of training so far,
without measuring. Ours include building the graph; the baseline's do not. `--plot`
draws PSNR against seconds.
"""

import argparse
import dataclasses
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import case
from tfvqgen import command_line
from tfvqgen.errors import UserError

BASELINE = "baseline"
BASELINE_WIDTH = 32
BATCH_SIZE = 16
LEVELS = ("top", "bottom")

# Called with the step, a function that reconstructs images in [0, 1], one that encodes
# them to codes of both levels, and the number of embeddings.
Report = Callable[[int, Callable, Callable, int], None]


def main() -> None:
    flags = case.parser(__doc__)
    flags.add_argument("--data_dir", type=Path, required=True, help="Folder of shards.")
    flags.add_argument(
        "--models",
        nargs="+",
        default=[BASELINE, "default"],
        metavar="NAME:KEY=VALUE,KEY=VALUE",
        help="Models to compare (default: baseline default).",
    )
    flags.add_argument("--preset", default="hpa128", help="Preset of our models.")
    flags.add_argument("--steps", type=int, default=1000, help="Training steps.")
    flags.add_argument("--every", type=int, default=100, help="Steps between lines.")
    flags.add_argument("--crops", type=int, default=2000, help="Most crops measured.")
    flags.add_argument("--plot", type=Path, help="Image file for the plot.")
    args = flags.parse_args()
    models = read_models(args.models)
    case.import_tensorflow(args.threads)
    from tfvqgen.data import schema

    dataset = schema.open_dataset(args.data_dir)
    split = dataset.split("validation")
    crops = schema.read_images(split, range(min(args.crops, split.num_examples)))
    lines = []
    for name, overrides in models.items():
        report = _reporter(np.stack(crops), name, overrides, lines, args)
        if name == BASELINE:
            train_baseline(dataset, args, report)
        else:
            train_ours(dataset, overrides, args, report)
    if args.plot:
        plot(lines, args.plot)


def read_models(texts: list[str]) -> dict[str, list[str]]:
    """Returns the overrides of each model by its name.

    Raises:
        UserError: A text cannot be read, or a name occurs twice.
    """
    models: dict[str, list[str]] = {}
    for text in texts:
        name, _, overrides = text.partition(":")
        if not re.fullmatch(r"[\w.-]+", name) or name in models:
            raise UserError(
                "cannot read a model: expected NAME or NAME:KEY=VALUE,KEY=VALUE with "
                f"different names. Received: {text!r}"
            )
        # Values may contain commas.
        parts = [x for x in re.split(r",(?=[\w.]+=)", overrides) if x]
        models[name] = [f"vqvae.{part}" for part in parts]
    return models


def train_baseline(dataset, args: argparse.Namespace, report: Report) -> None:
    import tensorflow as tf

    from benchmarks import plain_vqvae2
    from tfvqgen.data import schema

    split = dataset.split("train")
    images = np.stack(schema.read_images(split, range(split.num_examples)))
    batches = random_batches(images, args.seed)
    sizes = plain_vqvae2.Sizes(channels=images.shape[-1], residual_width=BASELINE_WIDTH)
    model = plain_vqvae2.PlainVQVAE2(sizes, 3e-4, args.seed)
    model.start_codebooks(schema.to_unit(next(batches)))

    def reconstruct(images):
        return model.reconstruct(images)[0]

    def encode(images):
        return model.reconstruct(images)[1:]

    # The first call builds the graph.
    model.train_step(schema.to_unit(next(batches)))
    report(0, None, None, 0)
    for step in range(1, args.steps + 1):
        error = model.train_step(tf.constant(schema.to_unit(next(batches))))
        if step % args.every == 0 or step == args.steps:
            float(error)
            report(step, reconstruct, encode, sizes.num_embeddings)


def random_batches(images: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Yields batches without end; each epoch has an order of its own."""
    generator = np.random.default_rng(seed)
    order = np.empty(0, int)
    while True:
        while len(order) < BATCH_SIZE:
            order = np.append(order, generator.permutation(len(images)))
        yield images[order[:BATCH_SIZE]]
        order = order[BATCH_SIZE:]


def train_ours(
    dataset, overrides: list[str], args: argparse.Namespace, report: Report
) -> None:
    """Trains a preset's autoencoder by the training loop."""
    import keras
    import tensorflow as tf

    from tfvqgen import Config
    from tfvqgen.training import distribution
    from tfvqgen.training.loop import Loop
    from tfvqgen.training.stages.vqvae import AutoencoderStage
    from tfvqgen.training.workdir import Workdir

    preset = dataclasses.replace(Config.from_preset(args.preset), seed=args.seed)
    shape = ",".join(map(str, dataset.info.image_shape))
    config = preset.with_overrides(
        [
            f"vqvae.image_shape={shape}",
            f"vqvae.batch_size={BATCH_SIZE}",
            f"vqvae.steps={args.steps}",
            f"vqvae.validate_every={args.every}",
            f"vqvae.validation_examples={BATCH_SIZE}",
            f"vqvae.log_every={args.every}",
            f"vqvae.checkpoint_every={args.steps}",
            *overrides,
        ]
    )

    class ReportingStage(AutoencoderStage):
        """Reports at each validation."""

        step = 0

        def validation_metrics(self, sums):
            self.step = min(self.step + args.every, args.steps)
            number = self.config.num_embeddings
            report(self.step, reconstruct, self.model.encode, number)
            return super().validation_metrics(sums)

    keras.utils.set_random_seed(args.seed)
    strategy = distribution.make_strategy("one_device")
    with strategy.scope():
        stage = ReportingStage(config, dataset)
    reconstruct = tf.function(stage.model.reconstruct)
    with tempfile.TemporaryDirectory() as folder:
        workdir = Workdir(folder)
        with workdir.locked():
            report(0, None, None, 0)
            Loop(stage, strategy, workdir, seed=args.seed).run()


def measure(
    reconstruct: Callable, encode: Callable, crops: np.ndarray, num_embeddings: int
) -> dict[str, Any]:
    """Measures an autoencoder on crops that it was not trained on.

    Args:
        reconstruct: From float32 images [B, H, W, C] in [0, 1] to images like them.
        encode: From the same to the codes of both levels, int [B, h, w] each.
        crops: uint8 or uint16 [N, H, W, C], square.
        num_embeddings: The size of each codebook.
    """
    from tfvqgen.data import schema
    from tfvqgen.evaluation.extractors import RandomNetwork
    from tfvqgen.evaluation.metrics import feature_distances
    from tfvqgen.evaluation.metrics.image_quality import BANDS, band_power, power
    from tfvqgen.evaluation.metrics.intervals import bootstrap_interval
    from tfvqgen.training.stages import vqvae

    network = RandomNetwork(crops.shape[-1])
    counts = {level: np.zeros(num_embeddings) for level in LEVELS}
    errors, powers, features = [], 0.0, ([], [])
    for start in range(0, len(crops), BATCH_SIZE):
        batch = crops[start : start + BATCH_SIZE]
        images = schema.to_unit(batch).numpy()
        output = np.clip(np.asarray(reconstruct(images)), 0, 1)
        errors.append(np.square(output - images).mean(axis=(1, 2, 3)))
        powers += np.stack([band_power(power(x)).sum(axis=0) for x in (output, images)])
        stored = schema.from_unit(output, batch.dtype.name).numpy()
        for found, kept in zip((stored, batch), features, strict=True):
            kept.append(network.features(found))
        for level, codes in zip(LEVELS, encode(images), strict=True):
            flat = np.asarray(codes).ravel()
            counts[level] += np.bincount(flat, minlength=num_embeddings)
    errors = np.concatenate(errors)
    ends = bootstrap_interval(errors, lambda mean: -10 * np.log10(mean), seed=0)
    moments = [feature_distances.moments(np.concatenate(kept)) for kept in features]
    measures = {
        "mse": float(errors.mean()),
        "psnr": round(-10 * float(np.log10(errors.mean())), 3),
        "psnr_interval": np.sort(ends).round(3).tolist(),
        "FD-random": float(f"{feature_distances.frechet_distance(*moments):.4g}"),
        "held_out_crops": len(crops),
    }
    for band, kept in zip(BANDS, powers[0] / powers[1], strict=True):
        measures[f"power_kept_{band}"] = kept.round(4).tolist()
    for level in LEVELS:
        perplexity = vqvae.codebook_perplexity(counts[level])
        measures[f"{level}_codebook_perplexity"] = round(perplexity, 1)
        measures[f"{level}_usage"] = round(vqvae.usage(counts[level]), 3)
    return measures


def plot(lines: list[dict[str, Any]], path: Path) -> None:
    """Draws PSNR against seconds of training, one line for each model."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="seconds of training", ylabel="held-out PSNR (dB)")
    for model in dict.fromkeys(line["model"] for line in lines):
        points = [(x["seconds"], x["psnr"]) for x in lines if x["model"] == model]
        axes.plot(*zip(*points, strict=True), marker="o", label=model)
    axes.legend()
    figure.savefig(path)


def _reporter(crops: np.ndarray, name: str, overrides, lines: list, args) -> Report:
    """Returns a function that measures and writes a case; step 0 starts the clock."""
    measuring = started = 0.0

    def report(step: int, reconstruct, encode, num_embeddings: int) -> None:
        nonlocal measuring, started
        now = time.perf_counter()
        if step == 0:
            started = now
            return
        done = {
            "case": "reconstruction",
            "model": name,
            "set": overrides,
            "step": step,
            "seconds": round(now - started - measuring, 1),
            **measure(reconstruct, encode, crops, num_embeddings),
        }
        lines.append(done)
        case.write(done, args)
        measuring += time.perf_counter() - now

    return report


if __name__ == "__main__":
    with command_line.guard():
        main()
