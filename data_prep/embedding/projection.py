"""Principal components, clusters and a map of crops, computed from their features.

Clusters are made in the space of the components and not on the map, so that they do not
depend on the map; every crop has one. The map (UMAP, McInnes et al. 2018) is for people
to look at: it is fitted on some crops of every cluster, and the others are placed among
their neighbors there. With one thread and a seed it is reproducible with the same
libraries on the same kind of machine; elsewhere it may differ, and so the coordinates
are stored.
"""

# Shapes: N crops, F features, D components.

import importlib
import warnings
from types import ModuleType

import numpy as np

from tfvqgen.errors import UserError, require_package

NUM_COMPONENTS = 50
NUM_NEIGHBOURS = 15
MIN_DISTANCE = 0.1
# Fitting the map on more crops takes minutes and hardly changes its shape.
MOST_FITTED = 20_000
# Fewer crops do not have the neighbors that a map is made of.
FEWEST_CROPS = 8
# UMAP refines more than 10,000 new points at once with fewer epochs, which is enough.
_PLACED_AT_ONCE = 16_384


def require_libraries(*names: str) -> None:
    """Checks that libraries are installed, by default all that screening needs."""
    for name in names or ("sklearn", "umap"):
        require_package(name, "screen")


def principal_components(features: np.ndarray) -> np.ndarray:
    """Returns the first components of standardized features [N, F], float32 [N, D].

    D is at most :data:`NUM_COMPONENTS`.
    """
    if len(features) < FEWEST_CROPS:
        raise UserError(
            f"too few crops for a map: expected at least {FEWEST_CROPS}. "
            f"Received: {len(features)}"
        )
    scaler = _screening_library("sklearn.preprocessing").StandardScaler()
    scaled = scaler.fit_transform(np.asarray(features, np.float32))
    pca = _screening_library("sklearn.decomposition").PCA(
        min(NUM_COMPONENTS, *scaled.shape), svd_solver="covariance_eigh"
    )
    return pca.fit_transform(scaled)


def cluster(components: np.ndarray, num_clusters: int, seed: int) -> np.ndarray:
    """Divides crops with `components` [N, D] into clusters by mini-batch k-means.

    There are fewer than `num_clusters` if clusters stay empty or would have fewer than
    two crops. Returns the cluster of each crop, int32 [N]; 0 is the largest cluster.
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
    """Places crops with `components`, float32 [N, D], on a map.

    It is fitted on some crops of each of the `clusters`, int [N]. `progress` is called
    with the number of crops that were placed. Returns float32 [N, 2], centered; half
    the width of the map is 1.
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
    """Selects at most `most` of N items, in proportion to the sizes of the strata.

    `strata` is the stratum of each item, int [N]. Every stratum gives at least one item
    while there is room. Returns the selected indices, sorted.
    """
    if len(strata) <= most:
        return np.arange(len(strata))
    order = np.random.default_rng(seed).permutation(len(strata))
    order = order[np.argsort(strata[order], kind="stable")]
    _names, starts, counts = np.unique(
        strata[order], return_index=True, return_counts=True
    )
    # The j-th of n items of a stratum is placed at (j + 1/2) / n, but the first items
    # of all strata come before all others.
    size = np.repeat(counts, counts)
    place = (np.arange(len(order)) - np.repeat(starts, counts) + 0.5) / size
    place[starts] = -1 / counts
    return np.sort(order[np.argsort(place, kind="stable")[:most]])


def _screening_library(name: str) -> ModuleType:
    require_package(name.partition(".")[0], "screen")
    with warnings.catch_warnings():
        # UMAP warns about other libraries that it could use.
        warnings.simplefilter("ignore")
        return importlib.import_module(name)
