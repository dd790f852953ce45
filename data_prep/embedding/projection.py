"""Where crops lie by their features: principal components, clusters, a map.

Shapes: N crops, F features, D components, K clusters, M crops that the map is fitted
on.

Clusters are made in the space of the components, not on the map, so that they do not
depend on how the map was drawn; every crop has one. The map (UMAP, McInnes et al. 2018)
is for the eye alone: it is fitted on some crops of every cluster, and the others are
placed among their neighbours there. One thread and a seed make it the same again with
the same libraries on the same kind of machine; elsewhere it may differ, and so the
coordinates are kept.
"""

import importlib
import warnings
from types import ModuleType

import numpy as np

from tfvqgen.errors import UserError, require_package

NUM_COMPONENTS = 50
NUM_NEIGHBOURS = 15
MIN_DISTANCE = 0.1
# More crops than these cost the map minutes and hardly change its shape.
MOST_FITTED = 20_000
# Fewer crops than these cannot have the neighbours that a map is made of.
FEWEST_CROPS = 8
# UMAP refines more than 10,000 new points at once with fewer, and enough, epochs.
_PLACED_AT_ONCE = 16_384


def usual_clusters(num_crops: int) -> int:
    """Returns how many clusters a person can review: half the root of the crops.

    1,000 crops make 16, 157,000 make 198.
    """
    return max(2, round(num_crops**0.5 / 2))


def require_libraries(*names: str) -> None:
    """Refuses to start what would end without its libraries (all, if none is named)."""
    for name in names or ("sklearn", "umap"):
        require_package(name, "screen")


def standardised(features: np.ndarray) -> np.ndarray:
    """Returns features [N, F] less their mean over their deviation, float32.

    A feature that is the same for all crops says nothing and becomes 0.
    """
    features = np.asarray(features, np.float32)
    mean = features.mean(axis=0, dtype=np.float64)
    deviation = features.std(axis=0, dtype=np.float64)
    # Rounding leaves some deviation to a constant.
    constant = deviation <= 1e-6 * np.maximum(np.abs(mean), 1e-30)
    scale = np.where(constant, 0, 1 / np.where(constant, 1, deviation))
    return (features - mean.astype(np.float32)) * scale.astype(np.float32)


def principal_components(features: np.ndarray) -> np.ndarray:
    """Returns the first components of standardised features: float32 [N, D].

    D is at most `NUM_COMPONENTS`. Each component's sign is that which makes its largest
    weight positive, so that they do not depend on the solver's whim.
    """
    if len(features) < FEWEST_CROPS:
        raise UserError(
            f"too few crops for a map: expected at least {FEWEST_CROPS}. "
            f"Received: {len(features)}"
        )
    values = standardised(features)
    covariance = np.zeros((values.shape[1],) * 2)
    for start in range(0, len(values), _PLACED_AT_ONCE):
        part = values[start : start + _PLACED_AT_ONCE].astype(np.float64)
        covariance += part.T @ part
    _, vectors = np.linalg.eigh(covariance)
    weights = vectors[:, ::-1][:, :NUM_COMPONENTS]
    largest = np.abs(weights).argmax(axis=0)
    weights = weights * np.sign(weights[largest, np.arange(weights.shape[1])])
    return values @ weights.astype(np.float32)


def cluster(components: np.ndarray, num_clusters: int, seed: int) -> np.ndarray:
    """Divides crops [N, D] into clusters by mini-batch k-means.

    Returns:
        The clusters, int32 [N], numbered by size: 0 is the largest. There are fewer
        than `num_clusters` where there are fewer than two crops a cluster, or clusters
        stay empty.
    """
    k_means = _screening_library("sklearn.cluster").MiniBatchKMeans(
        n_clusters=max(1, min(num_clusters, len(components) // 2)),
        random_state=seed,
        batch_size=4096,
        n_init=3,
    )
    labels = k_means.fit(components).labels_
    names, numbers, counts = np.unique(labels, return_inverse=True, return_counts=True)
    rank = np.empty(len(names), np.int32)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(names))
    return rank[numbers]


def map_positions(
    components: np.ndarray, clusters: np.ndarray, seed: int, progress=None
) -> np.ndarray:
    """Places crops on a map.

    Args:
        components: float32 [N, D].
        clusters: int [N]; the map is fitted on some crops of each.
        seed: Decides the map.
        progress: Called with the number of crops that were placed.

    Returns:
        float32 [N, 2], centred; half its width is 1.
    """
    mapper = _screening_library("umap").UMAP(
        n_neighbors=min(NUM_NEIGHBOURS, len(components) - 1),
        min_dist=MIN_DISTANCE,
        # Spectral layouts take minutes, and fail on maps of several islands.
        init="pca",
        random_state=seed,
        transform_seed=seed,
        n_jobs=1,
    )
    fitted = stratified(clusters, MOST_FITTED, seed)
    positions = np.empty((len(components), 2), np.float32)
    positions[fitted] = mapper.fit_transform(components[fitted])
    tell = progress or (lambda count: None)
    tell(len(fitted))
    rest = np.setdiff1d(np.arange(len(components)), fitted)
    for start in range(0, len(rest), _PLACED_AT_ONCE):
        part = rest[start : start + _PLACED_AT_ONCE]
        positions[part] = mapper.transform(components[part])
        tell(len(part))
    low, high = positions[fitted].min(axis=0), positions[fitted].max(axis=0)
    half_width = max(float((high - low).max()) / 2, 1e-12)
    return (positions - (low + high) / 2) / np.float32(half_width)


def stratified(strata: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Chooses at most `most` of N items, each stratum giving its share.

    A stratum gives at least one item while there is room.

    Args:
        strata: int [N].
        most: How many.
        seed: Decides which.

    Returns:
        The chosen indices, sorted.
    """
    if len(strata) <= most:
        return np.arange(len(strata))
    order = np.random.default_rng(seed).permutation(len(strata))
    order = order[np.argsort(strata[order], kind="stable")]
    _names, starts, counts = np.unique(
        strata[order], return_index=True, return_counts=True
    )
    # The j-th of n items of a stratum stands at (j + 1/2) / n: the first ones of all
    # strata come first, the rest evenly.
    place = (np.arange(len(order)) - np.repeat(starts, counts) + 0.5) / np.repeat(
        counts, counts
    )
    place[starts] = -1 / counts
    return np.sort(order[np.argsort(place, kind="stable")[:most]])


def _screening_library(name: str) -> ModuleType:
    require_package(name.partition(".")[0], "screen")
    with warnings.catch_warnings():
        # UMAP warns about other libraries that it could use.
        warnings.simplefilter("ignore")
        return importlib.import_module(name)
