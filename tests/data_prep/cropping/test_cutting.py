"""Downscaling, intensities, positions and masking, each compared with an oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.cropping import cutting
from data_prep.cropping.cutting import centres, crop_corners
from tests import support
from tfvqgen.errors import UserError


def mean_over_area(plane, scale, row, column):
    """Averages the area of one new pixel, weighted by the overlap with old pixels."""
    total = weight = 0.0
    for y, x in np.ndindex(plane.shape):
        height = min(y + 1, (row + 1) * scale) - max(y, row * scale)
        width = min(x + 1, (column + 1) * scale) - max(x, column * scale)
        if height > 0 and width > 0:
            total += float(plane[y, x]) * height * width
            weight += height * width
    return total / weight


@settings(deadline=None, max_examples=15)
@given(
    height=st.integers(3, 9),
    width=st.integers(3, 9),
    scale=st.one_of(st.integers(1, 3).map(float), st.floats(1, 3)),
    dtype=st.sampled_from(["uint8", "uint16"]),
    seed=st.integers(0, 99),
)
def test_downscaling_averages_over_the_area_of_each_pixel(
    height, width, scale, dtype, seed
):
    field = support.random_image((height, width, 2), dtype, seed)
    planes = cutting.downscale(field, scale)
    assert planes.dtype == np.float32
    assert planes.shape == (2, int(height / scale), int(width / scale))
    top = np.iinfo(dtype).max
    for channel, row, column in np.ndindex(planes.shape):
        expected = mean_over_area(field[..., channel], scale, row, column)
        assert abs(planes[channel, row, column] - expected) < 1e-6 * top + 1e-5


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_sums_of_the_brightest_pixels_do_not_overflow(dtype):
    top = np.iinfo(dtype).max
    assert (cutting.downscale(np.full((34, 17, 1), top, dtype), 17) == top).all()


@pytest.mark.parametrize("scale", [0.5, 9])
def test_a_scale_that_leaves_no_pixel_is_refused(scale):
    with pytest.raises(UserError, match="scale does not fit"):
        cutting.downscale(np.zeros((8, 8, 1), np.uint8), scale)


@pytest.mark.parametrize(
    ("pixel_size", "scale"),
    [(0.0801, 4), (0.32, 1), (1.28, 1), (0.1, 3.2)],
)
def test_the_default_scale_gives_pixels_of_the_target_size(pixel_size, scale):
    assert cutting.working_scale(pixel_size, 0.32) == pytest.approx(scale)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_whole_range_keeps_every_value(dtype):
    field = support.random_image((30, 20, 4), dtype)
    planes = cutting.downscale(field, 1)
    ranges = cutting.intensity_ranges(planes, dtype, cutting.Intensity())
    made = cutting.rescale_intensity(planes, ranges, dtype)
    np.testing.assert_array_equal(made, field)
    np.testing.assert_array_equal(cutting.rounded(planes, dtype), field)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_a_fixed_range_is_a_share_of_the_maximum_of_the_type(dtype):
    top = np.iinfo(dtype).max
    planes = (np.array([[[0, 0.2, 0.3, 0.4, 1]]]) * top).astype(np.float32)
    intensity = cutting.Intensity("fixed", 0.2, 0.4)
    ranges = cutting.intensity_ranges(planes, dtype, intensity)
    made = cutting.rescale_intensity(planes, ranges, dtype)[0, :, 0]
    np.testing.assert_allclose(made / top, [0, 0, 0.5, 1, 1], atol=0.005)


def test_percentiles_are_those_of_each_channel_of_the_whole_field():
    rng = np.random.default_rng(0)
    planes = rng.uniform((10, 100), (90, 180), size=(50, 60, 2)).transpose(2, 0, 1)
    planes = planes.astype(np.float32)
    intensity = cutting.Intensity("field", 1, 99)
    ranges = cutting.intensity_ranges(planes, "uint8", intensity)
    for plane, (low, high) in zip(planes, ranges, strict=True):
        assert (low, high) == pytest.approx(np.percentile(plane, [1, 99]))
    made = cutting.rescale_intensity(planes, ranges, "uint8")
    assert (made.min(axis=(0, 1)) == 0).all() and (made.max(axis=(0, 1)) == 255).all()


def test_the_noise_of_an_empty_channel_stays_dark():
    rng = np.random.default_rng(0)
    planes = rng.normal(5, 0.5, size=(1, 40, 40)).astype(np.float32)
    intensity = cutting.Intensity("field", 0.1, 99.9)
    ranges = cutting.intensity_ranges(planes, "uint8", intensity)
    assert cutting.rescale_intensity(planes, ranges, "uint8").max() < 50


def test_the_centre_is_the_centre_of_mass():
    labels = np.zeros((20, 30), np.int32)
    labels[4:7, 10:15] = 1
    labels[10, 20] = 2
    assert centres(labels).tolist() == [[5, 12], [10, 20]]
    assert centres(np.zeros((5, 5), np.int32)).shape == (0, 2)


def test_a_cell_without_a_nucleus_has_its_own_centre():
    cells = np.zeros((20, 30), np.int32)
    cells[0:9, 0:9], cells[10:19, 10:21], cells[0:3, 20:23] = 1, 2, 3
    nuclei = np.zeros_like(cells)
    nuclei[2, 3] = 1
    assert centres(nuclei, cells).tolist() == [[2, 3], [14, 15], [1, 21]]


@pytest.mark.parametrize("size", [8, 127])
def test_a_centre_lies_within_half_a_pixel_of_the_middle_of_its_crop(size):
    places = np.random.default_rng(0).uniform(0, 300, (200, 2))
    corners = crop_corners(places, size)
    assert np.abs(corners + (size - 1) / 2 - places).max() <= 0.5


@settings(deadline=None, max_examples=40)
@given(top=st.integers(-9, 9), left=st.integers(-9, 9), size=st.integers(1, 9))
def test_a_crop_shows_its_box_and_black_outside_the_field(top, left, size):
    image = support.random_image((6, 5, 2))
    crop = cutting.cut(image, (top, left), size)
    framed = np.pad(image, ((20, 20), (20, 20), (0, 0)))
    expected = framed[top + 20 : top + 20 + size, left + 20 : left + 20 + size]
    np.testing.assert_array_equal(crop, expected)


def test_a_pixel_belongs_to_its_given_cell_or_else_to_the_nearest_nucleus():
    nuclei = np.zeros((5, 11), np.int32)
    nuclei[2, 1], nuclei[2, 9] = 1, 2
    owner = cutting.cell_of_pixels(nuclei)
    assert (owner[:, :5] == 1).all() and (owner[:, 6:] == 2).all()
    cells = np.zeros_like(nuclei)
    cells[:, :8] = 1
    owner = cutting.cell_of_pixels(nuclei, cells)
    assert (owner[:, :8] == 1).all() and (owner[:, 8:] == 2).all()
    assert not cutting.cell_of_pixels(np.zeros((4, 4), np.int32)).any()
