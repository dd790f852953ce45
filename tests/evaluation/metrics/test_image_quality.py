import numpy as np
import pytest
import scipy.ndimage

from tfvqgen.evaluation.metrics.image_quality import (
    BANDS,
    band_power,
    power,
    psnr,
    squared_errors,
    structural_similarity,
)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def test_squared_errors_are_means_of_each_image_and_channel_in_float64():
    images = noise(2, 5, 7, 3)
    shifts = np.array([[0.1, 0, 0.3], [0, 0.2, 0.5]])
    errors = squared_errors(images, images + shifts[:, None, None])
    np.testing.assert_allclose(errors, shifts**2, atol=1e-12)
    flat = np.full((1, 512, 512, 1), 1 / 3, np.float32)
    expected = np.float64(np.float32(1 / 3)) ** 2
    np.testing.assert_allclose(squared_errors(flat, 0 * flat), expected, rtol=1e-12)


@pytest.mark.parametrize(("mse", "decibels"), [(1, 0), (0.01, 20), (0, np.inf)])
def test_psnr_has_its_closed_form(mse, decibels):
    assert psnr(mse) == decibels


def test_ssim_equals_the_formula_with_gaussian_moments_in_each_channel():
    images, others = noise(1, 20, 24, 2), noise(1, 20, 24, 2, seed=1)

    def blurred(image):
        return scipy.ndimage.gaussian_filter(image, 1.5, truncate=3.5)

    expected = []
    for x, y in zip(
        np.moveaxis(images[0], -1, 0), np.moveaxis(others[0], -1, 0), strict=True
    ):
        mean_x, mean_y = blurred(x), blurred(y)
        var_x, var_y = blurred(x * x) - mean_x**2, blurred(y * y) - mean_y**2
        covariance = blurred(x * y) - mean_x * mean_y
        c1, c2 = 0.01**2, 0.03**2
        ssim = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
        ssim /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
        expected.append(ssim[5:-5, 5:-5].mean())
    found = structural_similarity(images, others)
    np.testing.assert_allclose(found, [expected], rtol=1e-9)


def wave(side, cycles_down, cycles_across):
    """Returns an image [1, side, side, 1] of one spatial frequency."""
    rows, columns = np.mgrid[:side, :side] / side
    angle = 2 * np.pi * (cycles_down * rows + cycles_across * columns)
    return np.cos(angle)[None, ..., None]


@pytest.mark.parametrize(
    ("down", "across", "band"),
    [
        # Of 40 pixels: N/8 = 5 and N/4 = 10; (3, 4) and (6, 8) lie on the borders.
        (0, 0, None),
        (3, 4, None),
        (3, 5, "quarter_to_half_nyquist"),
        (6, 8, "quarter_to_half_nyquist"),
        (0, 11, "above_half_nyquist"),
        (20, 20, "above_half_nyquist"),
    ],
)
def test_a_wave_has_its_power_in_the_band_of_its_frequency(down, across, band):
    found = band_power(power(wave(40, down, across)))[0, :, 0]
    total = power(wave(40, down, across)).sum()
    expected = [total * (name == band) for name in BANDS]
    np.testing.assert_allclose(found, expected, atol=1e-9 * total)
