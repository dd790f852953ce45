"""clusters.csv: a row a cluster, whose ``decision`` a person may fill in.

A spreadsheet may have been at it: decisions in it are kept where they can be placed,
and never lost silently where they cannot.
"""

import collections
import csv
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data_prep.screening import decisions, suggestions
from data_prep.tables import Row, read_table
from tfvqgen.data.crops import LABEL_SEPARATOR, Crop
from tfvqgen.errors import UserError
from tfvqgen.files import whole_file


def refuse_to_lose_decisions(path: Path, stamp: decisions.Stamp | None) -> None:
    """Refuses a table with decisions that would not be kept.

    Args:
        path: The table, if it is there.
        stamp: Of the clusters that it is to be about; None: of none that are there.

    Raises:
        UserError: It has a decision about another cluster, or that cannot be read.
    """
    for row in _rows_by_hand(path):
        if row.get("decision") and not _is_about(row, stamp):
            raise UserError(
                "decisions about other clusters would be lost: expected a table "
                "without decisions, or `screen --overwrite`. "
                f"Received: decision={row.get('decision')} in {row.where}"
            )


def decided_by_hand(path: Path, stamp: decisions.Stamp) -> dict[str, str]:
    """Returns the decisions that a person wrote into clusters.csv, by cluster."""
    return {
        decisions.cluster_number(row): row.get("decision")
        for row in _rows_by_hand(path)
        if _is_about(row, stamp)
    }


def _is_about(row: Row, stamp: decisions.Stamp | None) -> bool:
    """Whether a row is about a cluster of `stamp`."""
    return (
        stamp is not None
        and decisions.cluster_number(row) != ""
        and all(
            row.get(name).lower() == value.lower()
            for name, value in dataclasses.asdict(stamp).items()
        )
    )


def _rows_by_hand(path: Path) -> list[Row]:
    columns = ("cluster", "decision", *decisions.COLUMNS[-3:])
    return list(read_table(path, columns)) if path.exists() else []


def write_clusters(
    path: Path,
    crops: Sequence[Crop],
    clusters: np.ndarray,
    found: suggestions.Suggestions,
    stamp: decisions.Stamp,
    made: Mapping[str, str],
) -> None:
    """Writes a row a cluster.

    Args:
        path: The table.
        crops: N crops.
        clusters: int [N].
        found: What is suspicious.
        stamp: What decisions about the clusters carry.
        made: Decisions by cluster, as :func:`decided_by_hand` returns them.
    """
    tail = dataclasses.astuple(stamp)
    members = collections.defaultdict(list)
    for index, number in enumerate(clusters.tolist()):
        members[number].append(index)
    with whole_file(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        kinds = [kind.replace(" ", "_") for kind in suggestions.KINDS]
        told = ["suggestion", "crops", "accepted", "suggested", *kinds]
        told += ["labels", "groups"]
        writer.writerow(["cluster", "decision", *told, *decisions.COLUMNS[-3:]])
        for number, indices in sorted(members.items()):
            inside = [crops[i] for i in indices]
            accepted = [i for i in indices if crops[i].accepted]
            labels = collections.Counter(x for crop in inside for x in crop.labels)
            row = [
                number,
                made.get(str(number), ""),
                decisions.DROP if number in found.clusters else "",
                len(inside),
                len(accepted),
                int(found.drop[accepted].sum()),
                *found.kinds[indices].sum(axis=0).tolist(),
                LABEL_SEPARATOR.join(f"{n} {c}" for n, c in labels.most_common(3)),
                len({crop.group for crop in inside}),
            ]
            writer.writerow([*row, *tail])
