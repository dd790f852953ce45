"""What a person should look at first: crops that a machine finds suspicious, and why.

Nothing is dropped here. Three kinds say "probably drop", the fourth "look":

quality       ``crops.csv`` does not accept it, or a quality column lies far out among
              the accepted crops
outlier       its neighbours in feature space are farther away than they are for other
              crops of its label
duplicate     almost the features of another crop, which stays
other_labels  its neighbours of other groups have other labels

Labels are a field's, copied to its cells, and weak: a nucleus at rest in a field of
mitotic spindles has other neighbours and is no defect. That is why the last kind only
asks to look. Rare labels are far from everything: that is why outliers are found
among the accepted crops of one label, and never more than a share of them: what is out
already takes nobody's place.

Shapes: N crops, D components, k neighbours.
"""

import collections
import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np

from data_prep.cropping.crop_quality import are_exempt
from data_prep.embedding.projection import require_libraries
from tfvqgen.data.crops import Crop

KINDS = ("quality", "outlier", "duplicate", "other_labels")
DROPPING = KINDS[:3]
# Columns of crops.csv that say how good a crop is, and the tail that is bad: -1 low,
# 1 high, 0 both.
QUALITY_COLUMNS = {
    "inside_field": -1,
    "touches_border": 1,
    "nucleus_area": 0,
    "solidity": -1,
    "eccentricity": 1,
    "focus": -1,
    "saturated": 1,
    "protein_signal": -1,
    "crowding": 1,
}
_SHAPE_COLUMNS = ("nucleus_area", "solidity", "eccentricity")
_AT_ONCE = 2048


@dataclasses.dataclass(frozen=True)
class Limits:
    """What is suspicious.

    Attributes:
        quality_deviations: Robust deviations from the median at which a quality column
            lies far out (a column is judged by logarithm where all of it is positive).
        outlier_deviations: Likewise for the distance to the neighbours.
        most_unusual: Largest share of a label's accepted crops for which one quality
            column is called unusual: some have long tails among good crops.
        most_outliers: Likewise for outliers.
        duplicate_share: A neighbour nearer than this share of the usual distance is a
            duplicate.
        num_neighbours: k.
        other_labels_share: Share of the neighbours of other groups that have no label
            of the crop.
        cluster_share: Share of a cluster's accepted crops that are to be dropped at
            which the whole cluster is.
    """

    quality_deviations: float = 4.5
    most_unusual: float = 0.02
    outlier_deviations: float = 2.5
    most_outliers: float = 0.05
    duplicate_share: float = 0.05
    num_neighbours: int = 10
    other_labels_share: float = 0.95
    cluster_share: float = 0.6


@dataclasses.dataclass(frozen=True)
class Suggestions:
    """What was found.

    Attributes:
        kinds: bool [N, len(KINDS)].
        reasons: In words, one text a crop, empty for none.
        clusters: The clusters that are to be dropped as a whole.
    """

    kinds: np.ndarray
    reasons: tuple[str, ...]
    clusters: frozenset[int]

    @property
    def drop(self) -> np.ndarray:
        """Crops for which the machine says "drop": bool [N]."""
        return self.kinds[:, : len(DROPPING)].any(axis=1)


def suggest(
    crops: Sequence[Crop],
    components: np.ndarray,
    clusters: np.ndarray,
    limits: Limits = Limits(),
) -> Suggestions:
    """Finds suspicious crops.

    Args:
        crops: N crops; quality columns are among their metadata.
        components: float32 [N, D].
        clusters: int [N].
        limits: What is suspicious.
    """
    reasons: list[list[str]] = [[] for _ in crops]
    kinds = np.zeros((len(crops), len(KINDS)), bool)

    def mark(kind: str, words: Mapping[int, str]) -> None:
        for index, text in words.items():
            kinds[index, KINDS.index(kind)] = True
            reasons[index].append(text)

    distances, neighbours = nearest(components, limits.num_neighbours)
    members = _accepted_by_label(crops)
    mark("quality", _not_accepted(crops))
    mark("quality", _far_out(crops, members, limits))
    mark("outlier", _outliers(distances, members, limits))
    mark("duplicate", _duplicates(distances, neighbours, crops, limits))
    mark("other_labels", _other_labels(neighbours, crops, limits))
    return Suggestions(
        kinds,
        tuple("; ".join(texts) for texts in reasons),
        _whole_clusters(kinds, crops, clusters, limits.cluster_share),
    )


def _whole_clusters(kinds, crops, clusters, share: float) -> frozenset[int]:
    """Returns clusters of whose accepted crops `share` are to be dropped.

    What a table does not accept is out already, mostly for where it lies, and says
    little about those beside it.
    """
    accepted = np.array([crop.accepted for crop in crops])
    drop = kinds[:, : len(DROPPING)].any(axis=1) & accepted
    length = clusters.max() + 1
    size = np.bincount(clusters, accepted, length)
    bad = (size > 0) & (np.bincount(clusters, drop, length) >= share * size)
    return frozenset(np.unique(clusters[bad[clusters]]).tolist())


def nearest(components: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Finds every crop's nearest others, exactly, a block of crops at a time.

    Args:
        components: float32 [N, D].
        count: k; at most N - 1 are found.

    Returns:
        Distances float32 [N, k], growing, and indices int32 [N, k].
    """
    require_libraries("sklearn")
    from sklearn.neighbors import NearestNeighbors

    count = min(count, len(components) - 1)
    finder = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(components)
    parts = [
        finder.kneighbors(components[start : start + _AT_ONCE], count + 1)
        for start in range(0, len(components), _AT_ONCE)
    ]
    distances = np.concatenate([part[0] for part in parts]).astype(np.float32)
    indices = np.concatenate([part[1] for part in parts]).astype(np.int32)
    # A crop is its own nearest, but not always the first of several equal ones.
    own = indices == np.arange(len(indices))[:, None]
    own[~own.any(axis=1), -1] = True
    shape = len(indices), count
    return distances[~own].reshape(shape), indices[~own].reshape(shape)


def robust_deviations(values: np.ndarray) -> np.ndarray:
    """Returns how many deviations values [N] are above their median.

    The deviation is 1.4826 times the median absolute one, which is the standard
    deviation of normal values and heeds no outliers; 0 where most values are equal.
    NaN stays NaN.
    """
    centred = values - np.nanmedian(values)
    deviation = 1.4826 * np.nanmedian(np.abs(centred))
    return centred / deviation if deviation > 0 else np.zeros_like(centred)


def column(crops: Sequence[Crop], name: str) -> np.ndarray:
    """Returns a quality column as float64 [N]; NaN where a crop has no number."""
    return np.array([_number(crop.metadata.get(name, "")) for crop in crops])


def _not_accepted(crops: Sequence[Crop]) -> dict[int, str]:
    return {
        i: f"not accepted: {crop.reason or 'no reason given'}"
        for i, crop in enumerate(crops)
        if not crop.accepted
    }


def _far_out(crops: Sequence[Crop], members, limits: Limits) -> dict[int, str]:
    """Judges quality columns among crops of one label, so that none is punished."""
    found: dict[int, list[str]] = collections.defaultdict(list)
    judged = np.array([crop.accepted for crop in crops])
    divides = [are_exempt(crop.labels) for crop in crops]
    for name, tail in QUALITY_COLUMNS.items():
        values = np.where(judged, column(crops, name), np.nan)
        if name in _SHAPE_COLUMNS:
            # Cells that divide have such nuclei.
            values[divides] = np.nan
        if np.isfinite(values).sum() < 3 or len(np.unique(values)) < 3:
            continue
        positive = values[np.isfinite(values)].min() > 0
        away = robust_deviations(np.log(values) if positive else values)
        away = np.abs(away) if tail == 0 else tail * away
        worst = _worst(away, members, limits.quality_deviations, limits.most_unusual)
        for i in worst:
            found[i].append(f"{name} {values[i]:g} is unusual")
    return {i: ", ".join(texts) for i, texts in found.items()}


def _outliers(distances, members, limits: Limits) -> dict[int, str]:
    scores = np.log(np.maximum(distances.mean(axis=1), 1e-12))
    away = np.full(len(scores), np.nan)
    for crops in members:
        away[crops] = robust_deviations(scores[crops])
    worst = _worst(away, members, limits.outlier_deviations, limits.most_outliers)
    return dict.fromkeys(worst, "far from all others")


def _worst(away, members, least: float, share: float) -> list[int]:
    """Returns those above `least`, at most `share` of the crops of each label."""
    worst: list[int] = []
    for crops in members:
        most = math.floor(share * len(crops))
        scores = np.nan_to_num(away[crops], nan=-math.inf)
        order = np.argsort(-scores, kind="stable")[:most]
        worst.extend(crops[order[scores[order] > least]].tolist())
    return worst


def _accepted_by_label(crops: Sequence[Crop]) -> list[np.ndarray]:
    """Returns each label's accepted crops; one of several counts to its first."""
    members = collections.defaultdict(list)
    for index, crop in enumerate(crops):
        if crop.accepted:
            members[crop.labels[0] if crop.labels else ""].append(index)
    return [np.array(indices) for indices in members.values()]


def _duplicates(distances, neighbours, crops, limits: Limits) -> dict[int, str]:
    """Marks all but the first of crops that are almost the same."""
    near = distances <= limits.duplicate_share * np.median(distances[:, 0])
    found: dict[int, str] = {}
    for index, place in zip(*np.nonzero(near), strict=True):
        other = int(neighbours[index, place])
        if other < index and other not in found and int(index) not in found:
            found[int(index)] = f"almost the same as {crops[other].crop_id}"
    return found


def _other_labels(neighbours, crops, limits: Limits) -> dict[int, str]:
    groups = np.unique([crop.group for crop in crops], return_inverse=True)[1]
    sets = [frozenset(crop.labels) for crop in crops]
    found = {}
    for i, others in enumerate(neighbours):
        if not sets[i]:
            continue
        foreign = [j for j in others[groups[others] != groups[i]].tolist() if sets[j]]
        different = [j for j in foreign if not sets[i] & sets[j]]
        if len(foreign) * 2 < len(others):
            continue
        if len(different) >= limits.other_labels_share * len(foreign):
            counts = collections.Counter(x for j in different for x in sets[j])
            name, _ = min(counts.items(), key=lambda item: (-item[1], item[0]))
            found[i] = f"neighbours are other labels', mostly {name}"
    return found


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
