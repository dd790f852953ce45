import json
import math

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from tfvqgen.evaluation.classifier.recognition import compared, recognition

NAMES = ("a", "b", "c")


def cells(number=200, seed=0):
    """Returns probabilities that know something, and one label a cell, "a" rare."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, size=number, p=[0.1, 0.3, 0.6])
    return rng.random((number, 3)) + 0.4 * np.eye(3)[truth], truth


def test_figures_are_those_that_counting_gives():
    probabilities, truth = cells()
    found = recognition(probabilities, np.eye(3)[truth], NAMES, seed=0)
    top = probabilities.argmax(1)
    assert found["n"] == 200
    assert found["accuracy"]["value"] == pytest.approx(np.mean(top == truth))
    assert found["balanced_accuracy"]["value"] == pytest.approx(
        balanced_accuracy_score(truth, top)
    )
    for index, name in enumerate(NAMES):
        of_label = found["by_label"][name]
        mine = truth == index
        assert of_label["n"] == mine.sum()
        assert of_label["recognised"]["value"] == pytest.approx(
            np.mean(top[mine] == index)
        )
    precisions = [x["average_precision"]["value"] for x in found["by_label"].values()]
    assert found["mean_average_precision"]["value"] == pytest.approx(
        np.mean(precisions)
    )


def test_intervals_are_as_wide_as_the_binomial_law_has_them():
    probabilities, truth = cells(2000)
    found = recognition(probabilities, np.eye(3)[truth], NAMES, seed=0)
    for figure, number in (
        (found["accuracy"], 2000),
        (found["by_label"]["a"]["recognised"], found["by_label"]["a"]["n"]),
    ):
        share, (low, high) = figure["value"], figure["interval"]
        expected = 2 * 1.96 * math.sqrt(share * (1 - share) / number)
        assert high - low == pytest.approx(expected, rel=0.1)
        assert low < share < high
    for name in ("balanced_accuracy", "mean_average_precision"):
        low, high = found[name]["interval"]
        assert low < found[name]["value"] < high


def test_cells_of_no_label_do_not_count():
    probabilities, truth = cells()
    labels = np.eye(3)[truth]
    more = np.concatenate([probabilities, probabilities[:50]])
    none = np.concatenate([labels, 0 * labels[:50]])
    assert recognition(more, none, NAMES, seed=3) == recognition(
        probabilities, labels, NAMES, seed=3
    )


def test_what_cannot_be_said_is_null():
    found = recognition(np.ones((1, 3)), np.array([[0, 1, 0]]), NAMES, seed=0)
    assert found["accuracy"] == {"value": 0.0, "interval": [None, None]}
    assert found["by_label"]["c"] == {
        "n": 0,
        "recognised": {"value": None, "interval": [None, None]},
        "average_precision": {"value": None},
    }
    nothing = recognition(np.zeros((0, 3)), np.zeros((0, 3)), NAMES, seed=0)
    assert nothing["n"] == 0 and nothing["accuracy"]["value"] is None
    json.dumps([found, nothing], allow_nan=False)


def test_two_shares_of_the_same_cells_are_compared_as_pairs():
    rng = np.random.default_rng(0)
    before = rng.random(1000) < 0.8
    # Three of four that were right are still: that varies less than either share does.
    after = before & (rng.random(1000) < 0.75)
    found = compared(after, before, seed=0)
    assert found["value"] == pytest.approx(after.sum() / before.sum())
    low, high = found["interval"]
    number = before.sum()
    expected = 2 * 1.96 * math.sqrt(0.75 * 0.25 / number)
    assert high - low == pytest.approx(expected, rel=0.15)
    assert compared(before, before, seed=0) == {"value": 1.0, "interval": [1.0, 1.0]}


def test_nothing_is_said_beside_a_share_of_none():
    none = np.zeros(5, bool)
    assert compared(~none, none, seed=0) == {"value": None, "interval": [None, None]}
