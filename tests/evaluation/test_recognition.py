import json
import math

import numpy as np
import pytest
import sklearn.metrics

from tests.evaluation.drawn_cells import SPLITS, draw, make_dataset
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.evaluation.recognition import (
    accuracy_ratio,
    average_precision,
    classification_score,
    confusion_matrix,
    is_right,
    recognition,
)
from tfvqgen.training.metrics_log import read_metrics
from tfvqgen.training.stages.classifier import ClassifierConfig

NAMES = ("a", "b", "c")


def cells(number=200, seed=0):
    """Returns probabilities that know something, and one label a cell, "a" rare."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, size=number, p=[0.1, 0.3, 0.6])
    return rng.random((number, 3)) + 0.4 * np.eye(3)[truth], truth


def test_a_cell_is_right_if_its_most_likely_label_is_one_of_its_own():
    scores = np.array([[0.9, 0.1, 0.2]] * 3)
    labels = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 0]])
    assert is_right(scores, labels).tolist() == [True, False, False]


def test_a_cell_with_several_labels_counts_once_in_the_confusion_matrix():
    labels = np.array([[1, 1, 0]])
    right = confusion_matrix(np.array([[0, 2, 1]]), labels)
    assert right.tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    wrong = confusion_matrix(np.array([[0, 1, 2]]), labels)
    assert wrong.tolist() == [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]


def test_average_precision_has_weights_and_is_nan_without_cells():
    scores, truth = cells()
    labels = np.eye(4)[truth]
    scores = np.pad(scores.round(1), ((0, 0), (0, 1)))
    weights = np.arange(len(scores)) % 3
    found = average_precision(scores, labels, weights)
    repeated = average_precision(scores.repeat(weights, 0), labels.repeat(weights, 0))
    np.testing.assert_allclose(found, repeated)
    assert np.isnan(found).tolist() == [False, False, False, True]


def test_metrics_are_those_of_scikit_learn_for_one_label_a_cell():
    probabilities, truth = cells()
    found = recognition(probabilities, np.eye(3)[truth], NAMES, seed=0)
    top = probabilities.argmax(1)
    assert found["n"] == 200
    assert found["accuracy"]["value"] == pytest.approx(np.mean(top == truth))
    expected = sklearn.metrics.balanced_accuracy_score(truth, top)
    assert found["balanced_accuracy"]["value"] == pytest.approx(expected)
    expected = sklearn.metrics.confusion_matrix(truth, top)
    np.testing.assert_array_equal(found["confusion"], expected)
    shares = [found["by_label"][name]["recognised"]["value"] for name in NAMES]
    np.testing.assert_allclose(shares, np.diag(expected) / expected.sum(axis=1))
    expected = sklearn.metrics.average_precision_score(np.eye(3)[truth], probabilities)
    assert found["mean_average_precision"]["value"] == pytest.approx(expected)


def test_intervals_have_the_width_of_the_binomial_distribution():
    probabilities, truth = cells(2000)
    found = recognition(probabilities, np.eye(3)[truth], NAMES, seed=0)
    share, (low, high) = found["accuracy"].values()
    expected = 2 * 1.96 * math.sqrt(share * (1 - share) / 2000)
    assert high - low == pytest.approx(expected, rel=0.1)
    for name in ("balanced_accuracy", "mean_average_precision"):
        low, high = found[name]["interval"]
        assert low < found[name]["value"] < high


def test_metrics_without_cells_are_null():
    for labels in (np.array([[0, 1, 0]]), np.zeros((0, 3))):
        found = recognition(np.ones(labels.shape), labels, NAMES, seed=0)
        assert found["by_label"]["c"]["average_precision"]["value"] is None
        json.dumps(found, allow_nan=False)
    assert found["n"] == 0 and found["accuracy"]["value"] is None


def test_two_accuracies_on_the_same_cells_are_resampled_together():
    rng = np.random.default_rng(0)
    before = rng.random(1000) < 0.8
    # Three quarters of the right cells stay right.
    after = before & (rng.random(1000) < 0.75)
    found = accuracy_ratio(after, before, seed=0)
    assert found["value"] == pytest.approx(after.sum() / before.sum())
    low, high = found["interval"]
    expected = 2 * 1.96 * math.sqrt(0.75 * 0.25 / before.sum())
    assert high - low == pytest.approx(expected, rel=0.15)
    none = np.zeros(5, bool)
    assert accuracy_ratio(~none, none, seed=0)["value"] is None


def test_a_classifier_learns_the_labels_of_the_cells_that_it_is_trained_on(tmp_path):
    real = make_dataset(tmp_path / "real")
    # The cells look real, but show the next label.
    wrong = make_dataset(
        tmp_path / "wrong", seed=1, draw=lambda label, rng: draw((label + 1) % 3, rng)
    )
    config = ClassifierConfig(
        steps=120, batch_size=16, width=4, learning_rate=0.01, warmup_steps=10
    )
    tested = ImageSet.of_split(real.split("test"))
    score = classification_score(
        {"real": wrong.split("train")}, tested, tmp_path / "workdir", config=config
    )
    found = score["real"]
    confusion = np.array(found["confusion"])
    assert confusion.sum() == found["n"] == SPLITS["test"]
    assert np.trace(np.roll(confusion, 1, axis=1)) > 0.75 * found["n"]
    (folder,) = (tmp_path / "workdir" / "classifiers").glob("real-*")
    logged = read_metrics(folder / "metrics.jsonl")[-1]
    assert abs(logged["accuracy"] - found["accuracy"]["value"]) < 1e-6
