"""The tables beside the review page.

clusters.csv      a row for each cluster, with a column ``decision`` to fill in
suggestions.csv   the suggested decisions, to be looked at before they are applied
dropped.csv       how many crops of each label and group the decisions leave
"""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data_prep.screening.decisions import (
    COLUMNS,
    DROP,
    KEEP,
    STAMP_COLUMNS,
    Decision,
    Screened,
    Stamp,
    cluster_number,
)
from data_prep.screening.suggestions import KINDS, Suggestions
from data_prep.tables import Row, read_table
from tfvqgen.data.crops import LABEL_SEPARATOR, Crop
from tfvqgen.errors import UserError
from tfvqgen.files import write_table


def refuse_to_lose_decisions(path: Path, stamp: Stamp | None) -> None:
    """Raises UserError if a clusters.csv has decisions about other clusters.

    The stamp is that of the new clusters; None if they do not exist yet.
    """
    for row in _read_clusters(path):
        if row.get("decision") and not _is_about(row, stamp):
            raise UserError(
                "decisions about other clusters would be lost: expected a table "
                "without decisions, or `screen --overwrite`. "
                f"Received: decision={row.get('decision')} in {row.where}"
            )


def read_cluster_decisions(path: Path, stamp: Stamp) -> dict[str, str]:
    """Returns the decisions in clusters.csv by cluster number."""
    rows = [row for row in _read_clusters(path) if _is_about(row, stamp)]
    return {cluster_number(row): row.get("decision") for row in rows}


def _read_clusters(path: Path) -> list[Row]:
    columns = ("cluster", "decision", *STAMP_COLUMNS)
    return list(read_table(path, columns)) if path.exists() else []


def _is_about(row: Row, stamp: Stamp | None) -> bool:
    if stamp is None or not cluster_number(row):
        return False
    expected = dataclasses.asdict(stamp)
    return all(row.get(x).lower() == expected[x].lower() for x in STAMP_COLUMNS)


def write_clusters(
    path: Path,
    crops: Sequence[Crop],
    clusters: np.ndarray,
    suggested: Suggestions,
    stamp: Stamp,
    decided: Mapping[str, str],
) -> None:
    """Writes clusters.csv of N crops in `clusters`, int [N].

    The table keeps the decisions that are `decided` by cluster number.
    """
    columns = ["suggestion", "crops", "accepted", "suggested", *KINDS]
    rows = []
    for number in np.unique(clusters).tolist():
        members = np.flatnonzero(clusters == number)
        inside = [crops[i] for i in members]
        accepted = [i for i in members if crops[i].accepted]
        labels = collections.Counter(x for crop in inside for x in crop.labels)
        row = [
            number,
            decided.get(str(number), ""),
            DROP if number in suggested.clusters else "",
            len(inside),
            len(accepted),
            int(suggested.drop[accepted].sum()),
            *suggested.kinds[members].sum(axis=0).tolist(),
            LABEL_SEPARATOR.join(f"{n} {c}" for n, c in labels.most_common(3)),
            len({crop.group for crop in inside}),
        ]
        rows.append([*row, *dataclasses.astuple(stamp)])
    head = ["cluster", "decision", *columns, "labels", "groups"]
    write_table(path, [*head, *STAMP_COLUMNS], rows)


def write_suggestions(
    path: Path, screened: Sequence[Screened], suggested: Suggestions, stamp: Stamp
) -> None:
    """Writes suggestions.csv: clusters to drop as a whole, then single crops."""
    tail = dataclasses.astuple(stamp)
    whole = sorted(suggested.clusters)
    rows = [(number, "", "", DROP, *tail, "most of it") for number in whole]
    found = zip(screened, suggested.drop, suggested.reasons, strict=True)
    for crop, drop, why in found:
        # Crops that the table does not accept are dropped already.
        if drop and crop.accepted and crop.cluster not in suggested.clusters:
            rows.append((*crop.cells(DROP), *tail, why))
    write_table(path, [*COLUMNS, "why"], rows)


@dataclasses.dataclass(frozen=True)
class Counts:
    """Number of crops of one label or group."""

    crops: int
    not_accepted: int  # Neither accepted in crops.csv nor kept by a decision.
    dropped: int  # Accepted in crops.csv, but dropped by a decision.
    taken_in: int  # Not accepted in crops.csv, but kept by a decision.

    @property
    def left(self) -> int:
        """Number of crops that go into shards."""
        return self.crops - self.not_accepted - self.dropped

    @property
    def lost(self) -> float:
        """Share of the crops that do not go into shards."""
        return 1 - self.left / self.crops


def count(
    decisions: Sequence[Decision], names: Mapping[str, Sequence[str]]
) -> dict[str, Counts]:
    """Counts crops by name, sorted; `names` has the names of a crop by its crop_id."""
    totals: dict[str, np.ndarray] = {}
    for made in decisions:
        kept, accepted = made.decision == KEEP, made.crop.accepted
        dropped = accepted and made.decision == DROP
        adds = np.array([1, not (accepted or kept), dropped, kept and not accepted])
        for name in names[made.crop.crop_id]:
            totals[name] = totals.get(name, 0) + adds
    return {name: Counts(*totals[name].tolist()) for name in sorted(totals)}


def write_counts(path: Path, tables: Mapping[str, Mapping[str, Counts]]) -> None:
    """Writes dropped.csv from counts by kind of name (label or group) and name."""
    fields = [field.name for field in dataclasses.fields(Counts)]
    rows = [
        [kind, name, *dataclasses.astuple(found), found.left, f"{found.lost:.4f}"]
        for kind, counts in tables.items()
        for name, found in counts.items()
    ]
    write_table(path, ["of", "name", *fields, "left", "lost"], rows)
