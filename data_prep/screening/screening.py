"""Screening: from crops and their features to the page, and from decisions to a table.

``review/`` beside ``crops.csv`` gets the page (``index.html`` and what it loads) and

clusters.csv      a row a cluster, whose empty ``decision`` a person may fill in
suggestions.csv   the machine's own decisions, to be looked at before they are applied
decisions.csv     after :func:`apply_decisions`: a row a crop, for ``shard --decisions``
dropped.csv       what that leaves of every label and every group
"""

import csv
import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep.embedding import projection, umap_table
from data_prep.embedding.crop_features import Features, read_features, require_current
from data_prep.screening import cluster_table, decision_counts, decisions, suggestions
from data_prep.screening.review.page_files import Shown, write_page
from data_prep.screening.review.sprites import write_sheets
from tfvqgen.data.crops import Crop, CropFolder, read_crops
from tfvqgen.errors import DataError
from tfvqgen.files import whole_file

REVIEW = "review"
CLUSTERS = "clusters.csv"
SUGGESTIONS = "suggestions.csv"
DROPPED = "dropped.csv"
NO_LABEL = "(no label)"


@dataclasses.dataclass(frozen=True)
class Screening:
    """Crops with features, in the order of these.

    Attributes:
        folder: All crops.
        crops: Those that have features.
        features: Their features.
        table: Their clusters and places on the map.
        stamp: What decisions about them carry.
    """

    folder: CropFolder
    crops: list[Crop]
    features: Features
    table: umap_table.EmbeddingTable
    stamp: decisions.Stamp

    @property
    def screened(self) -> list[decisions.Screened]:
        """What decisions can be about."""
        numbers = self.table.clusters.tolist()
        return [
            decisions.Screened(crop.crop_id, digest, number, crop.accepted)
            for crop, digest, number in zip(
                self.crops, self.features.crops, numbers, strict=True
            )
        ]


def open_screening(
    path: str | os.PathLike,
    num_clusters: int | None = None,
    seed: int | None = None,
    *,
    overwrite: bool = False,
) -> Screening:
    """Opens crops and features; makes clusters and map if they are not there.

    Args:
        path: The folder of the crops.
        num_clusters: See `umap_table.make_embedding`.
        seed: Likewise.
        overwrite: Whether decisions in clusters.csv that are not about the clusters
            may be lost.

    Raises:
        DataError: The features are of other crops.
        UserError: Decisions would be lost.
    """
    from tqdm import tqdm

    folder, features = _crops_and_features(path)
    root = folder.folder
    table = umap_table.read_embedding(root, features, num_clusters, seed)
    if not overwrite:
        stamp = table and table.stamp(features)
        cluster_table.refuse_to_lose_decisions(root / REVIEW / CLUSTERS, stamp)
    if table is None:
        total = len(features.crop_ids)
        with tqdm(total=total, unit="crop", desc="map", leave=False) as progress:
            table = umap_table.make_embedding(
                root, features, num_clusters, seed, progress.update
            )
    return _screening(folder, features, table)


def open_decided(path: str | os.PathLike) -> Screening:
    """Opens crops whose clusters a person has decided about.

    Raises:
        DataError: There are no clusters of the crops' features.
    """
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


def make_review(
    screening: Screening, limits: suggestions.Limits | None = None
) -> tuple[Path, suggestions.Suggestions]:
    """Makes the page and the tables beside it.

    Args:
        screening: What to show.
        limits: What is suspicious, if not the usual.

    Returns:
        The page's path, and what was found suspicious, in the order of the features.
    """
    review = screening.folder.folder / REVIEW
    review.mkdir(exist_ok=True)
    made = cluster_table.decided_by_hand(review / CLUSTERS, screening.stamp)
    components = projection.principal_components(screening.features.values)
    clusters = screening.table.clusters
    found = suggestions.suggest(
        screening.crops, components, clusters, limits or suggestions.Limits()
    )
    shown = Shown(
        crops=screening.crops,
        hashes=screening.features.crops,
        positions=screening.table.positions,
        clusters=clusters,
        suggested=found,
        stamp=screening.stamp,
        credit=screening.folder.credit,
    )
    order = nearest_first(components, clusters)
    shown = shown.reordered(order)
    sheets = write_sheets(
        review / "sprites", screening.folder, shown.crops, shown.hashes
    )
    page = write_page(review, shown, sheets)
    cluster_table.write_clusters(
        review / CLUSTERS, screening.crops, clusters, found, screening.stamp, made
    )
    _write_suggestions(review / SUGGESTIONS, screening, found)
    return page, found


def nearest_first(components: np.ndarray, clusters: np.ndarray) -> np.ndarray:
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
        DataError: They are stale or contradictory; nothing is written.
    """
    made = decisions.resolve(paths, screening.screened, screening.stamp)
    review = screening.folder.folder / REVIEW
    review.mkdir(exist_ok=True)
    fields = [field.name for field in dataclasses.fields(decision_counts.Counts)]
    with whole_file(review / DROPPED, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["of", "name", *fields, "left", "lost"])
        for of, counts in count_tables(screening, made).items():
            for name, found in counts.items():
                tail = (found.left, f"{found.lost:.4f}")
                writer.writerow([of, name, *dataclasses.astuple(found), *tail])
    decisions.write_decisions(review / decisions.FILE_NAME, made, screening.stamp)
    return made


def count_tables(
    screening: Screening, made: Sequence[decisions.Decision]
) -> dict[str, dict[str, decision_counts.Counts]]:
    """Counts what becomes of crops by label and by group."""
    labels = {crop.crop_id: crop.labels or (NO_LABEL,) for crop in screening.crops}
    groups = {crop.crop_id: (crop.group,) for crop in screening.crops}
    return {
        "label": decision_counts.count(made, labels),
        "group": decision_counts.count(made, groups),
    }


def _write_suggestions(path: Path, screening: Screening, found) -> None:
    tail = dataclasses.astuple(screening.stamp)
    with whole_file(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*decisions.COLUMNS, "why"])
        for number in sorted(found.clusters):
            writer.writerow([number, "", "", decisions.DROP, *tail, "most of it"])
        for crop, drop, why in zip(
            screening.screened, found.drop, found.reasons, strict=True
        ):
            # What the table does not accept is out already.
            if drop and crop.accepted and crop.cluster not in found.clusters:
                head = (crop.cluster, crop.crop_id, crop.sha256, decisions.DROP)
                writer.writerow([*head, *tail, why])
