import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.generators import NoiseSource
from tfvqgen.evaluation import cells as module
from tfvqgen.evaluation.cells import (
    crops_in_turn,
    examples_of_kinds,
    keep_best,
    kind_names,
    kinds,
    matching_crops,
    rows_to_sample,
    sample_cells,
)
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.evaluation.settings import EvaluationSettings

LABELS = arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(0, 4)))


@settings(deadline=None, max_examples=30)
@given(LABELS, st.integers(0, 9))
def test_each_crop_is_chosen_once_before_any_is_chosen_again(labels, seed):
    turns = crops_in_turn(labels, 2 * len(labels), seed)
    for part in (turns[: len(labels)], turns[len(labels) :]):
        assert sorted(part) == list(range(len(labels)))


def test_few_crops_have_every_kind_about_equally_often():
    labels = np.zeros((100, 4), bool)
    labels[:80, 0] = labels[80:90, 1] = labels[90:97, 2] = True
    # The label 3 has no crop, and the last three crops have no label.
    turns = crops_in_turn(labels, 12, seed=1)
    np.testing.assert_array_equal(kinds(labels[turns]).sum(axis=0), [3, 3, 3, 0, 3])
    np.testing.assert_array_equal(turns, crops_in_turn(labels, 12, seed=1))
    assert (turns != crops_in_turn(labels, 12, seed=2)).any()


def test_examples_of_a_kind_have_few_other_labels():
    labels = np.array([[1, 1, 1], [1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]])
    assert examples_of_kinds(labels, 3) == {0: [1, 4, 2], 1: [2, 0], 2: [0], 3: [3]}
    assert kind_names(["Nuclei"]) == ["Nuclei", "any"]
    assert kind_names(["Nuclei", "any"]) == ["Nuclei", "any", "no label"]


@settings(deadline=None, max_examples=30)
@given(LABELS, st.integers(0, 9))
def test_matching_crops_are_different_and_have_the_requested_labels(labels, seed):
    requested = np.random.default_rng(seed).permutation(labels)[: 1 + len(labels) // 2]
    chosen = matching_crops(labels, requested, seed)
    assert len(set(chosen)) == len(requested)
    np.testing.assert_array_equal(labels[chosen], requested)


def label_rows(numbers):
    """Returns sets of labels [N, 2] by number: 0 is none, 3 is both."""
    return np.array([[n & 1, n >> 1] for n in numbers]).reshape(-1, 2)


def test_the_most_likely_cells_of_each_set_of_labels_are_kept():
    labels = label_rows([1, 1, 1, 1, 2, 2])
    probabilities = np.array(
        [[0.2, 1], [0.9, 0], [0.5, 0], [0.6, 1], [1, 0.4], [0, 0.3]]
    )
    assert keep_best(probabilities, labels, 0.5).tolist() == [1, 3, 4]
    # Of several labels the least likely one counts.
    probabilities = np.array([[0.9, 0.1], [0.4, 0.5], [0.3, 1.0]])
    assert keep_best(probabilities, label_rows([3, 3, 3]), 0.34).tolist() == [1]
    # Of cells without labels the first are kept, and at least one cell of each set.
    assert keep_best(probabilities, label_rows([0] * 3), 0.7).tolist() == [0, 1]
    assert keep_best(probabilities, label_rows([1, 2, 2]), 0.1).tolist() == [0, 2]


@given(
    st.lists(st.integers(0, 3), max_size=40),
    st.sampled_from([0.01, 0.1, 0.25, 0.3, 0.5, 0.7, 1.0]),
)
def test_the_kept_cells_have_the_requested_labels(requested, share):
    labels = label_rows(requested)
    rows = rows_to_sample(labels, share)
    if share == 1:
        assert rows.tolist() == list(range(len(labels)))
    sampled = labels[rows]
    probabilities = np.random.default_rng(0).random(sampled.shape)
    kept = sampled[keep_best(probabilities, sampled, share)]
    assert sorted(map(tuple, kept)) == sorted(map(tuple, labels))
    assert len(sampled) >= len(labels) / share * (1 - 1e-9)


class BrightCells:
    """A classifier that finds any label likely where the green channel is bright."""

    def predict(self, images):
        green = images.read()[..., 1]
        return np.repeat(green.mean(axis=(1, 2))[:, None] / 255, 3, axis=1)


def sample(folder, labels, **changes):
    settings = EvaluationSettings(workdir="w", data_dir="d", seed=7, **changes)
    return sample_cells(NoiseSource(), None, settings, labels, folder)


def test_rejection_keeps_the_best_of_twice_as_many_in_the_order_of_the_labels(
    tmp_path, monkeypatch
):
    classifier = BrightCells()
    monkeypatch.setattr(module, "evaluation_classifier", lambda *_, **__: classifier)
    labels = np.eye(3)[np.random.default_rng(0).integers(3, size=30)]
    cells = sample(tmp_path, labels, keep_best=0.5)
    np.testing.assert_array_equal(cells.images.labels, labels > 0)
    everything = ImageSet.of_split(cells.images.split)
    assert len(everything) == 60
    likely = classifier.predict(everything)[:, 0]
    kept = np.isin(everything.numbers, cells.images.numbers)
    for label in range(3):
        own = everything.labels[:, label]
        assert likely[own & kept].min() >= likely[own & ~kept].max()
    # Each cell keeps the seed that it was sampled with.
    np.testing.assert_array_equal(cells.seeds, 7 + cells.images.numbers)
