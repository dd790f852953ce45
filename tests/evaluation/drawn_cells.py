"""Data sets of tiny cells that show the one label they have."""

from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np

from tests import support
from tfvqgen.data import schema
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
    rng = np.random.default_rng(seed)
    crop = mock.patch.object(support, "random_image", lambda *x: draw(x[-1] % 3, rng))
    with crop:
        sizes = {"shape": (16, 16, 3), "labels": LABELS, "num_shards": 1}
        return support.make_dataset(folder, SPLITS, **sizes)
