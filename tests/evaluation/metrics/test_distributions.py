import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from tfvqgen.evaluation.metrics.distributions import (
    kolmogorov_smirnov,
    resampled,
    wasserstein,
)

# Whole numbers too, so that values are equal to others.
VALUES = st.lists(
    st.one_of(st.integers(-3, 3), st.floats(-100, 100)), min_size=1, max_size=20
).map(lambda values: np.array(values, float))


@given(VALUES, VALUES)
def test_wasserstein_is_scipys(values, others):
    expected = scipy.stats.wasserstein_distance(values, others)
    assert wasserstein(values, others) == pytest.approx(expected, abs=1e-9)


@given(VALUES, VALUES)
def test_kolmogorov_smirnov_is_scipys(values, others):
    expected = scipy.stats.ks_2samp(values, others, method="asymp").statistic
    assert kolmogorov_smirnov(values, others) == pytest.approx(expected, abs=1e-12)


@given(VALUES, st.floats(-50, 50))
def test_a_shift_is_how_far_values_move(values, shift):
    assert wasserstein(values, values + shift) == pytest.approx(abs(shift), abs=1e-9)


def test_sets_without_overlap_are_as_different_as_can_be():
    assert kolmogorov_smirnov(np.arange(5), np.arange(5) + 10.0) == 1


def test_sets_of_different_size_may_have_one_distribution():
    values = np.arange(4.0)
    assert wasserstein(values, values.repeat(3)) == pytest.approx(0, abs=1e-12)
    assert kolmogorov_smirnov(values, values.repeat(3)) == pytest.approx(0, abs=1e-12)


def test_drawings_vary_as_new_sets_do():
    rng = np.random.default_rng(0)
    drawn = resampled(
        wasserstein, rng.normal(size=200), 1 + rng.normal(size=200), seed=0
    )
    again = [
        wasserstein(rng.normal(size=200), 1 + rng.normal(size=200)) for _ in range(100)
    ]
    assert np.std(drawn) == pytest.approx(np.std(again), rel=0.4)
