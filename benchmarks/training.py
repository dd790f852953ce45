"""Duration of a training step, relative to a plain TensorFlow graph of the network.

Our step is a stage with a preset's sizes, run by the training loop: input pipeline,
gradient clipping, metrics, and for priors the moving averages of the weights. The plain
graph (`plain_vqvae2`) gets the same constant batch at every step and has neither
shortcuts nor texture noise (`--set vqvae.texture_noise_weight=0` switches the noise
off), so the comparison favours it. Both run in one process, alternating; seconds are
medians over the rounds, `ratio` is the median of the ratios of the rounds, and
`cpu_ratio` is the same for processor time, which other programs disturb less.
`input_pipeline_ratio` is the rate of the input pipeline alone over the rate of
training. Priors are timed alone. The output is one JSON line for each case.
"""

import argparse
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import case
from benchmarks.input_pipeline import WARM_UP_BATCHES, images_per_second
from tfvqgen import command_line

CASES = ("vqvae", "top", "bottom")
CHANNELS = 3
NUM_IMAGES = NUM_CROPS = 512
NUM_LABELS = 24


def main() -> None:
    flags = case.parser(__doc__)
    add = flags.add_argument
    add("--preset", default="hpa128")
    add("--cases", nargs="+", choices=CASES, default=list(CASES))
    add("--batch_size", type=int, default=16)
    add("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    add("--steps", type=int, default=5, help="Steps per round.")
    add("--rounds", type=int, default=7)
    args = flags.parse_args()
    case.import_tensorflow(args.threads)
    for name in args.cases:
        measure = compare_autoencoder if name == "vqvae" else time_prior
        with tempfile.TemporaryDirectory() as folder:
            case.write(measure(name, Path(folder), args), args)


def compare_autoencoder(
    name: str, folder: Path, args: argparse.Namespace
) -> dict[str, Any]:
    from benchmarks import image_shards
    from tfvqgen import Config
    from tfvqgen.training import distribution
    from tfvqgen.training.stages.vqvae import AutoencoderStage

    config = Config.from_preset(args.preset)
    size = config.vqvae.image_shape[0]
    config = config.with_overrides(
        [
            f"vqvae.image_shape={size},{size},{CHANNELS}",
            f"vqvae.batch_size={args.batch_size}",
            "vqvae.quantize_after=0",
            *args.overrides,
        ]
    )
    images = image_shards.made_up_images(NUM_IMAGES, size, CHANNELS, args.seed)
    dataset = image_shards.write(folder, {"train": images, "validation": images})
    strategy = distribution.make_strategy("one_device")
    with strategy.scope():
        stage = AutoencoderStage(config, dataset)
    runs = {
        "ours": our_steps(stage, strategy, config.seed),
        "plain": plain_steps(config, images[: args.batch_size], args.seed),
    }
    times = time_steps(runs, args)
    step, plain_step = (np.median(seconds[:, 0]) for seconds in times.values())
    ratios = times["ours"] / times["plain"]
    ratio, cpu_ratio = np.median(ratios, axis=0)
    rate = pipeline_rate(stage, config.seed)
    return {
        "case": "training_step",
        "stage": name,
        "step_seconds": round(step, 4),
        "plain_graph_seconds": round(plain_step, 4),
        "ratio": round(ratio, 3),
        "cpu_ratio": round(cpu_ratio, 3),
        "ratios": ratios[:, 0].round(3).tolist(),
        "images_per_second": round(args.batch_size / step, 1),
        "input_pipeline_images_per_second": round(rate),
        "input_pipeline_ratio": round(rate * step / args.batch_size, 1),
    }


def time_prior(name: str, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Times the training steps of a prior on random codes."""
    from tfvqgen import Config
    from tfvqgen.data import codes
    from tfvqgen.training import distribution
    from tfvqgen.training.stages.prior import PriorStage

    config = Config.from_preset(args.preset).with_overrides(
        [f"{name}.batch_size={args.batch_size}", *args.overrides]
    )
    config = config.settled(num_labels=NUM_LABELS)
    split = codes.CodeSplit(folder, "train", write_codes(folder, config, args.seed))
    strategy = distribution.make_strategy("one_device")
    with strategy.scope():
        stage = PriorStage(name, config, split, split, autoencoder=None, display=())
    step = time_steps({"ours": our_steps(stage, strategy, config.seed)}, args)["ours"]
    codes_per_step = args.batch_size * stage.items_per_example
    return {
        "case": "training_step",
        "stage": name,
        "step_seconds": round(np.median(step[:, 0]), 4),
        "codes_per_second": round(codes_per_step / np.median(step[:, 0]), 1),
    }


def time_steps(runs: dict, args: argparse.Namespace) -> dict[str, np.ndarray]:
    """Returns seconds of wall and processor time per step, [rounds, 2] by name."""
    calls = {name: functools.partial(run, args.steps) for name, run in runs.items()}
    return {k: v / args.steps for k, v in case.alternate(calls, args.rounds).items()}


def our_steps(stage, strategy, seed: int) -> Callable[[int], float]:
    """Returns a function that runs n training steps and returns their mean loss."""
    import keras
    import tensorflow as tf

    from tfvqgen.training.optimization import WarmupCosine
    from tfvqgen.training.steps import make_training_steps

    settings = stage.config
    with strategy.scope():
        optimizer = keras.optimizers.Adam(
            WarmupCosine(
                settings.learning_rate,
                settings.warmup_steps,
                settings.steps,
                settings.final_learning_rate,
            )
        )
        optimizer.build(stage.model.trainable_variables)
    examples = strategy.distribute_datasets_from_function(
        lambda context: stage.training_data(seed=seed, start_step=0)
    )
    iterator = iter(examples)
    training_steps = make_training_steps(strategy, stage, optimizer)

    def run(steps: int) -> float:
        result = training_steps(iterator, tf.constant(steps, tf.int32))
        if int(result.steps) != steps or not bool(result.finite):
            raise RuntimeError("our loss is not finite")
        return float(result.sums["loss"]) / steps

    return run


def plain_steps(config, images: np.ndarray, seed: int) -> Callable[[int], None]:
    """Returns a function that runs n steps of the plain graph on one batch."""
    import tensorflow as tf

    from benchmarks import plain_vqvae2

    settings = config.vqvae
    sizes = plain_vqvae2.Sizes(
        channels=settings.image_shape[-1],
        hidden=settings.hidden,
        residual_layers=settings.residual_layers,
        residual_width=settings.residual_width,
        num_embeddings=settings.num_embeddings,
        embedding_dim=settings.embedding_dim,
    )
    model = plain_vqvae2.PlainVQVAE2(sizes, settings.learning_rate, seed)
    batch = tf.constant(images.astype(np.float32) / 255)
    model.start_codebooks(batch)

    def run(steps: int) -> None:
        for _ in range(steps):
            error = model.train_step(batch)
        if not np.isfinite(float(error)):
            raise RuntimeError("the plain graph's loss is not finite")

    return run


def pipeline_rate(stage, seed: int) -> float:
    """Returns the images per second of the input pipeline alone."""
    iterator = iter(stage.training_data(seed=seed, start_step=0))
    images_per_second(iterator, WARM_UP_BATCHES)
    return images_per_second(iterator, 5 * WARM_UP_BATCHES)


def write_codes(folder: Path, config, seed: int):
    """Writes shards of random codes and returns their description."""
    from tfvqgen.data import codes, tfrecords

    generator = np.random.default_rng(seed)
    shapes = config.vqvae.top_shape, config.vqvae.bottom_shape
    tops, bottoms = (
        generator.integers(config.vqvae.num_embeddings, size=[NUM_CROPS, *shape])
        for shape in shapes
    )
    shard = tfrecords.write_shard(
        folder / tfrecords.shard_name("train", 0, 1),
        (
            codes.serialize_codes(tops[i], bottoms[i], [i % NUM_LABELS], f"crop_{i}")
            for i in range(NUM_CROPS)
        ),
    )
    info = codes.CodesInfo(
        *shapes,
        num_embeddings=config.vqvae.num_embeddings,
        symmetries=1,
        labels=tuple(f"label_{i}" for i in range(NUM_LABELS)),
        dataset_fingerprint="",
        autoencoder_fingerprint="",
        splits={"train": (shard,)},
    )
    codes.write_codes_info(folder, info)
    return info


if __name__ == "__main__":
    with command_line.guard():
        main()
