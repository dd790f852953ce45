import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from tfvqgen.evaluation.metrics import frechet
from tfvqgen.evaluation.metrics.frechet import (
    frechet_distance,
    moments,
    resampled_distances,
)


def draws(number, features, seed=0, scale=1.0, shift=0.0):
    return np.random.default_rng(seed).normal(shift, scale, (number, features))


def distance(rows, others):
    return frechet_distance(moments(rows), moments(others))


def by_scipy(rows, others):
    """The formula as it is published, with a matrix square root."""
    means = [some.mean(axis=0) for some in (rows, others)]
    covariances = [np.cov(some, rowvar=False) for some in (rows, others)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    traces = np.trace(sum(covariances) - 2 * np.real(root))
    return np.square(means[0] - means[1]).sum() + traces


def exactly_normal(rows, mean, covariance):
    """Rows with exactly this mean and covariance."""
    rows = rows - rows.mean(axis=0)
    white = rows @ np.linalg.inv(np.linalg.cholesky(np.cov(rows, rowvar=False))).T
    return white @ np.linalg.cholesky(covariance).T + mean


def test_moments_are_those_of_numpy_however_many_blocks(monkeypatch):
    monkeypatch.setattr(frechet, "_BLOCK", 7)
    rows = draws(50, 6).astype(np.float32) + 1000
    found = moments(rows)
    np.testing.assert_allclose(found.mean, rows.mean(axis=0, dtype=np.float64))
    expected = np.cov(rows.astype(np.float64), rowvar=False)
    np.testing.assert_allclose(found.root.T @ found.root, expected, atol=1e-12)


@pytest.mark.parametrize("features", [4, 40])
def test_a_row_counted_twice_is_a_row_that_is_there_twice(features):
    rows = draws(20, features)
    counts = np.arange(20) % 3
    one, other = moments(rows, counts.astype(float)), moments(rows.repeat(counts, 0))
    np.testing.assert_allclose(one.mean, other.mean, atol=1e-12)
    np.testing.assert_allclose(
        one.root.T @ one.root, other.root.T @ other.root, atol=1e-12
    )


def test_laws_of_diagonal_covariance_have_a_closed_form():
    deviations, others = np.array([1.0, 2.0, 0.5]), np.array([3.0, 2.0, 0.1])
    shift = np.array([0.5, -1.0, 2.0])
    one = exactly_normal(draws(40, 3), 0 * shift, np.diag(deviations**2))
    other = exactly_normal(draws(30, 3, seed=1), shift, np.diag(others**2))
    expected = np.square(shift).sum() + np.square(deviations - others).sum()
    assert distance(one, other) == pytest.approx(expected)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 99), st.integers(2, 12), st.integers(15, 40))
def test_it_is_the_published_formula(seed, features, number):
    mixing = draws(features, features, seed)
    rows = draws(number, features, seed + 1) @ mixing
    others = draws(number + 3, features, seed + 2, scale=2, shift=0.3)
    expected = by_scipy(rows, others)
    assert distance(rows, others) == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert distance(others, rows) == pytest.approx(distance(rows, others))


def test_it_stands_with_fewer_rows_than_features():
    rows, others = draws(10, 40), draws(12, 40, seed=1, shift=1.0)
    # scipy's root of a singular product is good to the root of rounding only.
    assert distance(rows, others) == pytest.approx(by_scipy(rows, others), rel=1e-3)


def test_a_set_is_nowhere_from_itself_in_any_order():
    rows = draws(60, 30)
    assert distance(rows, rows[::-1]) == pytest.approx(0, abs=1e-9)


def test_every_row_twice_changes_it_by_the_sample_correction_alone():
    rows, others = draws(100, 5), draws(100, 5, seed=1, shift=0.2)
    twice = distance(rows.repeat(2, axis=0), others.repeat(2, axis=0))
    assert twice == pytest.approx(distance(rows, others), rel=0.02)


def test_few_rows_of_one_law_look_further_apart_than_many():
    few, many = (distance(draws(n, 64), draws(n, 64, seed=1)) for n in (100, 1600))
    assert few > 8 * many > 0


def test_drawing_rows_anew_makes_it_larger_and_says_how_much_it_varies():
    rows, others = draws(400, 8), draws(400, 8, seed=1, shift=0.5)
    drawn = resampled_distances(rows, others, seed=0)
    assert drawn.mean() > distance(rows, others)
    seeds = range(40)
    again = [
        distance(draws(400, 8, 2 * s + 10), draws(400, 8, 2 * s + 11, shift=0.5))
        for s in seeds
    ]
    assert np.std(drawn) == pytest.approx(np.std(again), rel=0.5)
    np.testing.assert_array_equal(drawn, resampled_distances(rows, others, seed=0))
