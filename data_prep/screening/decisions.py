"""The decisions of a person about clusters and crops, and their effect on each crop.

A file of decisions is a CSV table that a spreadsheet opens. A row decides either a
cluster or a crop; the decision about a crop takes precedence.

=============  =======================================================================
cluster        number of the cluster (only informative in the row of a crop)
crop_id        the crop; empty if the row decides the cluster
sha256         hash of the crop's image
decision       keep, drop, undecided; empty if there is none
features       first 16 digits of the hash of features.npy
model          first 16 digits of the hash or name of the feature extractor
config         first 16 digits of the hash of the settings of the clusters
=============  =======================================================================

Other columns are informative. Keeping a cluster does not take in its crops that
crops.csv does not accept; keeping such a crop itself does. A decision about other
features, another model, other settings or a changed image is stale. Stale and
contradictory decisions are refused.
"""

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from data_prep.tables import Row, read_table
from tfvqgen.data.crops import CropFolder
from tfvqgen.errors import DataError
from tfvqgen.files import write_table

KEEP, DROP, UNDECIDED = "keep", "drop", "undecided"
DECISIONS = (KEEP, DROP, UNDECIDED)
FILE_NAME = "decisions.csv"
STAMP_DIGITS = 16
STAMP_COLUMNS = ("features", "model", "config")
COLUMNS = ("cluster", "crop_id", "sha256", "decision", *STAMP_COLUMNS)
DROPPED_BY_DECISION = "dropped in screening"


@dataclasses.dataclass(frozen=True)
class Stamp:
    """Identifies the clusters that decisions are about, by three short hashes."""

    features: str
    model: str
    config: str


@dataclasses.dataclass(frozen=True)
class Screened:
    """A crop on the review page."""

    crop_id: str
    sha256: str  # Hash of its image.
    cluster: int
    accepted: bool = True  # In crops.csv.

    def cells(self, decision: str) -> tuple:
        """Returns the first cells of the crop's row in a file of decisions."""
        return self.cluster, self.crop_id, self.sha256, decision


@dataclasses.dataclass(frozen=True)
class Decision:
    """The decision about one crop."""

    crop: Screened
    decision: str  # One of `DECISIONS`.
    by: str  # ``crop``, ``cluster``, or empty if there is no decision.


def resolve(
    paths: Sequence[str | os.PathLike], crops: Sequence[Screened], stamp: Stamp
) -> list[Decision]:
    """Reads decisions and resolves them for each crop.

    Args:
        paths: Files with `COLUMNS`, which together are one set of decisions.
        crops: All crops of the review page.
        stamp: Stamp of their clusters.

    Raises:
        DataError: A decision is stale, contradicts another, or is about a crop or
            cluster that does not exist. The message names file and line.
    """
    by_cluster: dict[str, Row] = {}
    by_crop: dict[str, Row] = {}
    known = {crop.crop_id: crop.sha256 for crop in crops}
    numbers = {str(crop.cluster) for crop in crops}
    for path in paths:
        for row in read_table(Path(path), ("decision", *STAMP_COLUMNS)):
            _check_stamp(row, stamp)
            if not row.get("decision"):
                continue
            crop_id, number = row.get("crop_id"), cluster_number(row)
            if crop_id:
                _check_crop(row, known)
                _add(by_crop, crop_id, f"crop {crop_id!r}", row)
            elif number in numbers:
                _add(by_cluster, number, f"cluster {number}", row)
            else:
                raise DataError(
                    f"no such cluster: expected one of 0 to {len(numbers) - 1}. "
                    f"Received: cluster={row.get('cluster')!r} in {row.where}"
                )
    made = []
    for crop in crops:
        own, whole = by_crop.get(crop.crop_id), by_cluster.get(str(crop.cluster))
        word = _decision(whole) if whole else UNDECIDED
        if own:
            made.append(Decision(crop, _decision(own), "crop"))
        elif word == DROP or (word == KEEP and crop.accepted):
            made.append(Decision(crop, word, "cluster"))
        else:
            made.append(Decision(crop, UNDECIDED, ""))
    return made


def write_decisions(
    path: str | os.PathLike, decisions: Iterable[Decision], stamp: Stamp
) -> None:
    """Writes a row for every crop, also undecided ones: new crops are noticed."""
    tail = dataclasses.astuple(stamp)
    rows = [(*made.crop.cells(made.decision), *tail, made.by) for made in decisions]
    write_table(path, [*COLUMNS, "by"], rows)


def apply_to_crops(folder: CropFolder, path: str | os.PathLike) -> CropFolder:
    """Applies a file of :func:`write_decisions`; undecided crops stay as they are.

    Raises:
        DataError: Crops were added, removed or changed since, or rows contradict each
            other. The message names file and line.
    """
    listed = {crop.crop_id: crop for crop in folder.rows}
    made: dict[str, Row] = {}
    stamp: Stamp | None = None
    for row in read_table(Path(path), COLUMNS):
        crop_id = row.get("crop_id")
        stamp = stamp or Stamp(*(row.get(name) for name in STAMP_COLUMNS))
        _check_stamp(row, stamp)
        if not crop_id:
            raise DataError(
                "decisions about clusters are not resolved: expected the "
                f"{FILE_NAME} that `python -m data_prep screen --apply` writes. "
                f"Received: {row.where}"
            )
        crop = listed.get(crop_id)
        _check_crop(row, {crop_id: folder.image_hash(crop)} if crop else {})
        _add(made, crop_id, f"crop {crop_id!r}", row)
    missing = [crop_id for crop_id in listed if crop_id not in made]
    if missing:
        raise DataError(
            "stale decisions: expected one for every crop; screen again. Received: "
            f"{len(missing)} crops that are not in {path}, the first {missing[0]!r}"
        )
    rows = []
    for crop in folder.rows:
        word = _decision(made[crop.crop_id])
        if word != UNDECIDED:
            reason = DROPPED_BY_DECISION if word == DROP else ""
            crop = dataclasses.replace(crop, accepted=word == KEEP, reason=reason)
        rows.append(crop)
    return dataclasses.replace(folder, rows=rows)


def _decision(row: Row) -> str:
    word = row.get("decision").lower() or UNDECIDED
    if word not in DECISIONS:
        raise DataError(
            f"wrong decision: expected {', '.join(DECISIONS)}. "
            f"Received: {row.get('decision')!r} in {row.where}"
        )
    return word


def cluster_number(row: Row) -> str:
    """Returns the cluster's number or ""; spreadsheets may write 7 as 7.0 or 007."""
    found = re.fullmatch(r"0*(\d+)(\.0*)?", row.get("cluster"))
    return found[1] if found else ""


def _check_stamp(row: Row, stamp: Stamp) -> None:
    for name in STAMP_COLUMNS:
        expected, received = getattr(stamp, name), row.get(name)
        if received.lower() != expected.lower():
            raise DataError(
                f"stale decisions: expected those made with {name} {expected}; screen "
                f"again. Received: {name}={received!r} in {row.where}"
            )


def _check_crop(row: Row, known: Mapping[str, str]) -> None:
    crop_id, digest = row.get("crop_id"), row.get("sha256").lower()
    if crop_id not in known or digest != known[crop_id]:
        raise DataError(
            "stale decisions: expected crops of the table with the sha256 of their "
            f"images; screen again. Received: crop_id={crop_id!r}, sha256={digest!r} "
            f"in {row.where}"
        )


def _add(made: dict[str, Row], key: str, what: str, row: Row) -> None:
    before = made.setdefault(key, row)
    if _decision(before) != _decision(row):
        raise DataError(
            f"contradictory decisions: expected one about {what}. Received: "
            f"{_decision(before)} in {before.where}, {_decision(row)} in {row.where}"
        )
