import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.generators import make_generator
from tfvqgen.evaluation.generated_cells import (
    crops_in_turn,
    draw_cells,
    examples_of_kinds,
    kinds,
)

LABELS = arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 4)))


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


def test_the_order_is_the_seeds():
    labels = np.eye(3, dtype=bool)[np.arange(30) % 3]
    one, again, other = (crops_in_turn(labels, 9, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_a_kind_is_shown_by_cells_with_few_other_labels():
    labels = np.array([[1, 1, 1], [1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]])
    assert examples_of_kinds(labels, 3) == {0: [1, 4, 2], 1: [2, 0], 2: [0], 3: [3]}


def test_cells_are_drawn_as_asked_and_only_the_pictured_are_kept():
    generator = make_generator(4, "uint16")
    labels = np.eye(3, dtype=np.float32)[np.arange(35) % 3]
    cells = draw_cells(generator, labels, seed=7, pictured={0, 34})
    ones = np.ones(35, np.float32)
    wanted = generator.generate(labels, 7 + np.arange(35), ones, ones, 0 * ones)
    assert set(cells.images) == {0, 34}
    np.testing.assert_array_equal(cells.images[34], wanted.image[34])
    np.testing.assert_array_equal(cells.seeds, np.arange(7, 42))
    expected = np.mean(wanted.image.numpy() / 65535, axis=(1, 2))
    np.testing.assert_allclose(cells.intensity, expected)
