"""Distances between rows of features, a block of rows at a time."""

# Shapes: N and M rows of F features, B of a block; Q queries.

from collections.abc import Iterator

import numpy as np

_BLOCK = 512
# What rounding makes of a distance of 0, as a share of the squares it is made of.
_NOTHING = 1e-12


def distance_blocks(
    rows: np.ndarray, others: np.ndarray
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields which rows, and their Euclidean distances to all others, [B, M].

    In float64; equal rows have a distance of exactly 0. Memory grows with M and not
    with N times M.

    Args:
        rows: [N, F].
        others: [M, F].
    """
    # Around their mean squares are small, and little is lost by subtracting them.
    centre = np.asarray(others, np.float64).mean(axis=0)
    others = others - centre
    other_squares = np.square(others).sum(axis=1)
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, min(start + _BLOCK, len(rows)))
        some = rows[part] - centre
        squares = np.square(some).sum(axis=1)[:, None] + other_squares
        distances = squares - 2 * (some @ others.T)
        distances[distances < _NOTHING * squares] = 0
        yield part, np.sqrt(distances)


def nearest(queries: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns how far the nearest row of each query is, and which it is, [Q] each.

    Args:
        queries: [Q, F].
        rows: [N, F].
    """
    far, which = np.empty(len(queries)), np.empty(len(queries), np.int64)
    for part, distances in distance_blocks(queries, rows):
        which[part] = distances.argmin(axis=1)
        far[part] = distances.min(axis=1)
    return far, which


def neighbour_radii(rows: np.ndarray, k: int) -> np.ndarray:
    """Returns the distance of each row to its k-th nearest other row, [N].

    Args:
        rows: [N, F], more than k.
        k: From 1.
    """
    radii = np.empty(len(rows))
    for part, distances in distance_blocks(rows, rows):
        # A row is no neighbour of itself; one equal to it is.
        distances[np.arange(len(distances)), np.arange(part.start, part.stop)] = np.inf
        radii[part] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return radii
