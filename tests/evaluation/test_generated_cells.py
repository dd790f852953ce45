import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.generators import make_generator
from tfvqgen.evaluation.generated_cells import (
    channel_means,
    crops_in_turn,
    draw_cells,
    examples_of_kinds,
    in_the_order_of,
    kind_names,
    kinds,
    matching_crops,
)
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.generation.request import SamplingParameters

LABELS = arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(0, 4)))


@settings(deadline=None, max_examples=50)
@given(LABELS, st.integers(0, 9))
def test_as_many_as_there_are_is_each_crop_once(labels, seed):
    turns = crops_in_turn(labels, 2 * len(labels), seed)
    for part in (turns[: len(labels)], turns[len(labels) :]):
        assert sorted(part) == list(range(len(labels)))


def test_few_have_every_kind_alike_however_rare_it_is():
    labels = np.zeros((100, 4), bool)
    labels[:80, 0] = labels[80:90, 1] = labels[90:97, 2] = True
    # The label 3 has no crop, and the last three crops have no label.
    turns = crops_in_turn(labels, 12, seed=1)
    np.testing.assert_array_equal(kinds(labels[turns]).sum(axis=0), [3, 3, 3, 0, 3])


def test_no_kind_has_the_name_of_another():
    assert kind_names(["Nuclei"]) == ["Nuclei", "any"]
    assert kind_names(["Nuclei", "any"]) == ["Nuclei", "any", "no label"]


def test_the_order_is_the_seeds():
    labels = np.eye(3, dtype=bool)[np.arange(30) % 3]
    one, again, other = (crops_in_turn(labels, 9, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_a_kind_is_shown_by_cells_with_few_other_labels():
    labels = np.array([[1, 1, 1], [1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]])
    assert examples_of_kinds(labels, 3) == {0: [1, 4, 2], 1: [2, 0], 2: [0], 3: [3]}


class Chooser:
    """Finds a label likely where the green channel is bright."""

    def recognise(self, images):
        green = np.concatenate(list(images.batches("seen")))[..., 1]
        return np.repeat(green.mean(axis=(1, 2))[:, None] / 255, 3, axis=1)


def drawn(folder, labels, keep_best=1.0, chooser=None):
    return draw_cells(
        make_generator(),
        labels,
        seed=7,
        drawing=SamplingParameters(),
        keep_best=keep_best,
        chooser=chooser,
        folder=folder,
    )


def test_cells_are_drawn_with_a_seed_each(tmp_path):
    labels = np.eye(3)[np.arange(35) % 3]
    cells = drawn(tmp_path, labels)
    np.testing.assert_array_equal(cells.seeds, np.arange(7, 42))
    np.testing.assert_array_equal(cells.images.labels, labels > 0)
    images = np.concatenate(list(cells.images.batches("images")))
    expected = images.mean(axis=(1, 2)) / 255
    np.testing.assert_allclose(channel_means(cells.images, "means"), expected)


def test_rejection_keeps_the_best_of_twice_as_many_in_the_order_of_the_labels(tmp_path):
    labels = np.eye(3)[np.random.default_rng(0).integers(3, size=30)]
    cells = drawn(tmp_path, labels, 0.5, Chooser())
    np.testing.assert_array_equal(cells.images.labels, labels > 0)
    everything = ImageSet.of_split(cells.images.split)
    assert len(everything) == 60
    likely = Chooser().recognise(everything)[:, 0]
    kept = np.isin(everything.numbers, cells.images.numbers)
    for label in range(3):
        asked = everything.labels[:, label]
        assert likely[asked & kept].min() >= likely[asked & ~kept].max()
    # A cell's seed is that which it was drawn with.
    np.testing.assert_array_equal(cells.seeds, 7 + cells.images.numbers)


@settings(deadline=None, max_examples=50)
@given(LABELS, st.integers(0, 9))
def test_labels_are_put_in_the_order_that_they_were_wanted_in(wanted, seed):
    found = np.random.default_rng(seed).permutation(wanted)
    order = in_the_order_of(wanted, found)
    np.testing.assert_array_equal(found[order], wanted)
    assert sorted(order) == list(range(len(wanted)))


@settings(deadline=None, max_examples=50)
@given(LABELS, st.integers(0, 9))
def test_matching_crops_are_different_and_match_as_far_as_they_can(labels, seed):
    wanted = np.random.default_rng(seed).permutation(labels)[: 1 + len(labels) // 2]
    chosen = matching_crops(labels, wanted, seed)
    assert len(set(chosen)) == len(wanted)
    np.testing.assert_array_equal(labels[chosen], wanted)


def test_where_no_crop_matches_another_is_taken_and_there_may_be_too_few():
    labels = np.array([[1, 0], [0, 1]], bool)
    chosen = matching_crops(labels, np.array([[1, 0]] * 4, bool), seed=0)
    assert sorted(chosen) == [0, 1] and chosen[0] == 0
