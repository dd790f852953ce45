import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfvqgen.evaluation.sections.memorisation import halves, memorisation_section

GROUPS = st.lists(st.integers(0, 8), min_size=1, max_size=40).map(np.array)


@given(GROUPS, st.integers(0, 9))
def test_halves_share_no_group_and_hold_every_crop(groups, seed):
    first, second = halves(groups, seed)
    assert not set(groups[first]) & set(groups[second])
    assert sorted([*first, *second]) == list(range(len(groups)))
    assert len(first) and (len(second) or len(set(groups)) == 1)


def test_halves_of_many_groups_are_about_as_large():
    first, second = halves(np.arange(600) // 6, seed=0)
    assert len(first) == len(second) == 300


def draws(number, seed):
    return np.random.default_rng(seed).normal(size=(number, 8))


def section(generated, training, number=300):
    groups = np.arange(number) // 5
    held_out = draws(number, 9)
    return memorisation_section(generated, training, held_out, groups, seed=0)


def test_new_samples_are_as_near_as_real_ones_and_copies_are_nearer():
    training = draws(600, 1)
    found = section(draws(200, 2), training).section
    low, high = found["ratio"]["real"]["interval"]
    assert low < found["ratio"]["generated"]["value"] < high
    low, high = found["suspiciously_near"]["interval"]
    assert low <= found["expected_suspiciously_near"] <= high

    copies = training[:200] + 0.2 * draws(200, 3)
    found = section(copies, training).section
    assert found["ratio"]["generated"]["value"] < found["ratio"]["real"]["interval"][0]
    assert found["suspiciously_near"]["value"] > 0.9
    assert found["n_training"] == 600
    assert found["n_held_out"] == found["n_unseen"] == 150


def test_the_nearest_held_out_crop_is_named_by_its_place_among_all():
    queries = draws(300, 9)[:20]
    found = section(queries, draws(300, 1))
    beside, _ = halves(np.arange(300) // 5, seed=0)
    there = np.isin(np.arange(20), beside)
    assert there.any()
    np.testing.assert_array_equal(
        found.generated.held_out[there], np.flatnonzero(there)
    )


def test_with_one_group_nothing_is_said_of_real_cells():
    groups = np.zeros(50, int)
    found = memorisation_section(
        draws(20, 0), draws(80, 1), draws(50, 2), groups, seed=0
    ).section
    assert found["ratio"]["real"] is None and found["suspiciously_near"] is None
    assert found["ratio"]["generated"]["value"] == pytest.approx(1, abs=0.2)
