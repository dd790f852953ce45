"""Screening: from crops and features to the review page, from decisions to a table.

The folder ``review/`` beside ``crops.csv`` gets the page (``index.html`` and its files)
and the tables of :mod:`data_prep.screening.screening_tables`; after
:func:`apply_decisions` also ``decisions.csv`` with a row for each crop, which ``shard
--decisions`` reads.
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep.embedding import projection, umap_table
from data_prep.embedding.crop_features import Features, read_features, require_current
from data_prep.screening import decisions, screening_tables, suggestions
from data_prep.screening.review_page import Shown, write_page, write_sheets
from tfvqgen.data.crops import Crop, CropFolder, read_crops
from tfvqgen.errors import DataError

REVIEW = "review"
CLUSTERS = "clusters.csv"
SUGGESTIONS = "suggestions.csv"
DROPPED = "dropped.csv"
NO_LABEL = "(no label)"


@dataclasses.dataclass(frozen=True)
class Screening:
    """Crops with their features and clusters."""

    folder: CropFolder
    crops: list[Crop]  # Those that have features, in the order of the features.
    features: Features
    table: umap_table.EmbeddingTable
    stamp: decisions.Stamp

    @property
    def screened(self) -> list[decisions.Screened]:
        """The crops as decisions refer to them."""
        columns = self.crops, self.features.crops, self.table.clusters.tolist()
        return [
            decisions.Screened(crop.crop_id, digest, number, crop.accepted)
            for crop, digest, number in zip(*columns, strict=True)
        ]


def open_screening(
    path: str | os.PathLike,
    num_clusters: int | None = None,
    seed: int | None = None,
    *,
    overwrite: bool = False,
) -> Screening:
    """Opens crops and features; computes clusters and map if they do not exist.

    Args:
        path: Folder of the crops.
        num_clusters: As in `umap_table.make_embedding`.
        seed: As in `umap_table.make_embedding`.
        overwrite: Whether decisions about other clusters in clusters.csv may be lost.

    Raises:
        DataError: The features do not belong to the crops.
        UserError: Decisions would be lost.
    """
    from tqdm import tqdm

    folder, features = _crops_and_features(path)
    root = folder.folder
    table = umap_table.read_embedding(root, features, num_clusters, seed)
    if not overwrite:
        stamp = table and table.stamp(features)
        screening_tables.refuse_to_lose_decisions(root / REVIEW / CLUSTERS, stamp)
    if table is None:
        total = len(features.crop_ids)
        with tqdm(total=total, unit="crop", desc="map", leave=False) as progress:
            table = umap_table.make_embedding(
                root, features, num_clusters, seed, progress.update
            )
    return _screening(folder, features, table)


def open_decided(path: str | os.PathLike) -> Screening:
    """Opens crops whose clusters exist; raises DataError if they do not."""
    folder, features = _crops_and_features(path)
    table = umap_table.read_embedding(folder.folder, features)
    if table is None:
        raise DataError(
            "stale decisions: expected the clusters that they are about; screen again. "
            f"Received: {folder.folder} without {umap_table.TABLE} of its features"
        )
    return _screening(folder, features, table)


def _crops_and_features(path) -> tuple[CropFolder, Features]:
    folder = read_crops(path)
    features = read_features(folder.folder)
    require_current(features, folder)
    return folder, features


def _screening(folder: CropFolder, features: Features, table) -> Screening:
    by_id = {crop.crop_id: crop for crop in folder.rows}
    crops = [by_id[crop_id] for crop_id in features.crop_ids]
    return Screening(folder, crops, features, table, table.stamp(features))


def make_review(screening: Screening) -> tuple[Path, suggestions.Suggestions]:
    """Makes the page and its tables; returns its path and the crops' suggestions."""
    review, stamp = screening.folder.folder / REVIEW, screening.stamp
    review.mkdir(exist_ok=True)
    decided = screening_tables.read_cluster_decisions(review / CLUSTERS, stamp)
    components = projection.principal_components(screening.features.values)
    clusters = screening.table.clusters
    found = suggestions.suggest(screening.crops, components, clusters)
    order = _nearest_first(components, clusters)
    kinds, reasons = found.kinds[order], tuple(found.reasons[i] for i in order)
    shown = Shown(
        crops=[screening.crops[i] for i in order],
        hashes=[screening.features.crops[i] for i in order],
        positions=screening.table.positions[order],
        clusters=clusters[order],
        suggested=dataclasses.replace(found, kinds=kinds, reasons=reasons),
        stamp=stamp,
        credit=screening.folder.credit,
    )
    sprites = review / "sprites"
    sheets = write_sheets(sprites, screening.folder, shown.crops, shown.hashes)
    page = write_page(review, shown, sheets)
    screening_tables.write_clusters(
        review / CLUSTERS, screening.crops, clusters, found, stamp, decided
    )
    table = review / SUGGESTIONS
    screening_tables.write_suggestions(table, screening.screened, found, stamp)
    return page, found


def _nearest_first(components: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Returns the order by cluster, then by distance to its centre: int [N]."""
    distances = np.empty(len(clusters))
    for number in np.unique(clusters):
        members = clusters == number
        part = components[members]
        distances[members] = np.linalg.norm(part - part.mean(axis=0), axis=1)
    return np.lexsort((distances, clusters))


def apply_decisions(
    screening: Screening, paths: Sequence[str | os.PathLike]
) -> list[decisions.Decision]:
    """Turns decisions about clusters and crops into review/decisions.csv.

    Raises:
        DataError: Decisions are stale or contradictory; nothing is written.
    """
    made = decisions.resolve(paths, screening.screened, screening.stamp)
    review = screening.folder.folder / REVIEW
    review.mkdir(exist_ok=True)
    screening_tables.write_counts(review / DROPPED, count_crops(screening, made))
    decisions.write_decisions(review / decisions.FILE_NAME, made, screening.stamp)
    return made


def count_crops(
    screening: Screening, made: Sequence[decisions.Decision]
) -> dict[str, dict[str, screening_tables.Counts]]:
    """Counts the crops that decisions keep and drop, by label and by group."""
    labels = {crop.crop_id: crop.labels or (NO_LABEL,) for crop in screening.crops}
    groups = {crop.crop_id: (crop.group,) for crop in screening.crops}
    return {
        "label": screening_tables.count(made, labels),
        "group": screening_tables.count(made, groups),
    }
