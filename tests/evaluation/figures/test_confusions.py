import itertools

import numpy as np

from tfvqgen.evaluation.figures.confusions import colour, confusion_picture

NAMES = ("Nucleoli", "Golgi apparatus", "Rods & rings")


def corners(picture):
    """Returns the colours of the matrix's cells at their upper left corners."""
    side, size = 26, len(NAMES)
    top = picture.shape[0] - 8 - side * size
    left = top - 13  # of the line above
    return picture[top : top + side * size : side, left : left + side * size : side]


def test_colours_show_the_shares_of_each_row():
    confusion = np.array([[6, 2, 0], [0, 1, 0], [1, 1, 2]])
    found = corners(confusion_picture(confusion, NAMES, "asked for", "recognised as"))
    shares = confusion / confusion.sum(axis=1, keepdims=True)
    expected = [[colour(share) for share in row] for row in shares]
    np.testing.assert_array_equal(found, expected)


def test_a_row_without_cells_is_neither_right_nor_wrong():
    confusion = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 1]])
    found = corners(confusion_picture(confusion, NAMES, "asked for", "recognised as"))
    assert len({tuple(cell) for cell in found[0]}) == 1
    assert tuple(found[0, 0]) not in {colour(0.0), colour(1.0)}


def test_what_columns_are_is_not_cut_off_where_there_are_few():
    picture = confusion_picture(np.eye(1), ["ER"], "asked for", "recognised as")
    assert (picture[:, -8:] == picture[0, 0]).all()
    longer = confusion_picture(np.eye(1), ["ER"], "asked for", "recognised as one of")
    assert longer.shape[1] > picture.shape[1]


def test_larger_shares_are_brighter():
    brightness = [sum(colour(share)) for share in np.linspace(0, 1, 50)]
    assert all(a < b for a, b in itertools.pairwise(brightness))
