"""A small folder of crops with features, for tests of screening."""

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from data_prep.commands import screen
from data_prep.embedding import projection
from data_prep.embedding.crop_features import write_features
from tests.support import make_crops, run_command
from tfvqgen.data.crops import read_crops

INSTALLED = all(importlib.util.find_spec(name) for name in ("sklearn", "umap"))
LABELS = ("Cytosol", "Nucleoli", "Golgi apparatus")


def make_screened(folder: Path, num: int = 60, **columns) -> Path:
    """Writes crops of three labels, whose features are apart, two of them far away."""
    labels = [[LABELS[i % 3]] for i in range(num)]
    crops = make_crops(folder, labels, shape=(16, 16, 4), **columns)
    write_some_features(crops)
    return crops


def write_some_features(folder: Path, seed: int = 0) -> None:
    """Writes features of a folder's crops: their first label and some noise."""
    rows = read_crops(folder).rows
    rng = np.random.default_rng(seed)
    kinds = [LABELS.index(crop.labels[0]) for crop in rows]
    values = 9 * np.eye(3, 12)[kinds] + rng.normal(size=(len(rows), 12))
    values[[4, 9]] += 60
    write_features(
        folder,
        values,
        crop_ids=[crop.crop_id for crop in rows],
        crops=[crop.sha256 for crop in rows],
        model="random numbers",
        config={"seed": seed},
    )


def run_screen(*flags) -> None:
    """Runs the command as its user would."""
    run_command(screen, *flags)


@contextlib.contextmanager
def quick_map() -> Iterator[None]:
    """Lets maps be the first two components: UMAP takes long to compile itself."""

    def components_alone(components, clusters, seed, progress=None):
        return np.ascontiguousarray(components[:, :2])

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(projection, "map_positions", components_alone)
        yield
