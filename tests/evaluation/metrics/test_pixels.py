import sys

import numpy as np
import pytest

from tfvqgen.errors import UserError
from tfvqgen.evaluation.metrics.pixels import (
    psnr,
    squared_errors,
    structural_similarity,
)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).random(shape)


def test_squared_errors_are_of_each_image_and_channel():
    images = noise(2, 5, 7, 3)
    shifts = np.array([[0.1, 0, 0.3], [0, 0.2, 0.5]])
    errors = squared_errors(images, images + shifts[:, None, None])
    np.testing.assert_allclose(errors, shifts**2, atol=1e-12)


def test_squared_errors_of_float32_images_are_summed_in_float64():
    images = np.full((1, 512, 512, 1), 1 / 3, np.float32)
    expected = np.float64(np.float32(1 / 3)) ** 2
    np.testing.assert_allclose(squared_errors(images, 0 * images), expected, rtol=1e-12)


@pytest.mark.parametrize(("mse", "decibels"), [(1, 0), (0.01, 20), (0, np.inf)])
def test_psnr_has_its_closed_form(mse, decibels):
    assert psnr(mse) == decibels


def test_ssim_of_equal_images_is_one():
    images = noise(2, 16, 16, 2)
    np.testing.assert_allclose(structural_similarity(images, images), np.ones((2, 2)))


def test_ssim_of_flat_images_is_its_luminance_term():
    a, b = 0.2, 0.6
    flat = np.ones((1, 16, 16, 1))
    expected = (2 * a * b + 0.01**2) / (a**2 + b**2 + 0.01**2)
    np.testing.assert_allclose(
        structural_similarity(a * flat, b * flat), [[expected]], rtol=1e-9
    )


def test_ssim_equals_the_formula_with_gaussian_moments():
    import scipy.ndimage

    x, y = noise(20, 24), noise(20, 24, seed=1)

    def blurred(image):
        return scipy.ndimage.gaussian_filter(image, 1.5, truncate=3.5)

    mean_x, mean_y = blurred(x), blurred(y)
    var_x, var_y = blurred(x * x) - mean_x**2, blurred(y * y) - mean_y**2
    covariance = blurred(x * y) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    ssim = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    ssim /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    expected = ssim[5:-5, 5:-5].mean()
    found = structural_similarity(x[None, ..., None], y[None, ..., None])
    np.testing.assert_allclose(found, [[expected]], rtol=1e-9)


def test_ssim_of_images_under_its_window_is_refused_in_words():
    with pytest.raises(UserError, match="at least 11 x 11 pixels"):
        structural_similarity(noise(1, 8, 16, 1), noise(1, 8, 16, 1))


def test_without_scikit_image_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"tfvqgen\[evaluate\]"):
        structural_similarity(noise(1, 16, 16, 1), noise(1, 16, 16, 1))
