"""Data sets of tiny cells that show the one label they have."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests import support
from tfvqgen.data import schema
from tfvqgen.data.tfrecords import write_shard
from tfvqgen.training.stages.classifier import ClassifierConfig

SPLITS = {"train": 48, "validation": 48, "test": 30}
LABELS = ("dot", "bar", "even")
TINY = ClassifierConfig(steps=8, batch_size=8, width=2, validate_every=8, log_every=4)


def draw(label: int, rng: np.random.Generator) -> np.ndarray:
    """Draws what a label stands for, in the second of three channels."""
    image = rng.integers(0, 30, size=(16, 16, 3), dtype=np.uint8)
    across, down = rng.integers(3, 12, size=2)
    if label == 0:
        image[down : down + 3, across : across + 3, 1] = 250
    elif label == 1:
        image[down : down + 2, :, 1] = 250
    else:
        image[..., 1] += 120
    return image


def make_dataset(
    folder: Path, seed: int = 0, draw: Callable[..., np.ndarray] = draw
) -> schema.Dataset:
    """Writes shards in which each crop has one label, and shows it."""
    support.make_dataset(folder, SPLITS, shape=(16, 16, 3), labels=LABELS, num_shards=1)
    rng = np.random.default_rng(seed)
    about = json.loads((folder / "dataset.json").read_text())
    for name, split in about["splits"].items():
        records = [
            schema.serialize_example(
                draw(index % 3, rng), [index % 3], crop_id=f"{name}{index}", group=name
            )
            for index in range(SPLITS[name])
        ]
        shard = write_shard(folder / split["shards"][0]["path"], records)
        split["shards"][0] |= {"bytes": shard.bytes, "sha256": shard.sha256}
    del about["fingerprint"]
    (folder / "dataset.json").write_text(json.dumps(about))
    return schema.open_dataset(folder)
