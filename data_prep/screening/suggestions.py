"""Suggestions: suspicious crops that a person should look at first, and why.

No crop is dropped here. Three kinds suggest to drop a crop, the fourth only to look:

quality       crops.csv does not accept it, or a quality column is far from the median
              of the accepted crops
outlier       its neighbours in feature space are farther away than those of other
              crops of its label
duplicate     almost the features of another crop, which is kept
other_labels  its neighbours from other groups have other labels

Labels belong to fields and are copied to cells, so they are weak: an interphase cell in
a field of mitotic spindles has other neighbours and is no defect. Therefore
other_labels does not suggest to drop. Crops of rare labels are far from all others.
Therefore outliers are searched among the accepted crops of each label, and their share
is limited.

Shapes: N crops, D components, k neighbours.
"""

import collections
import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from data_prep.cropping.crop_quality import are_exempt
from data_prep.embedding.projection import require_libraries
from tfvqgen.data.crops import Crop

KINDS = ("quality", "outlier", "duplicate", "other_labels")
DROPPING = KINDS[:3]
# Quality columns of crops.csv and their bad tail: -1 low, 1 high, 0 both.
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
# A quality column is unusual from so many robust deviations on, at most for a share of
# the accepted crops of a label: some columns have long tails among good crops.
QUALITY_DEVIATIONS = 4.5
MAX_UNUSUAL = 0.02
# The same for the mean distance to the neighbours.
OUTLIER_DEVIATIONS = 2.5
MAX_OUTLIERS = 0.05
NUM_NEIGHBOURS = 10
# A neighbour nearer than this share of the median distance is a duplicate.
DUPLICATE_SHARE = 0.05
# Share of the neighbours from other groups without a label of the crop.
OTHER_LABELS_SHARE = 0.95
# Share of a cluster's accepted crops at which the whole cluster is suggested.
CLUSTER_SHARE = 0.6


@dataclasses.dataclass(frozen=True)
class Suggestions:
    """The suspicious crops."""

    kinds: np.ndarray  # Which of `KINDS` apply to each crop, bool [N, len(KINDS)].
    reasons: tuple[str, ...]  # In words for each crop; empty if there is none.
    clusters: frozenset[int]  # Those suggested to be dropped as a whole.

    @property
    def drop(self) -> np.ndarray:
        """The crops suggested to be dropped, bool [N]."""
        return self.kinds[:, : len(DROPPING)].any(axis=1)


def suggest(
    crops: Sequence[Crop], components: np.ndarray, clusters: np.ndarray
) -> Suggestions:
    """Finds suspicious crops by the quality columns in their metadata.

    `components` are the crops' features, float32 [N, D], and `clusters` int [N].
    """
    distances, neighbours = nearest(components, NUM_NEIGHBOURS)
    by_label, not_accepted = collections.defaultdict(list), {}
    for i, crop in enumerate(crops):
        if crop.accepted:
            # A crop counts to its first label.
            by_label[crop.labels[0] if crop.labels else ""].append(i)
        else:
            not_accepted[i] = f"not accepted: {crop.reason or 'no reason given'}"
    members = [np.array(indices) for indices in by_label.values()]
    found = (
        ("quality", not_accepted),
        ("quality", _far_out(crops, members)),
        ("outlier", _outliers(distances, members)),
        ("duplicate", _duplicates(distances, neighbours, crops)),
        ("other_labels", _other_labels(neighbours, crops)),
    )
    reasons: list[list[str]] = [[] for _ in crops]
    kinds = np.zeros((len(crops), len(KINDS)), bool)
    for kind, texts in found:
        for index, text in texts.items():
            kinds[index, KINDS.index(kind)] = True
            reasons[index].append(text)
    texts = tuple("; ".join(each) for each in reasons)
    # Crops that are not accepted say little about the others of their cluster: most of
    # them only lie at the border of a field.
    accepted = np.array([crop.accepted for crop in crops])
    drop = kinds[:, : len(DROPPING)].any(axis=1) & accepted
    size = np.bincount(clusters, accepted)
    bad = (size > 0) & (np.bincount(clusters, drop) >= CLUSTER_SHARE * size)
    return Suggestions(kinds, texts, frozenset(np.flatnonzero(bad).tolist()))


def nearest(components: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Finds the nearest neighbours of every crop of components [N, D], exactly.

    Returns ascending distances float32 [N, k], and indices int32 [N, k], where k is
    `count` and at most N - 1.
    """
    require_libraries("sklearn")
    from sklearn.neighbors import NearestNeighbors

    count = min(count, len(components) - 1)
    finder = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(components)
    # Without an argument, a crop is not its own neighbour.
    distances, indices = finder.kneighbors()
    return distances.astype(np.float32), indices.astype(np.int32)


def robust_deviations(values: np.ndarray) -> np.ndarray:
    """Returns (values - median) / (1.4826 * median absolute deviation), [N].

    The divisor estimates the standard deviation of normally distributed values without
    the influence of outliers. The result is 0 if most values are equal; NaN stays NaN.
    """
    centred = values - np.nanmedian(values)
    deviation = 1.4826 * np.nanmedian(np.abs(centred))
    return centred / deviation if deviation > 0 else np.zeros_like(centred)


def column(crops: Sequence[Crop], name: str) -> np.ndarray:
    """Returns a quality column as float64 [N]; NaN where a crop has no number."""
    return np.array([_number(crop.metadata.get(name, "")) for crop in crops])


def _far_out(crops: Sequence[Crop], members) -> dict[int, str]:
    """Finds crops with an unusual quality column, at most a share of each label."""
    found: dict[int, list[str]] = collections.defaultdict(list)
    judged = np.array([crop.accepted for crop in crops])
    divides = [are_exempt(crop.labels) for crop in crops]
    for name, tail in QUALITY_COLUMNS.items():
        values = np.where(judged, column(crops, name), np.nan)
        if name in _SHAPE_COLUMNS:
            # The nuclei of dividing cells have such shapes.
            values[divides] = np.nan
        if np.isfinite(values).sum() < 3 or len(np.unique(values)) < 3:
            continue
        positive = values[np.isfinite(values)].min() > 0
        away = robust_deviations(np.log(values) if positive else values)
        away = np.abs(away) if tail == 0 else tail * away
        for i in _worst(away, members, QUALITY_DEVIATIONS, MAX_UNUSUAL):
            found[i].append(f"{name} {values[i]:g} is unusual")
    return {i: ", ".join(texts) for i, texts in found.items()}


def _outliers(distances, members) -> dict[int, str]:
    scores = np.log(np.maximum(distances.mean(axis=1), 1e-12))
    away = np.full(len(scores), np.nan)
    for crops in members:
        away[crops] = robust_deviations(scores[crops])
    worst = _worst(away, members, OUTLIER_DEVIATIONS, MAX_OUTLIERS)
    return dict.fromkeys(worst, "far from all others")


def _worst(away, members, least: float, share: float) -> list[int]:
    """Returns the crops above `least`, at most `share` of the crops of each label."""
    worst: list[int] = []
    for crops in members:
        most = math.floor(share * len(crops))
        scores = np.nan_to_num(away[crops], nan=-math.inf)
        order = np.argsort(-scores, kind="stable")[:most]
        worst.extend(crops[order[scores[order] > least]].tolist())
    return worst


def _duplicates(distances, neighbours, crops) -> dict[int, str]:
    """Finds crops that are almost the same as an earlier crop."""
    near = distances <= DUPLICATE_SHARE * np.median(distances[:, 0])
    found: dict[int, str] = {}
    for index, place in zip(*np.nonzero(near), strict=True):
        other = int(neighbours[index, place])
        if other < index and other not in found and int(index) not in found:
            found[int(index)] = f"almost the same as {crops[other].crop_id}"
    return found


def _other_labels(neighbours, crops) -> dict[int, str]:
    groups = np.unique([crop.group for crop in crops], return_inverse=True)[1]
    sets = [frozenset(crop.labels) for crop in crops]
    found = {}
    for i, others in enumerate(neighbours):
        if not sets[i]:
            continue
        foreign = [j for j in others[groups[others] != groups[i]].tolist() if sets[j]]
        different = [j for j in foreign if not sets[i] & sets[j]]
        enough = len(foreign) * 2 >= len(others)
        if enough and len(different) >= OTHER_LABELS_SHARE * len(foreign):
            counts = collections.Counter(x for j in different for x in sets[j])
            name, _ = min(counts.items(), key=lambda item: (-item[1], item[0]))
            found[i] = f"neighbours have other labels, mostly {name}"
    return found


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
