"""Fidelity and variety, by who is whose neighbour among features."""

# Shapes: N real rows and M others, of F features.

from typing import NamedTuple

import numpy as np

from tfvqgen.evaluation.metrics.distances import distance_blocks, neighbour_radii

NEIGHBOURS = 5


class NeighbourRows(NamedTuple):
    """Measures whose means over rows are the figures, float64.

    A ball is the surrounding of a row up to its k-th nearest neighbour of the same set.

    Attributes:
        precision: Whether each other row is in a ball of a real one, [M]
            (Kynkäänniemi et al. 2019).
        recall: Whether each real row is in a ball of another one, [N] (the same).
        density: In how many balls of real rows each other row is, over k, [M]
            (Naeem et al. 2020); about 1 for two sets of one law.
        coverage: Whether another row is in the ball of each real one, [N] (the same).
    """

    precision: np.ndarray
    recall: np.ndarray
    density: np.ndarray
    coverage: np.ndarray


def neighbour_rows(
    real: np.ndarray, others: np.ndarray, k: int = NEIGHBOURS
) -> NeighbourRows:
    """Measures which of two sets lies within the other.

    A distance equal to a ball's radius is inside, so that copies of a row are.

    Args:
        real: Float [N, F], more than k.
        others: Float [M, F], more than k.
        k: Neighbours that make a ball.
    """
    real_radii, other_radii = neighbour_radii(real, k), neighbour_radii(others, k)
    inside = np.zeros(len(others))
    recall, coverage = np.zeros(len(real)), np.zeros(len(real))
    for part, distances in distance_blocks(real, others):
        in_real = distances <= real_radii[part, None]
        inside += in_real.sum(axis=0)
        coverage[part] = in_real.any(axis=1)
        recall[part] = (distances <= other_radii).any(axis=1)
    return NeighbourRows(
        precision=(inside > 0).astype(np.float64),
        recall=recall,
        density=inside / k,
        coverage=coverage,
    )
