import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfvqgen.errors import UserError
from tfvqgen.evaluation.classifier.selection import cells_to_draw, keep_best

SHARES = st.sampled_from([0.01, 0.1, 0.25, 0.3, 0.5, 0.7, 1.0])


def label_rows(numbers):
    """Returns sets of labels [N, 2] by number: 0 is none, 3 is both."""
    return np.array([[n & 1, n >> 1] for n in numbers]).reshape(-1, 2)


def test_of_each_set_of_labels_the_most_likely_cells_are_kept():
    labels = label_rows([1, 1, 1, 1, 2, 2])
    probabilities = np.array(
        [[0.2, 1], [0.9, 0], [0.5, 0], [0.6, 1], [1, 0.4], [0, 0.3]]
    )
    assert keep_best(probabilities, labels, 0.5).tolist() == [1, 3, 4]


def test_a_cell_of_two_labels_is_as_good_as_the_less_likely_one():
    probabilities = np.array([[0.9, 0.1], [0.4, 0.5], [0.3, 1.0]])
    assert keep_best(probabilities, label_rows([3, 3, 3]), 0.34).tolist() == [1]


def test_cells_of_no_particular_label_are_not_chosen_between():
    probabilities = np.array([[0.1, 0], [0.9, 0.9], [1, 1], [0.5, 1]])
    assert keep_best(probabilities, label_rows([0] * 4), 0.5).tolist() == [0, 1]


def test_a_set_of_labels_that_was_asked_for_once_keeps_its_cell():
    assert keep_best(np.zeros((3, 2)), label_rows([1, 2, 2]), 0.1).tolist() == [0, 1]


@given(st.lists(st.integers(0, 3), max_size=40), SHARES, st.integers(0, 9))
def test_what_is_kept_of_the_drawn_cells_has_the_wanted_labels(wanted, share, seed):
    labels = label_rows(wanted)
    drawn = labels[cells_to_draw(labels, share)]
    probabilities = np.random.default_rng(seed).random(drawn.shape)
    kept = drawn[keep_best(probabilities, drawn, share)]
    assert sorted(map(tuple, kept)) == sorted(map(tuple, labels))
    assert len(drawn) >= len(labels) / share * (1 - 1e-9)


def test_without_rejection_each_wanted_cell_is_drawn_once_in_order():
    labels = label_rows([3, 0, 1, 1, 2])
    assert cells_to_draw(labels, 1.0).tolist() == [0, 1, 2, 3, 4]
    kept = keep_best(np.random.default_rng(0).random((5, 2)), labels, 1.0)
    assert kept.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("share", [0.0, -0.5, 1.01, float("nan")])
def test_a_share_out_of_range_is_refused(share):
    for choose in (
        lambda: keep_best(np.zeros((1, 2)), label_rows([1]), share),
        lambda: cells_to_draw(label_rows([1]), share),
    ):
        with pytest.raises(UserError, match="above 0, at most 1"):
            choose()
