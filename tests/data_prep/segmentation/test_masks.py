"""Masks of other tools become labels."""

import numpy as np
import pytest

from data_prep.segmentation.masks import labels_of_mask, nuclei_of_cells
from tfvqgen.errors import DataError


def drawn(values, dtype=np.uint16):
    """Returns [20, 40]: a 6 x 6 square of each value, side by side."""
    mask = np.zeros((20, 40), dtype)
    for i, value in enumerate(values):
        mask[5:11, 2 + 9 * i : 8 + 9 * i] = value
    return mask


@pytest.mark.parametrize("dtype", [np.uint8, np.uint32, np.int64])
def test_any_numbers_become_1_to_n_and_the_last_is_kept(dtype):
    labels = labels_of_mask(drawn([7, 200, 3, 90], dtype))
    assert labels.dtype == np.int32
    assert labels[8, [4, 13, 22, 31]].tolist() == [2, 4, 1, 3]
    assert np.array_equal(labels > 0, drawn([7, 200, 3, 90]) > 0)


def test_large_numbers_are_kept_apart():
    mask = drawn([2**31 + 5, 2**31 + 6], np.uint32)
    assert labels_of_mask(mask)[8, [4, 13]].tolist() == [1, 2]


@pytest.mark.parametrize("mask", [drawn([255, 255], np.uint8), drawn([1, 1]) > 0])
def test_a_mask_of_one_value_is_split_into_its_components(mask):
    labels = labels_of_mask(mask)
    assert labels[8, [4, 13]].tolist() == [1, 2] and labels.max() == 2


def test_components_that_touch_at_a_corner_are_one():
    mask = np.zeros((8, 8), np.uint8)
    mask[1:3, 1:3] = mask[3:5, 3:5] = 255
    assert labels_of_mask(mask).max() == 1


def test_a_number_in_two_places_is_one_object():
    assert labels_of_mask(drawn([4, 9, 4]))[8, [4, 13, 22]].tolist() == [1, 2, 1]


def test_a_mask_may_be_all_background_or_all_object():
    assert labels_of_mask(np.zeros((9, 9), np.uint8)).max() == 0
    assert labels_of_mask(np.full((9, 9), 5, np.uint8)).tolist() == [[1] * 9] * 9


@pytest.mark.parametrize("times", [2, 3])
def test_a_larger_or_smaller_mask_is_sampled_where_the_pixels_are(times):
    mask = drawn([3, 1, 2])
    larger = np.kron(mask, np.ones((times, times), np.uint16))
    assert np.array_equal(labels_of_mask(larger, mask.shape), mask)
    assert np.array_equal(labels_of_mask(mask, larger.shape), larger)


def test_a_mask_of_other_proportions_is_refused():
    with pytest.raises(DataError, match=r"proportions.*\[20, 40\].*\[20, 20\]"):
        labels_of_mask(drawn([1, 2]), (20, 20))


@pytest.mark.parametrize(
    "mask",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4), np.uint8),
        np.full((4, 4), -1),
    ],
)
def test_arrays_that_are_not_masks_are_refused(mask):
    with pytest.raises(DataError, match="not a mask"):
        labels_of_mask(mask)


def test_a_plane_of_one_channel_is_a_mask():
    assert labels_of_mask(drawn([1, 2])[..., None]).shape == (20, 40)


def test_a_cell_gets_the_nucleus_that_lies_most_in_it():
    cells = np.zeros((20, 40), np.int32)
    cells[:, :20], cells[:, 20:] = 1, 2
    nuclei = np.zeros_like(cells)
    nuclei[4:10, 4:10] = 1  # 36 pixels in cell 1
    nuclei[12:16, 2:6] = 2  # 16 pixels in cell 1
    nuclei[4:10, 18:28] = 3  # 12 pixels in cell 1, 48 in cell 2
    own = nuclei_of_cells(cells, nuclei)
    assert own.dtype == np.int32
    assert np.array_equal(own == 1, nuclei == 1)
    assert np.array_equal(own == 2, (nuclei == 3) & (cells == 2))


def test_a_cell_without_a_nucleus_has_none():
    cells = np.zeros((20, 40), np.int32)
    cells[2:18, 2:18], cells[2:18, 22:38] = 1, 2
    nuclei = np.zeros_like(cells)
    nuclei[5:9, 25:29] = 1
    assert np.unique(nuclei_of_cells(cells, nuclei)).tolist() == [0, 2]
    assert nuclei_of_cells(cells, np.zeros_like(cells)).max() == 0
    assert nuclei_of_cells(np.zeros_like(cells), nuclei).max() == 0
