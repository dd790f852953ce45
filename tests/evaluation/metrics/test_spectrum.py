import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfvqgen.evaluation.metrics.spectrum import BANDS, band_power, power, radial_profile

SHAPES = st.tuples(st.integers(1, 3), st.integers(4, 12), st.integers(4, 12))


def wave(side, cycles_down, cycles_across):
    """Returns an image [1, side, side, 1] of one spatial frequency."""
    rows, columns = np.mgrid[:side, :side] / side
    angle = 2 * np.pi * (cycles_down * rows + cycles_across * columns)
    return np.cos(angle)[None, ..., None]


@settings(deadline=None, max_examples=25)
@given(SHAPES, st.integers(0, 99))
def test_power_sums_to_that_of_the_pixels(shape, seed):
    images = np.random.default_rng(seed).random((*shape, 2))
    pixels = shape[1] * shape[2]
    np.testing.assert_allclose(
        power(images).sum(axis=(1, 2)), pixels * np.square(images).sum(axis=(1, 2))
    )


@pytest.mark.parametrize(
    ("down", "across", "band"),
    [
        # Of 40 pixels: N/8 = 5 and N/4 = 10; (3, 4) and (6, 8) lie on the borders.
        (3, 4, None),
        (3, 5, "quarter_to_half_nyquist"),
        (6, 8, "quarter_to_half_nyquist"),
        (0, 10, "quarter_to_half_nyquist"),
        (0, 11, "above_half_nyquist"),
        (8, 8, "above_half_nyquist"),
        (0, 0, None),
        (20, 20, "above_half_nyquist"),
    ],
)
def test_a_wave_has_its_power_in_the_band_of_its_frequency(down, across, band):
    found = band_power(power(wave(40, down, across)))[0, :, 0]
    total = power(wave(40, down, across)).sum()
    expected = [total * (name == band) for name in BANDS]
    np.testing.assert_allclose(found, expected, atol=1e-9 * total)


def test_bands_of_images_that_are_not_square_are_in_cycles_a_pixel():
    columns = np.arange(32)[None, :, None] * np.ones((1, 8, 1, 1))
    slow, fast = (np.cos(2 * np.pi * f * columns) for f in (0.25, 9 / 32))
    assert band_power(power(slow))[0, 1, 0] == pytest.approx(0, abs=1e-9)
    assert band_power(power(fast))[0, 1, 0] == pytest.approx(power(fast).sum())


def test_channels_and_images_are_kept_apart():
    images = np.concatenate([wave(16, 0, 3), wave(16, 0, 7)])
    both = np.concatenate([images, images[::-1]], axis=-1)
    found = band_power(power(both))
    np.testing.assert_allclose(found[0, :, 0], found[1, :, 1])
    np.testing.assert_allclose(found[0, :, 1], found[1, :, 0])
    assert found[0, 0, 0] > 1 and found[0, 1, 0] < 1e-9


def test_the_profile_of_a_wave_is_a_line_at_its_frequency():
    frequencies, profile = radial_profile(power(wave(32, 0, 8))[0])
    assert frequencies[profile[:, 0].argmax()] == 8 / 32
    assert np.sum(profile > 1e-9) == 1
    assert (frequencies[0], frequencies[-1]) == (1 / 32, 1 / 2)


def test_the_profile_of_white_noise_is_flat_at_its_variance():
    noise = np.random.default_rng(0).normal(scale=0.3, size=(400, 16, 16, 1))
    _, profile = radial_profile(power(noise).mean(axis=0))
    np.testing.assert_allclose(profile, 0.09, rtol=0.12)
