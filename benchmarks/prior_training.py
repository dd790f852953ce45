"""The priors' part of `training`: ours and the plain graph, on made-up codes."""

# Shapes: h x w top codes, 2h x 2w bottom codes, B a batch.

from collections.abc import Callable
from pathlib import Path

import numpy as np

NUM_CROPS = 512
NUM_LABELS = 24


def make(level: str, folder: Path, config, seed: int):
    """Returns a prior's stage on made-up codes, its strategy and the plain graph.

    Args:
        level: ``top`` or ``bottom``.
        folder: Where code shards are written.
        config: The configuration.
        seed: Of the codes.

    Returns:
        The stage, its strategy, and a function that takes so many steps of the plain
        graph on the stage's first batch, from the stage's weights, and returns the
        first one's loss.
    """
    from tfvqgen.data import codes
    from tfvqgen.training import distribution
    from tfvqgen.training.stages.prior import PriorStage

    config = config.settled(num_labels=NUM_LABELS)
    info = write_codes(folder, config, seed)
    split = codes.CodeSplit(folder, "train", info)
    strategy = distribution.make_strategy("one_device")
    with strategy.scope():
        stage = PriorStage(level, config, split, split, autoencoder=None, display=())
    return stage, strategy, plain_steps(stage, config.seed)


def plain_steps(stage, seed: int) -> Callable[[int], float]:
    """Returns a function that takes so many steps of the plain graph on one batch."""
    from benchmarks import plain_pixelsnail, training

    weights = plain_pixelsnail.named_weights(stage.model)
    model = plain_pixelsnail.PlainPixelSNAIL(stage.config, weights, seed)
    batch = next(iter(training.training_data(stage, seed)))
    inputs = [batch[stage.name], batch["labels"]]
    if stage.config.conditioned:
        inputs.append(batch["top"])

    def run(steps: int) -> float:
        losses = [model.train_step(*inputs) for _ in range(steps)]
        if not np.isfinite(losses[-1]):
            raise RuntimeError("the plain graph's loss is not finite")
        return float(losses[0])

    return run


def write_codes(folder: Path, config, seed: int):
    """Writes shards of random codes; returns what ``codes.json`` says."""
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
