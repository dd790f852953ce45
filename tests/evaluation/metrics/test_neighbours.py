import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from tfvqgen.evaluation.metrics import distances as module
from tfvqgen.evaluation.metrics.distances import (
    distance_blocks,
    nearest,
    neighbour_radii,
)
from tfvqgen.evaluation.metrics.neighbours import neighbour_rows


def draws(number, seed=0, shift=0.0, features=5, scale=1.0):
    return np.random.default_rng(seed).normal(shift, scale, (number, features))


def means(real, others, k=5):
    return [rows.mean() for rows in neighbour_rows(real, others, k)]


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 7)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 99), st.integers(1, 30), st.integers(1, 30))
def test_distances_are_those_of_scipy(seed, n, m):
    rows, others = draws(n, seed, shift=3), draws(m, seed + 1, shift=3)
    found = np.concatenate([block for _, block in distance_blocks(rows, others)])
    np.testing.assert_allclose(found, cdist(rows, others), atol=1e-9)


def test_equal_rows_have_no_distance_even_far_from_the_origin(small_blocks):
    rows = (draws(40, features=50) + 1e4).astype(np.float32)
    far, which = nearest(rows, rows[::-1])
    np.testing.assert_array_equal(far, 0)
    np.testing.assert_array_equal(which, np.arange(40)[::-1])


@pytest.mark.parametrize("k", [1, 5])
def test_radii_are_those_of_scikit_learn(small_blocks, k):
    rows = draws(30)
    found, _ = NearestNeighbors(n_neighbors=k + 1).fit(rows).kneighbors(rows)
    np.testing.assert_allclose(neighbour_radii(rows, k), found[:, k])


def test_measures_are_as_defined_pair_by_pair(small_blocks):
    real, others, k = draws(25), draws(31, seed=1, shift=0.8), 3
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


def test_two_sets_of_one_law_have_known_means():
    found = [means(draws(500, 2 * s), draws(500, 2 * s + 1)) for s in range(8)]
    precision, recall, density, coverage = np.mean(found, axis=0)
    # Naeem et al. 2020: density is 1 on average, coverage 1 - 1/2^k for equal sizes.
    assert density == pytest.approx(1, abs=0.05)
    assert coverage == pytest.approx(1 - 1 / 2**5, abs=0.006)
    assert precision == pytest.approx(recall, abs=0.05)


def test_few_kinds_of_samples_are_precise_and_cover_little():
    real = np.concatenate([draws(200), draws(200, 1, shift=20)])
    precision, recall, density, coverage = means(real, draws(400, 2, scale=0.8))
    assert precision > 0.95 and density > 0.9
    assert recall < 0.55 and coverage < 0.55


def test_far_samples_are_neither():
    assert means(draws(50), draws(50, 1, shift=100)) == [0, 0, 0, 0]


def test_one_outlier_helps_precision_more_than_density():
    # The known trap: one real outlier's ball is huge, and all samples lie in it.
    real = np.concatenate([draws(200), np.full((1, 5), 40.0)])
    precision, _, density, _ = means(real, draws(200, 1, shift=20))
    assert precision > 0.9 and density < 0.3


def test_the_order_of_rows_does_not_matter():
    real, others = draws(40), draws(40, 1, shift=0.5)
    assert means(real, others) == pytest.approx(means(real[::-1], others[::-1]))


def test_copies_of_real_rows_are_inside_though_their_balls_are_points():
    real = draws(6).repeat(8, axis=0)
    assert means(real, real) == [1, 1, pytest.approx(8 / 5), 1]
