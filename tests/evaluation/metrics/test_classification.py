import numpy as np
import pytest
from sklearn.metrics import average_precision_score
from sklearn.metrics import confusion_matrix as published_confusion_matrix

from tfvqgen.evaluation.metrics.classification import (
    average_precision,
    confusion_matrix,
    is_right,
    top_label,
)


def cells(number=60, labels=5, seed=0, decimals=1):
    """Returns scores with many ties, and sets of labels of which some are empty."""
    rng = np.random.default_rng(seed)
    scores = rng.random((number, labels)).round(decimals)
    return scores, rng.random((number, labels)) < 0.3


def test_the_highest_label_is_the_first_of_equal_ones():
    assert top_label(np.array([[0.1, 0.7, 0.7], [3, -1, 2]])).tolist() == [1, 0]


def test_a_cell_is_right_if_its_highest_label_is_any_of_its_own():
    scores = np.array([[0.9, 0.1, 0.2]] * 3)
    labels = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 0]])
    assert is_right(scores, labels).tolist() == [True, False, False]


def test_with_one_label_a_cell_confusions_are_the_published_ones():
    scores, _ = cells()
    truth = np.random.default_rng(1).integers(5, size=len(scores))
    found = confusion_matrix(scores, np.eye(5)[truth])
    expected = published_confusion_matrix(truth, scores.argmax(1), labels=range(5))
    np.testing.assert_array_equal(found, expected)


def test_a_cell_of_several_labels_counts_as_one_confusion():
    labels = np.array([[1, 1, 0]])
    right = confusion_matrix(np.array([[0, 2, 1]]), labels)
    assert right.tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    wrong = confusion_matrix(np.array([[0, 1, 2]]), labels)
    assert wrong.tolist() == [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]


def test_the_diagonal_of_confusions_counts_the_right_cells():
    scores, labels = cells()
    matrix = confusion_matrix(scores, labels)
    assert np.trace(matrix) == is_right(scores, labels).sum()
    assert matrix.sum() == pytest.approx(labels.any(axis=1).sum())


def test_average_precision_is_the_published_one_with_many_ties():
    scores, labels = cells()
    expected = [average_precision_score(labels[:, k], scores[:, k]) for k in range(5)]
    np.testing.assert_allclose(average_precision(scores, labels), expected)


def test_average_precision_does_not_depend_on_the_cells_order():
    scores, labels = cells()
    order = np.random.default_rng(2).permutation(len(scores))
    np.testing.assert_allclose(
        average_precision(scores[order], labels[order]),
        average_precision(scores, labels),
    )


def test_a_weight_counts_a_cell_as_often_as_repeating_it():
    scores, labels = cells()
    weights = np.random.default_rng(3).integers(0, 4, size=len(scores))
    np.testing.assert_allclose(
        average_precision(scores, labels, weights),
        average_precision(scores.repeat(weights, 0), labels.repeat(weights, 0)),
    )


def test_a_label_that_no_cell_has_has_no_average_precision():
    scores, labels = cells()
    labels[:, 2] = False
    assert np.isnan(average_precision(scores, labels)).tolist() == [
        False,
        False,
        True,
        False,
        False,
    ]


def test_scores_that_know_nothing_have_the_precision_of_chance():
    labels = np.arange(20)[:, None] < 5
    assert average_precision(np.ones((20, 1)), labels).tolist() == [0.25]
