"""Where nuclei are and where their crops lie."""

import numpy as np
import pytest

from data_prep.cropping.cutting import centres, crop_corners


def test_the_centre_is_the_centre_of_mass():
    labels = np.zeros((20, 30), np.int32)
    labels[4:7, 10:15] = 1
    labels[10, 20] = 2
    assert centres(labels).tolist() == [[5, 12], [10, 20]]


def test_no_nucleus_has_no_centre():
    assert centres(np.zeros((5, 5), np.int32)).shape == (0, 2)
    assert crop_corners(np.zeros((0, 2)), 4).shape == (0, 2)


def test_a_cell_without_a_nucleus_has_its_own_centre():
    cells = np.zeros((20, 30), np.int32)
    cells[0:9, 0:9], cells[10:19, 10:21], cells[0:3, 20:23] = 1, 2, 3
    nuclei = np.zeros_like(cells)
    nuclei[2, 3] = 1
    assert centres(nuclei, cells).tolist() == [[2, 3], [14, 15], [1, 21]]


@pytest.mark.parametrize("size", [1, 2, 5, 8, 64, 127, 128])
def test_the_centre_lies_within_half_a_pixel_of_the_middle_of_its_crop(size):
    middles = np.random.default_rng(0).uniform(0, 300, (200, 2))
    middle_of_crop = crop_corners(middles, size) + (size - 1) / 2
    assert np.abs(middle_of_crop - middles).max() <= 0.5


def test_a_crop_may_leave_the_field():
    assert crop_corners(np.array([[0.0, 100.0]]), 8).tolist() == [[-3, 97]]
