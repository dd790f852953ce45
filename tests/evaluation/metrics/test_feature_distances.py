import numpy as np
import pytest
import scipy.linalg
from sklearn.metrics.pairwise import polynomial_kernel

from tfvqgen.evaluation.metrics import feature_distances
from tfvqgen.evaluation.metrics.feature_distances import (
    frechet_distance,
    kernel_distance,
    moments,
    resampled_frechet,
    resampled_kernel,
)


def normal(number, features, seed=0, scale=1.0, shift=0.0):
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


@pytest.mark.parametrize("features", [4, 40])
def test_a_row_with_count_two_equals_two_rows(features):
    rows = normal(20, features)
    counts = np.arange(20) % 3
    one, other = moments(rows, counts.astype(float)), moments(rows.repeat(counts, 0))
    np.testing.assert_allclose(one.mean, other.mean, atol=1e-12)
    np.testing.assert_allclose(
        one.root.T @ one.root, other.root.T @ other.root, atol=1e-12
    )


def test_normal_distributions_with_diagonal_covariance_have_a_closed_form():
    deviations, others = np.array([1.0, 2.0, 0.5]), np.array([3.0, 2.0, 0.1])
    shift = np.array([0.5, -1.0, 2.0])
    one = exactly_normal(normal(40, 3), 0 * shift, np.diag(deviations**2))
    other = exactly_normal(normal(30, 3, seed=1), shift, np.diag(others**2))
    expected = np.square(shift).sum() + np.square(deviations - others).sum()
    assert distance(one, other) == pytest.approx(expected)


# With fewer rows than features the root of scipy is less precise.
@pytest.mark.parametrize(("number", "precision"), [(40, 1e-5), (10, 1e-3)])
def test_the_frechet_distance_is_the_published_formula(number, precision):
    rows = normal(number, 12) @ normal(12, 12, seed=1)
    others = normal(number + 3, 12, seed=2, scale=2, shift=0.3)
    assert distance(rows, others) == pytest.approx(by_scipy(rows, others), precision)
    assert distance(others, rows) == pytest.approx(distance(rows, others))
    assert distance(rows, rows[::-1]) == pytest.approx(0, abs=1e-9)


def test_resampled_frechet_distances_are_larger_and_vary_as_new_sets_do():
    rows, others = normal(400, 8), normal(400, 8, seed=1, shift=0.5)
    resampled = resampled_frechet(rows, others, seed=0)
    assert resampled.mean() > distance(rows, others)
    again = [
        distance(normal(400, 8, 2 * s + 10), normal(400, 8, 2 * s + 11, shift=0.5))
        for s in range(40)
    ]
    assert np.std(resampled) == pytest.approx(np.std(again), rel=0.5)
    np.testing.assert_array_equal(resampled, resampled_frechet(rows, others, seed=0))


def by_scikit_learn(rows, others):
    """The unbiased estimate with kernels of another library."""
    kernel = {"degree": 3, "coef0": 1}
    within = []
    for some in (rows, others):
        k = polynomial_kernel(some, **kernel)
        n = len(some)
        within.append((k.sum() - np.trace(k)) / (n * (n - 1)))
    return sum(within) - 2 * polynomial_kernel(rows, others, **kernel).mean()


@pytest.mark.parametrize("block", [3, 512])
def test_the_kernel_distance_is_the_published_estimate(monkeypatch, block):
    monkeypatch.setattr(feature_distances, "_BLOCK", block)
    rows, others = normal(20, 6), normal(13, 6, seed=1, shift=0.7)
    expected = by_scikit_learn(rows, others)
    assert kernel_distance(rows, others) == pytest.approx(expected)
    assert kernel_distance(others, rows[::-1]) == pytest.approx(expected)


@pytest.mark.filterwarnings("error")
def test_a_row_that_is_resampled_twice_is_not_compared_with_itself():
    rows, others = normal(60, 6), normal(60, 6, seed=1)
    resampled = resampled_kernel(rows, others, seed=0)
    # If copies were compared, all distances would be far larger.
    assert resampled.min() < kernel_distance(rows, others) < resampled.max()
    # A resample may consist of a single row, which has no other row.
    few = resampled_kernel(rows[:3], others[:2], seed=0)
    assert np.isnan(few).any() and not np.isinf(few).any()
