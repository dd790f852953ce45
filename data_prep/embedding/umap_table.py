"""Clusters and map of crops on disk: ``umap.csv``, described by ``umap.json``.

Both files lie beside ``crops.csv``. ``umap.csv`` has ``crop_id,sha256,x,y,cluster`` in
the order of the features. ``umap.json`` holds the hashes of the features and of
``umap.csv``, and the settings and libraries that the coordinates were computed with.
"""

import dataclasses
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.embedding import projection
from data_prep.embedding.crop_features import Features
from data_prep.screening.decisions import STAMP_DIGITS, Stamp
from data_prep.tables import read_table
from tfvqgen.errors import DataError
from tfvqgen.files import read_json, sha256_of_file, write_json, write_table

TABLE = "umap.csv"
DESCRIPTION = "umap.json"
FORMAT = 1
_COLUMNS = ("crop_id", "sha256", "x", "y", "cluster")
_LIBRARIES = ("numpy", "scikit-learn", "umap-learn")


@dataclasses.dataclass(frozen=True)
class EmbeddingTable:
    """The contents of ``umap.csv``, in the order of the features."""

    positions: np.ndarray  # Float32 [N, 2].
    clusters: np.ndarray  # Int32 [N].
    config: Mapping[str, Any]  # Settings and libraries.
    sha256: str  # Hex sha256 of umap.csv.

    def stamp(self, features: Features) -> Stamp:
        """Returns the hashes that decisions about these clusters carry.

        The hash of the table is among them, because two machines may cluster the same
        features differently.
        """
        origin = [features.config, self.config, self.sha256]
        text = json.dumps(origin, sort_keys=True)
        config = hashlib.sha256(text.encode()).hexdigest()
        stamp = features.sha256, features.model, config
        return Stamp(*(part[:STAMP_DIGITS] for part in stamp))


def read_embedding(
    folder: str | os.PathLike,
    features: Features,
    num_clusters: int | None = None,
    seed: int | None = None,
) -> EmbeddingTable | None:
    """Reads clusters and map; returns None if they do not fit the features or settings.

    `folder` has ``crops.csv`` and the features. None accepts any `num_clusters` or
    `seed`.

    Raises:
        DataError: They are damaged.
    """
    table, description = Path(folder) / TABLE, Path(folder) / DESCRIPTION
    if not description.is_file() or not table.is_file():
        return None
    stored = read_json(description)
    if (
        not isinstance(stored, dict)
        or stored.get("format") != FORMAT
        or stored.get("features") != features.sha256
        or stored.get("sha256") != sha256_of_file(table)
    ):
        return None
    rows = list(read_table(table, _COLUMNS))
    try:
        config = stored["config"]
        settings = config["clusters"], config["seed"]
        positions = np.array([[row.get("x"), row.get("y")] for row in rows], np.float32)
        clusters = np.array([row.get("cluster") for row in rows], np.int32)
        valid = tuple(row.get("crop_id") for row in rows) == features.crop_ids
        valid = valid and np.isfinite(positions).all()
        valid = valid and 0 <= clusters.min() <= clusters.max() < settings[0]
    except (KeyError, OverflowError, TypeError, ValueError):
        valid = False
    if not valid:
        raise DataError(
            "damaged clusters: expected x, y and cluster of every crop in the order of "
            f"the features; remove the file to make it again. Received: {table}"
        )
    asked = num_clusters, seed
    if any(x not in (None, y) for x, y in zip(asked, settings, strict=True)):
        return None
    return EmbeddingTable(positions, clusters, config, stored["sha256"])


def make_embedding(
    folder: str | os.PathLike,
    features: Features,
    num_clusters: int | None = None,
    seed: int | None = None,
    progress=None,
) -> EmbeddingTable:
    """Computes clusters and map of features and writes them.

    An existing map is kept if only the number of clusters differs. `folder` has
    ``crops.csv`` and the features. `num_clusters` defaults to the existing number, or
    half the square root of the number of crops (16 for 1,000, 198 for 157,000); `seed`
    defaults to the existing one, or 0. `progress` is called with the number of crops
    that were placed on the map.
    """
    old = read_embedding(folder, features)
    if num_clusters is None:
        usual = max(2, round(len(features.crop_ids) ** 0.5 / 2))
        num_clusters = old.config["clusters"] if old else usual
    kept = old if old and seed in (None, old.config["seed"]) else None
    seed = kept.config["seed"] if kept else seed or 0
    components = projection.principal_components(features.values)
    clusters = projection.cluster(components, num_clusters, seed)
    if kept:
        positions = kept.positions
    else:
        positions = projection.map_positions(components, clusters, seed, progress)
    config = {
        "clusters": num_clusters,
        "seed": seed,
        "components": projection.NUM_COMPONENTS,
        "neighbours": projection.NUM_NEIGHBOURS,
        "min_distance": projection.MIN_DISTANCE,
        "most_fitted": projection.MOST_FITTED,
        "libraries": {name: importlib.metadata.version(name) for name in _LIBRARIES},
    }
    table = Path(folder) / TABLE
    # The same values that are read back.
    positions = np.round(np.asarray(positions, np.float64), 5).astype(np.float32)
    rows = zip(features.crop_ids, features.crops, positions, clusters, strict=True)
    cells = ([name, sha, f"{x:.5f}", f"{y:.5f}", n] for name, sha, (x, y), n in rows)
    write_table(table, _COLUMNS, cells)
    digest = sha256_of_file(table)
    description = {
        "format": FORMAT,
        "features": features.sha256,
        "model": features.model,
        "config": config,
        "sha256": digest,
    }
    write_json(Path(folder) / DESCRIPTION, description)
    return EmbeddingTable(positions, np.asarray(clusters, np.int32), config, digest)
