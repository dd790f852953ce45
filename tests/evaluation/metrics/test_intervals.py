import numpy as np

from tfvqgen.evaluation.metrics.intervals import (
    bootstrap_interval,
    distance_metric,
    metric,
)


def normal(number, seed=0):
    return np.random.default_rng(seed).normal(3, 2, size=number)


def test_the_interval_of_a_mean_is_that_of_its_normal_distribution():
    rows = normal(400)
    low, high = bootstrap_interval(rows, seed=1)
    half = 1.96 * rows.std() / np.sqrt(400)
    np.testing.assert_allclose([low, high], rows.mean() + [-half, half], atol=0.03)
    np.testing.assert_array_equal(bootstrap_interval(rows, seed=1), [low, high])
    assert (bootstrap_interval(rows, seed=2) != [low, high]).any()


def test_statistics_of_several_means_are_resampled_together():
    denominators = normal(50) ** 2 + 1
    rows = np.stack([0.3 * denominators, denominators], axis=1)
    found = metric(rows, 0, lambda means: means[0] / means[1])
    np.testing.assert_allclose([found["value"], *found["interval"]], 0.3)


def test_the_interval_of_a_distance_is_around_its_value_and_within_its_limits():
    resampled = 7 + normal(4000, seed=1)
    low, high = distance_metric(5, resampled)["interval"]
    np.testing.assert_allclose([low, high], [5 - 1.96 * 2, 5 + 1.96 * 2], atol=0.15)
    assert distance_metric(1, resampled, least=0)["interval"][0] == 0
