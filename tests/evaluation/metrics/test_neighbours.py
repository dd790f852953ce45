import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from tfvqgen.evaluation.metrics import neighbours
from tfvqgen.evaluation.metrics.neighbours import (
    nearest,
    nearness,
    neighbour_rows,
)


def normal(number, seed=0, shift=0.0, scale=1.0, features=8):
    return np.random.default_rng(seed).normal(shift, scale, (number, features))


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(neighbours, "_BLOCK", 7)


def test_equal_rows_have_distance_zero_even_far_from_the_origin(small_blocks):
    rows = (normal(40, features=50) + 1e4).astype(np.float32)
    distances, which = nearest(rows, rows[::-1])
    np.testing.assert_array_equal(distances, 0)
    np.testing.assert_array_equal(which, np.arange(40)[::-1])


def test_metrics_equal_their_definition_pair_by_pair(small_blocks):
    real, others, k = normal(25), normal(31, 1, shift=0.8), 3
    between = cdist(real, others)
    radii = np.sort(cdist(real, real), axis=1)[:, k]
    other_radii = np.sort(cdist(others, others), axis=1)[:, k]
    found = neighbour_rows(real, others, k)
    for j in range(31):
        balls = [i for i in range(25) if between[i, j] <= radii[i]]
        assert found.precision[j] == bool(balls)
        assert found.density[j] == len(balls) / k
    for i in range(25):
        assert found.recall[i] == any(between[i] <= other_radii)
        assert found.coverage[i] == any(between[i] <= radii[i])


def test_identically_distributed_sets_have_known_metrics():
    pairs = [neighbour_rows(normal(500, 2 * s), normal(500, 2 * s + 1)) for s in (0, 1)]
    found = [np.mean([getattr(x, name) for x in pairs]) for name in pairs[0]._fields]
    precision, recall, density, coverage = found
    # Naeem et al. 2020: density is 1 on average, coverage 1 - 1/2^k for equal sizes.
    assert density == pytest.approx(1, abs=0.08)
    assert coverage == pytest.approx(1 - 1 / 2**5, abs=0.02)
    assert precision == pytest.approx(recall, abs=0.05)


def near(queries, training, held_out):
    return nearness(queries, training, held_out, seed=0)


@pytest.mark.parametrize(("training", "held_out"), [(2000, 500), (100, 800)])
def test_sets_of_different_size_do_not_look_like_memorisation(training, held_out):
    ratio = near(normal(300), normal(training, 1), normal(held_out, 2)).ratio.mean()
    assert ratio == pytest.approx(1.02, abs=0.06)


def test_copies_of_training_rows_are_found_in_any_part():
    training = normal(900, 1)
    queries = np.concatenate([normal(90), training[[7, 444, 899]]])
    found = near(queries, training, normal(300, 2))
    np.testing.assert_array_equal(found.overall[-3:], 0)
    np.testing.assert_array_equal(found.training[-3:], [7, 444, 899])
    assert (found.overall[:-3] > 0.1).all()


def test_the_nearest_rows_are_those_of_scikit_learn():
    queries, training, held_out = normal(50), normal(170, 1), normal(60, 2)
    found = near(queries, training, held_out)
    for rows, which in ((training, found.training), (held_out, found.held_out)):
        search = NearestNeighbors(n_neighbors=1).fit(rows)
        expected = search.kneighbors(queries, return_distance=False)[:, 0]
        np.testing.assert_array_equal(which, expected)
