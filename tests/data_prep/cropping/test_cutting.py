"""Reduction, intensities, boxes and masking, each beside a plain oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.cropping import cutting
from data_prep.cropping.cutting import centres
from tests import support
from tfvqgen.errors import UserError


def mean_over_area(plane, scale, row, column):
    """Averages the square of one new pixel, share by share."""
    total = weight = 0.0
    for y in range(plane.shape[0]):
        high = min(y + 1, (row + 1) * scale) - max(y, row * scale)
        for x in range(plane.shape[1]):
            wide = min(x + 1, (column + 1) * scale) - max(x, column * scale)
            if high > 0 and wide > 0:
                total += float(plane[y, x]) * high * wide
                weight += high * wide
    return total / weight


@settings(deadline=None, max_examples=40)
@given(
    height=st.integers(3, 14),
    width=st.integers(3, 14),
    scale=st.one_of(st.integers(1, 3).map(float), st.floats(1, 3)),
    dtype=st.sampled_from(["uint8", "uint16"]),
    seed=st.integers(0, 99),
)
def test_reduction_is_the_mean_over_the_area_of_each_pixel(
    height, width, scale, dtype, seed
):
    field = support.random_image((height, width, 2), dtype, seed)
    planes = cutting.reduced(field, scale)
    assert planes.dtype == np.float32
    assert planes.shape == (2, int(height / scale), int(width / scale))
    top = np.iinfo(dtype).max
    for channel, row, column in np.ndindex(planes.shape):
        expected = mean_over_area(field[..., channel], scale, row, column)
        assert abs(planes[channel, row, column] - expected) < 1e-6 * top + 1e-5


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("factor", [2, 16, 17])
def test_sums_of_the_brightest_pixels_do_not_overflow(dtype, factor):
    top = np.iinfo(dtype).max
    field = np.full((2 * factor, factor, 1), top, dtype)
    assert (cutting.reduced(field, factor) == top).all()


def test_channels_keep_their_order_in_any_memory_order():
    field = support.random_image((12, 8, 3))
    planar = np.ascontiguousarray(field.transpose(2, 0, 1)).transpose(1, 2, 0)
    planes = cutting.reduced(field, 2)
    np.testing.assert_array_equal(planes, cutting.reduced(planar, 2))
    for channel in range(3):
        alone = cutting.reduced(field[..., channel : channel + 1], 2)[0]
        np.testing.assert_array_equal(planes[channel], alone)


@pytest.mark.parametrize("scale", [0.5, 9, float("nan")])
def test_a_scale_that_leaves_nothing_is_refused(scale):
    with pytest.raises(UserError, match="scale does not fit"):
        cutting.reduced(np.zeros((8, 8, 1), np.uint8), scale)


@pytest.mark.parametrize(
    ("pixel_size", "scale"),
    [(0.08, 4), (0.0801, 4), (0.32, 1), (0.3207, 1), (1.28, 1), (0.1, 3.2), (0.2, 1.6)],
)
def test_the_usual_scale_makes_pixels_of_the_size_of_crops(pixel_size, scale):
    assert cutting.working_scale(pixel_size, 0.32) == pytest.approx(scale)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_whole_range_keeps_every_value(dtype):
    field = support.random_image((30, 20, 4), dtype)
    planes = cutting.reduced(field, 1)
    ranges = cutting.intensity_ranges(planes, dtype, cutting.Intensity())
    np.testing.assert_array_equal(cutting.stretched(planes, ranges, dtype), field)
    np.testing.assert_array_equal(cutting.recorded(planes, dtype), field)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_fixed_range_is_a_share_of_what_the_type_holds(dtype):
    top = np.iinfo(dtype).max
    field = np.array([0, 0.2, 0.3, 0.4, 1]).reshape(1, 5, 1) * top
    planes = field.transpose(2, 0, 1).astype(np.float32)
    intensity = cutting.Intensity("fixed", 0.2, 0.4)
    ranges = cutting.intensity_ranges(planes, dtype, intensity)
    made = cutting.stretched(planes, ranges, dtype)[0, :, 0]
    np.testing.assert_allclose(made / top, [0, 0, 0.5, 1, 1], atol=0.005)


def test_percentiles_are_those_of_each_channel_of_the_whole_field():
    rng = np.random.default_rng(0)
    planes = rng.uniform((10, 100), (90, 180), size=(50, 60, 2)).transpose(2, 0, 1)
    planes = planes.astype(np.float32)
    intensity = cutting.Intensity("field", 1, 99)
    ranges = cutting.intensity_ranges(planes, "uint8", intensity)
    for plane, (low, high) in zip(planes, ranges, strict=True):
        assert (low, high) == pytest.approx(np.percentile(plane, [1, 99]))
    made = cutting.stretched(planes, ranges, "uint8")
    assert (made.min(axis=(0, 1)) == 0).all() and (made.max(axis=(0, 1)) == 255).all()


def test_the_noise_of_an_empty_channel_stays_dark():
    rng = np.random.default_rng(0)
    planes = rng.normal(5, 0.5, size=(1, 40, 40)).astype(np.float32)
    intensity = cutting.Intensity("field", 0.1, 99.9)
    ranges = cutting.intensity_ranges(planes, "uint8", intensity)
    assert cutting.stretched(planes, ranges, "uint8").max() < 50


@settings(deadline=None)
@given(
    size=st.integers(2, 9),
    row=st.integers(0, 11),
    column=st.integers(0, 7),
    length=st.integers(1, 3),
)
def test_boxes_are_centred_as_well_as_pixels_allow(size, row, column, length):
    nuclei = np.zeros((12, 8), np.int32)
    nuclei[row : row + length, column] = 1
    (box,) = cutting.boxes(centres(nuclei), size)
    # From the corner of the field: a pixel's middle is half a pixel further.
    rows = np.flatnonzero(nuclei.any(axis=1)) + 0.5
    assert abs(box.centre[0] - rows.mean()) <= 0.5
    assert abs(box.centre[1] - (column + 0.5)) <= 0.5


@settings(deadline=None)
@given(top=st.integers(-9, 9), left=st.integers(-9, 9), size=st.integers(1, 9))
def test_a_crop_shows_its_box_and_black_outside_the_field(top, left, size):
    image = support.random_image((6, 5, 2))
    crop = cutting.cut(image, cutting.Box(top, left, size))
    framed = np.pad(image, ((20, 20), (20, 20), (0, 0)))
    expected = framed[top + 20 : top + 20 + size, left + 20 : left + 20 + size]
    np.testing.assert_array_equal(crop, expected)


def test_masking_leaves_what_is_nearest_to_the_nucleus():
    nuclei = np.zeros((5, 11), np.int32)
    nuclei[2, 1], nuclei[2, 9] = 1, 2
    owner = cutting.owners(nuclei)
    assert (owner[:, :5] == 1).all() and (owner[:, 6:] == 2).all()
    crop = np.full((5, 11, 3), 7, np.uint8)
    kept = cutting.without_neighbours(crop, owner, 2)
    assert (kept[:, 6:] == 7).all() and not kept[:, :5].any()
    assert kept.dtype == np.uint8


def test_a_given_cell_is_its_own_whatever_nucleus_is_nearer():
    nuclei = np.zeros((5, 11), np.int32)
    nuclei[2, 1], nuclei[2, 9] = 1, 2
    cells = np.zeros_like(nuclei)
    cells[:, :8] = 1
    owner = cutting.owners(nuclei, cells)
    assert (owner[:, :8] == 1).all() and (owner[:, 8:] == 2).all()


def test_without_any_nucleus_nothing_belongs_to_one():
    assert not cutting.owners(np.zeros((4, 4), np.int32)).any()
