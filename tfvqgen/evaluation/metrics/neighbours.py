"""Metrics of nearest neighbours: fidelity, coverage and memorisation."""

# Shapes: N and M rows of F features, B rows of a block; Q queries.

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

NEIGHBOURS = 5
_BLOCK = 512
# Squared distances below this share of the squared norms are rounding errors.
_ROUNDING = 1e-12
# Upper limit of a ratio of distances, which is infinite for a held-out row.
_MAX_RATIO = 1e3


def distance_blocks(
    rows: np.ndarray, others: np.ndarray
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields slices of rows with their Euclidean distances to all others, [B, M].

    In float64; the distance of equal rows is exactly 0. Memory grows with M and not
    with N times M.
    """
    # Centred rows have small norms, which keeps the rounding error of the difference
    # of squares small.
    centre = np.asarray(others, np.float64).mean(axis=0)
    others = others - centre
    other_squares = np.square(others).sum(axis=1)
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, min(start + _BLOCK, len(rows)))
        some = rows[part] - centre
        squares = np.square(some).sum(axis=1)[:, None] + other_squares
        distances = squares - 2 * (some @ others.T)
        distances[distances < _ROUNDING * squares] = 0
        yield part, np.sqrt(distances)


def nearest(queries: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the distance and the index of the nearest row of each query, [Q] each."""
    found = [
        (distances.min(axis=1), distances.argmin(axis=1))
        for _, distances in distance_blocks(queries, rows)
    ]
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))


def neighbour_radii(rows: np.ndarray, k: int) -> np.ndarray:
    """Returns the distance of each row to its k-th nearest other row, [N]."""
    radii = np.empty(len(rows))
    for part, distances in distance_blocks(rows, rows):
        distances[np.arange(len(distances)), np.arange(part.start, part.stop)] = np.inf
        radii[part] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return radii


class NeighbourRows(NamedTuple):
    """One value per row, float64; the metrics are the means over the rows.

    The ball of a row reaches to its k-th nearest neighbour of the same set. Precision
    and recall are those of Kynkäänniemi et al. 2019. Density, 1 on average for
    identically distributed sets, and coverage are those of Naeem et al. 2020.
    """

    precision: np.ndarray  # Whether each other row is in the ball of a real row, [M].
    recall: np.ndarray  # Whether each real row is in the ball of another row, [N].
    density: np.ndarray  # Number of real balls with each other row, over k, [M].
    coverage: np.ndarray  # Whether each real ball contains another row, [N].


def neighbour_rows(
    real: np.ndarray, others: np.ndarray, k: int = NEIGHBOURS
) -> NeighbourRows:
    """Measures which rows of two sets lie within the balls of the other set.

    Both sets have more than k rows. A distance equal to the radius of a ball is inside,
    so that copies of a row are.
    """
    real_radii, other_radii = neighbour_radii(real, k), neighbour_radii(others, k)
    inside = np.zeros(len(others))
    recall, coverage = np.zeros(len(real)), np.zeros(len(real))
    for part, distances in distance_blocks(real, others):
        in_real = distances <= real_radii[part, None]
        inside += in_real.sum(axis=0)
        coverage[part] = in_real.any(axis=1)
        recall[part] = (distances <= other_radii).any(axis=1)
    precision = (inside > 0).astype(np.float64)
    return NeighbourRows(precision, recall, inside / k, coverage)


class Nearness(NamedTuple):
    """How near each query is to training rows, compared with held-out rows.

    A ratio is the distance to the nearest training row over the distance to the nearest
    held-out row. `ratio` is about 1 if training rows are not nearer.
    """

    ratio: np.ndarray  # Mean over parts of as many training as held-out rows, [Q].
    overall: np.ndarray  # With all training rows, [Q]; 0 for a copy of one.
    training: np.ndarray  # Index of the nearest training row, [Q].
    held_out: np.ndarray  # Index of the nearest held-out row, [Q].


def nearness(
    queries: np.ndarray, training: np.ndarray, held_out: np.ndarray, *, seed: int
) -> Nearness:
    """Compares the distances to training rows with the distances to held-out rows.

    A larger set has a nearer neighbour, so that only sets of the same size can be
    compared: the training rows, [N, F], are divided at random into parts of as many
    rows as are held out, [M, F]. If M > N, only N held-out rows are used.
    """
    rng = np.random.default_rng(seed)
    size = min(len(training), len(held_out))
    kept = np.sort(rng.permutation(len(held_out))[:size])
    held_out_distance, held_out_index = nearest(queries, held_out[kept])
    order = rng.permutation(len(training))
    ratios = []
    best = np.full(len(queries), np.inf)
    which = np.zeros(len(queries), np.int64)
    for start in range(0, len(training), size):
        part = order[start : start + size]
        distance, chosen = nearest(queries, training[part])
        if len(part) == size:
            ratios.append(_ratio(distance, held_out_distance))
        which = np.where(distance < best, part[chosen], which)
        best = np.minimum(distance, best)
    return Nearness(
        ratio=np.mean(ratios, axis=0),
        overall=_ratio(best, held_out_distance),
        training=which,
        held_out=kept[held_out_index],
    )


def _ratio(distances: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Divides distances; the ratio of two distances of 0 is 1."""
    both = (distances == 0) & (others == 0)
    ratio = distances / np.maximum(others, np.finfo(np.float64).tiny)
    return np.where(both, 1.0, np.minimum(ratio, _MAX_RATIO))
