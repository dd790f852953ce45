import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from tfvqgen.evaluation.metrics.memorisation import nearness, share_below


def draws(number, seed, features=8):
    return np.random.default_rng(seed).normal(size=(number, features))


def near(queries, training, held_out):
    return nearness(queries, training, held_out, seed=0)


def test_samples_of_the_same_law_are_as_near_to_both():
    found = near(draws(400, 0), draws(1200, 1), draws(400, 2))
    assert found.ratio.mean() == pytest.approx(1.02, abs=0.04)


@pytest.mark.parametrize("training", [500, 2000])
def test_more_training_rows_do_not_look_like_memory(training):
    ratio = near(draws(300, 0), draws(training, 1), draws(500, 2)).ratio.mean()
    assert ratio == pytest.approx(1.02, abs=0.04)


def test_copies_of_training_rows_are_found_wherever_they_stand():
    training = draws(900, 1)
    queries = np.concatenate([draws(90, 0), training[[7, 444, 899]]])
    found = near(queries, training, draws(300, 2))
    np.testing.assert_array_equal(found.overall[-3:], 0)
    np.testing.assert_array_equal(found.training[-3:], [7, 444, 899])
    assert (found.overall[:-3] > 0.1).all()


def test_slightly_changed_copies_lower_the_ratio():
    training = draws(300, 1)
    copies = training[:150] + 0.3 * draws(150, 5)
    assert near(copies, training, draws(300, 2)).ratio.mean() < 0.6


def test_the_nearest_are_those_of_scikit_learn():
    queries, training, held_out = draws(50, 0), draws(170, 1), draws(60, 2)
    found = near(queries, training, held_out)
    for rows, which in ((training, found.training), (held_out, found.held_out)):
        search = NearestNeighbors(n_neighbors=1).fit(rows)
        expected = search.kneighbors(queries, return_distance=False)[:, 0]
        np.testing.assert_array_equal(which, expected)


def test_more_held_out_rows_than_training_rows_are_made_as_many():
    found = near(draws(200, 0), draws(100, 1), draws(800, 2))
    assert found.ratio.mean() == pytest.approx(1.02, abs=0.06)


def test_copies_on_both_sides_are_no_memory_and_nothing_is_infinite():
    both = draws(30, 0)
    found = near(both, both, both)
    np.testing.assert_array_equal(found.ratio, 1)
    assert np.isfinite(near(both, draws(30, 1), both).ratio).all()


def test_the_share_below_what_is_usual_is_that_share_for_one_law():
    rng = np.random.default_rng(0)
    found = share_below(rng.random(4000), rng.random(4000), 0.05)
    assert found.mean() == pytest.approx(0.05, abs=0.015)
    assert share_below(np.zeros(3), rng.random(50), 0.05).mean() == 1
