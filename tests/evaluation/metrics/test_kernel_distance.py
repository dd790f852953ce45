import numpy as np
import pytest
from sklearn.metrics.pairwise import polynomial_kernel

from tfvqgen.evaluation.metrics import kernel_distance as module
from tfvqgen.evaluation.metrics.kernel_distance import (
    kernel_distance,
    resampled_distances,
    subset_distances,
)


def draws(number, seed=0, shift=0.0, features=6):
    return np.random.default_rng(seed).normal(shift, 1, (number, features))


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
def test_it_is_the_published_estimate_however_many_blocks(monkeypatch, block):
    monkeypatch.setattr(module, "_BLOCK", block)
    rows, others = draws(20), draws(13, seed=1, shift=0.7)
    expected = by_scikit_learn(rows, others)
    assert kernel_distance(rows, others) == pytest.approx(expected)
    assert kernel_distance(others, rows) == pytest.approx(expected)
    assert kernel_distance(rows[::-1], others[::-1]) == pytest.approx(expected)


def test_single_precision_features_lose_nothing_in_the_sums():
    rows, others = (x.astype(np.float32) * 10 for x in (draws(300), draws(300, 1)))
    expected = by_scikit_learn(rows.astype(np.float64), others.astype(np.float64))
    assert kernel_distance(rows, others) == pytest.approx(expected)


def test_it_has_no_bias_with_few_rows():
    found = [kernel_distance(draws(8, 2 * s), draws(8, 2 * s + 1)) for s in range(500)]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 3 * error
    assert min(found) < 0


def test_a_row_that_is_drawn_twice_is_not_its_own_neighbour():
    rows, others = draws(60), draws(60, seed=1)
    drawn = resampled_distances(rows, others, seed=0)
    # With copies compared, all drawings would lie far above.
    assert drawn.min() < kernel_distance(rows, others) < drawn.max()


def test_drawings_vary_as_new_sets_do():
    drawn = resampled_distances(draws(200), draws(200, 1, shift=0.5), seed=0)
    seeds = range(10, 110, 2)
    again = [kernel_distance(draws(200, s), draws(200, s + 1, 0.5)) for s in seeds]
    assert np.std(drawn) == pytest.approx(np.std(again), rel=0.4)


def test_subsets_are_without_repetition_and_their_mean_is_the_distance(monkeypatch):
    rows, others = draws(80), draws(80, seed=1, shift=0.5)
    whole = subset_distances(rows, others, seed=0)
    np.testing.assert_allclose(whole, kernel_distance(rows, others))
    monkeypatch.setattr(module, "SUBSET_SIZE", 40)
    parts = subset_distances(rows, others, seed=0)
    error = parts.std() / np.sqrt(len(parts))
    assert abs(parts.mean() - kernel_distance(rows, others)) < 4 * error


@pytest.mark.filterwarnings("error")
def test_a_drawing_of_one_row_alone_is_no_number_and_no_warning():
    drawn = resampled_distances(draws(3), draws(2, seed=1), seed=0)
    assert np.isnan(drawn).any() and not np.isinf(drawn).any()
