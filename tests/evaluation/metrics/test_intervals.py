import numpy as np

from tfvqgen.evaluation.metrics.intervals import bootstrap_interval, normal_interval


def draws(number, seed=0):
    return np.random.default_rng(seed).normal(3, 2, size=number)


def test_the_interval_of_a_mean_is_that_of_its_normal_law():
    rows = draws(400)
    low, high = bootstrap_interval(rows, seed=1)
    half = 1.96 * rows.std() / np.sqrt(400)
    np.testing.assert_allclose([low, high], rows.mean() + [-half, half], atol=0.03)


def test_it_covers_the_truth_about_as_often_as_it_says():
    intervals = [bootstrap_interval(draws(60, seed), seed=0) for seed in range(100)]
    covered = sum(low <= 3 <= high for low, high in intervals)
    # Binomial(100, .95), and a percentile interval is slightly too narrow at n = 60.
    assert 86 <= covered <= 99


def test_a_ratio_of_sums_is_resampled_as_a_ratio():
    denominators = draws(50) ** 2 + 1
    rows = np.stack([0.3 * denominators, denominators], axis=1)
    interval = bootstrap_interval(rows, lambda means: means[0] / means[1], seed=0)
    np.testing.assert_allclose(interval, [0.3, 0.3])


def test_figures_keep_their_shape_and_each_its_own_interval():
    rows = np.stack([draws(50), draws(50) + 10], axis=1)[:, None]
    interval = bootstrap_interval(rows, seed=0)
    assert interval.shape == (2, 1, 2)
    np.testing.assert_allclose(interval[:, 0, 1] - interval[:, 0, 0], 10)


def test_the_same_seed_gives_the_same_interval():
    one, again, other = (bootstrap_interval(draws(30), seed=s) for s in (5, 5, 6))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_nothing_is_said_of_fewer_than_two_crops():
    for rows in (np.zeros((1, 2)), np.zeros((0, 2))):
        assert np.isnan(bootstrap_interval(rows, seed=0)).all()
        assert bootstrap_interval(rows, seed=0).shape == (2, 2)


def test_an_interval_by_spread_is_around_the_figure_and_not_below_its_least():
    resampled = 7 + draws(4000, seed=1)
    low, high = normal_interval(5, resampled)
    np.testing.assert_allclose([low, high], [5 - 1.96 * 2, 5 + 1.96 * 2], atol=0.15)
    low, _ = normal_interval(1, resampled, least=0)
    assert low == 0
