import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfvqgen.evaluation.comparison import (
    distances_section,
    halves,
    memorisation_section,
)
from tfvqgen.evaluation.metrics.feature_distances import (
    frechet_distance,
    kernel_distance,
    moments,
)


class Extractor:
    name, size = "inception", 8


def normal(number, seed, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (number, 8)).astype(np.float32)


def test_each_set_is_compared_with_the_held_out_crops():
    held_out, near, far = normal(80, 0), normal(80, 1), normal(80, 2, shift=1.5)
    sets = {"generated": far, "real": near}
    found = distances_section(Extractor(), held_out, sets, seed=0)
    assert found["frechet_name"] == "FID"
    assert (found["n"], found["features"]) == (80, 8)
    for name, rows in sets.items():
        one = found["sets"][name]
        expected = frechet_distance(moments(held_out), moments(rows))
        assert one["frechet"]["value"] == pytest.approx(expected)
        assert one["kernel"]["value"] == pytest.approx(kernel_distance(held_out, rows))
        for metric in (one["frechet"], one["kernel"], one["coverage"], one["density"]):
            low, high = metric["interval"]
            assert low <= metric["value"] <= high
    near, far = found["sets"]["real"], found["sets"]["generated"]
    assert near["frechet"]["interval"][1] < far["frechet"]["interval"][0]
    assert near["coverage"]["value"] > 0.9 > far["coverage"]["value"]


@given(st.lists(st.integers(0, 8), min_size=1, max_size=40).map(np.array))
def test_halves_share_no_group_and_contain_every_crop(groups):
    first, second = halves(groups, seed=0)
    assert not set(groups[first]) & set(groups[second])
    assert sorted([*first, *second]) == list(range(len(groups)))
    assert len(first) and (len(second) or len(set(groups)) == 1)


def section(generated, training):
    groups = np.arange(300) // 5
    return memorisation_section(generated, training, normal(300, 9), groups, seed=0)


def test_copies_of_training_crops_are_nearer_than_real_cells():
    training = normal(600, 1)
    found, _ = section(normal(200, 2), training)
    assert found["ratio"]["generated"]["value"] > found["ratio"]["real"]["interval"][0]
    assert found["suspiciously_near"]["value"] < 3 * found["expected_suspiciously_near"]
    found, _ = section(training[:200] + 0.2 * normal(200, 3), training)
    assert found["ratio"]["generated"]["value"] < found["ratio"]["real"]["interval"][0]
    assert found["suspiciously_near"]["value"] > 0.9
    assert found["n_held_out"] == found["n_unseen"] == 150


def test_the_nearest_held_out_crop_has_its_index_among_all_held_out_crops():
    _, found = section(normal(300, 9)[:20], normal(300, 1))
    reference, _ = halves(np.arange(300) // 5, seed=0)
    copies = np.intersect1d(np.arange(20), reference)
    assert len(copies)
    np.testing.assert_array_equal(found.held_out[copies], copies)


def test_with_a_single_group_there_are_no_unseen_real_cells():
    groups = np.zeros(50, int)
    sets = (normal(20, 0), normal(80, 1), normal(50, 2))
    found, _ = memorisation_section(*sets, groups, seed=0)
    assert found["ratio"]["real"] is None and found["suspiciously_near"] is None
    assert found["ratio"]["generated"]["value"] == pytest.approx(1, abs=0.2)
