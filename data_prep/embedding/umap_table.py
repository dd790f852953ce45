"""Clusters and map of crops on disk: ``umap.csv``, and ``umap.json`` that explains it.

Both lie beside ``crops.csv``. ``umap.csv`` has ``crop_id,sha256,x,y,cluster`` in the
features' order; ``umap.json`` says of which features and with which settings and
libraries it was made, and holds its hash: coordinates are kept rather than trusted to
come out the same elsewhere.
"""

import csv
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
from data_prep.screening.decisions import Stamp, shortened
from data_prep.tables import read_table
from tfvqgen.errors import DataError
from tfvqgen.files import read_json, sha256_of_file, whole_file, write_json

TABLE = "umap.csv"
ABOUT = "umap.json"
FORMAT = 1
_COLUMNS = ("crop_id", "sha256", "x", "y", "cluster")
_LIBRARIES = ("numpy", "scikit-learn", "umap-learn")


@dataclasses.dataclass(frozen=True)
class EmbeddingTable:
    """What ``umap.csv`` holds, in the order of the features.

    Attributes:
        positions: float32 [N, 2].
        clusters: int32 [N].
        config: How it was made.
        sha256: Of ``umap.csv``.
    """

    positions: np.ndarray
    clusters: np.ndarray
    config: Mapping[str, Any]
    sha256: str

    def stamp(self, features: Features) -> Stamp:
        """Returns what decisions about these clusters carry.

        Two machines may cluster the same features differently: `config` hashes the
        table itself too.
        """
        about = [features.config, self.config, self.sha256]
        text = json.dumps(about, sort_keys=True)
        return Stamp(
            features=shortened(features.sha256),
            model=shortened(features.model),
            config=shortened(hashlib.sha256(text.encode()).hexdigest()),
        )


def read_embedding(
    folder: str | os.PathLike,
    features: Features,
    num_clusters: int | None = None,
    seed: int | None = None,
) -> EmbeddingTable | None:
    """Reads clusters and map if they are there, of these features and settings.

    Args:
        folder: Where ``crops.csv`` and the features are.
        features: Of the crops.
        num_clusters: K; None: any.
        seed: None: any.
    """
    found = _read(folder, features)
    if found is None or seed not in (None, found.config["seed"]):
        return None
    if num_clusters not in (None, found.config["clusters"]):
        return None
    return found


def make_embedding(
    folder: str | os.PathLike,
    features: Features,
    num_clusters: int | None = None,
    seed: int | None = None,
    progress=None,
) -> EmbeddingTable:
    """Makes clusters and map of features and writes them.

    A map that is there is kept where the number of clusters alone is another.

    Args:
        folder: Where ``crops.csv`` and the features are.
        features: Of the crops.
        num_clusters: K; if None, what is there, or `projection.usual_clusters`.
        seed: Likewise, or 0.
        progress: Called with the number of crops that were placed on the map.
    """
    there = _read(folder, features)
    if num_clusters is None and there:
        num_clusters = there.config["clusters"]
    if num_clusters is None:
        num_clusters = projection.usual_clusters(len(features.crop_ids))
    kept = there if there and seed in (None, there.config["seed"]) else None
    seed = kept.config["seed"] if kept else seed or 0
    components = projection.principal_components(features.values)
    clusters = projection.cluster(components, num_clusters, seed)
    positions = (
        kept.positions
        if kept
        else projection.map_positions(components, clusters, seed, progress)
    )
    config = {
        "clusters": num_clusters,
        "seed": seed,
        "components": projection.NUM_COMPONENTS,
        "neighbours": projection.NUM_NEIGHBOURS,
        "min_distance": projection.MIN_DISTANCE,
        "most_fitted": projection.MOST_FITTED,
        "libraries": {name: importlib.metadata.version(name) for name in _LIBRARIES},
    }
    return _write(folder, features, positions, clusters, config)


def _write(folder, features: Features, positions, clusters, config) -> EmbeddingTable:
    folder = Path(folder)
    # As they are written, so that reading gives the same.
    positions = np.round(np.asarray(positions, np.float64), 5).astype(np.float32)
    with whole_file(folder / TABLE, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for crop_id, digest, (x, y), number in zip(
            features.crop_ids, features.crops, positions, clusters, strict=True
        ):
            writer.writerow([crop_id, digest, f"{x:.5f}", f"{y:.5f}", number])
    digest = sha256_of_file(folder / TABLE)
    about = {
        "format": FORMAT,
        "features": features.sha256,
        "model": features.model,
        "config": config,
        "sha256": digest,
    }
    write_json(folder / ABOUT, about)
    return EmbeddingTable(positions, np.asarray(clusters, np.int32), config, digest)


def _read(folder, features: Features) -> EmbeddingTable | None:
    """Reads the table if it is whole and of these features."""
    folder = Path(folder)
    if not (folder / ABOUT).is_file() or not (folder / TABLE).is_file():
        return None
    about = read_json(folder / ABOUT)
    if (
        not isinstance(about, dict)
        or about.get("format") != FORMAT
        or about.get("features") != features.sha256
        or about.get("sha256") != sha256_of_file(folder / TABLE)
    ):
        return None
    config = about.get("config")
    rows = list(read_table(folder / TABLE, _COLUMNS))
    ids = tuple(row.get("crop_id") for row in rows)
    if ids != features.crop_ids:
        raise DataError(
            f"a table of other crops: expected those of the features in their order; "
            f"remove it to make it again. Received: {folder / TABLE}"
        )
    try:
        places = np.array([[row.get("x"), row.get("y")] for row in rows], np.float32)
        clusters = np.array([row.get("cluster") for row in rows], np.int32)
        number = config["clusters"]
        right = type(number) is int and type(config["seed"]) is int
        right = right and 0 <= clusters.min() <= clusters.max() < number
    except (ValueError, TypeError, KeyError, OverflowError):
        right = False
    if not right or not np.isfinite(places).all():
        raise DataError(
            "damaged clusters: expected x, y and the cluster of every crop; remove "
            f"them to make them again. Received: {folder / TABLE} or {ABOUT}"
        )
    return EmbeddingTable(places, clusters, config, about["sha256"])
