"""Shapes of nuclei against closed forms and a slow way to count."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data_prep.segmentation.shapes import shape_columns

ROWS, COLUMNS = np.mgrid[:120, :120]


def measured(mask, pixel_size=1.0):
    found = shape_columns(mask.astype(np.int32), 1, pixel_size)
    return {name: float(values[0]) for name, values in found.items()}


def ellipse(long, short, turn=0.0):
    x, y = COLUMNS - 60, ROWS - 60
    along = x * math.cos(turn) + y * math.sin(turn)
    across = y * math.cos(turn) - x * math.sin(turn)
    return np.hypot(along / long, across / short) <= 1


@pytest.mark.parametrize("turn", [0, np.pi / 4, 2])
@pytest.mark.parametrize(("long", "short"), [(30, 30), (30, 25), (45, 9)])
def test_an_ellipse_has_the_same_shape_at_any_turn(long, short, turn):
    found = measured(ellipse(long, short, turn), pixel_size=0.5)
    truth = math.sqrt(1 - (short / long) ** 2)
    tolerance = 0.01 if truth else 0.06
    assert found["eccentricity"] == pytest.approx(truth, abs=tolerance)
    assert found["nucleus_area"] == pytest.approx(np.pi * long * short / 4, rel=0.02)
    assert found["solidity"] == 1


def test_a_rectangle_is_exact():
    mask = np.zeros((50, 60), int)
    mask[10:20, 5:35] = 1
    found = measured(mask, 2.0)
    assert found["nucleus_area"] == 10 * 30 * 4
    assert found["solidity"] == 1
    # The variance of a side a is a^2 / 12, pixels being squares.
    assert found["eccentricity"] == pytest.approx(math.sqrt(1 - (10 / 30) ** 2))


def test_a_cross_fills_part_of_its_hull():
    mask = np.zeros((60, 60), int)
    mask[25:36, 5:56] = mask[5:56, 25:36] = 1
    # The hull is the octagon through the arms' ends: a square without four corners.
    corner = sum(range(1, 21))  # pixels before a diagonal of 20
    solidity = mask.sum() / (51**2 - 4 * corner)
    assert measured(mask)["solidity"] == pytest.approx(solidity)


def test_shapes_do_not_depend_on_position_and_neighbours():
    mask = ellipse(20, 12, 0.5).astype(np.int32)
    alone = measured(mask)
    two = np.concatenate([2 * mask, mask], axis=1)
    found = shape_columns(two, 2, 1.0)
    for name, value in alone.items():
        assert found[name] == pytest.approx([value, value], rel=1e-9)


def test_a_number_without_pixels_has_no_shape():
    found = shape_columns(np.array([[0, 2, 2]], np.int32), 3, 1.0)
    assert found["nucleus_area"].tolist() == [0, 2, 0]
    assert found["solidity"][1] == 1
    assert np.isnan(found["solidity"][[0, 2]]).all()
    assert np.isnan(found["eccentricity"][[0, 2]]).all()
    found = shape_columns(np.zeros((5, 5), np.int32), 0, 1.0)
    assert all(values.shape == (0,) for values in found.values())


@settings(deadline=None, max_examples=25)
@given(
    hnp.arrays(
        np.int32, st.tuples(*[st.integers(1, 9)] * 2), elements=st.just(0) | st.just(1)
    )
)
def test_solidity_counts_the_pixels_in_the_hull(mask):
    if not mask.any():
        return
    points = np.argwhere(mask)
    convex = sum(_in_hull(points, np.array(place)) for place in np.ndindex(mask.shape))
    assert measured(mask)["solidity"] == pytest.approx(len(points) / convex)


def _in_hull(points, place):
    """Returns whether no line separates a place from all points, by trying all."""
    offsets = points - place
    if not offsets.any(1).all():
        return True
    for y, x in offsets:
        across = offsets[:, 0] * x - offsets[:, 1] * y
        along = offsets @ (y, x)
        for side in (across, -across):
            # All points are on one side of the line through the place and this point;
            # points on the line are on the same side of the place as this point.
            if (side >= 0).all() and (along[side == 0] > 0).all():
                return False
    return True
