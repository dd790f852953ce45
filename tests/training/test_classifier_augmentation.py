import numpy as np
import pytest

from tfvqgen.training.stages import classifier
from tfvqgen.training.stages.classifier import augmented


def noise(**numbers):
    """Returns noise for an image of two channels that changes the named values only."""
    names = ("angle", "scale", "x", "y", "first", "second")
    return np.array([[numbers.get(name, 0.5) for name in names]], np.float32)


def image_of(size=16):
    return np.random.default_rng(0).random((1, size, size, 2)).astype(np.float32)


def test_noise_of_one_half_does_not_change_an_image():
    np.testing.assert_allclose(augmented(image_of(), noise()), image_of(), atol=1e-5)


def test_a_quarter_of_a_turn_rotates_the_image():
    found = augmented(image_of(), noise(angle=0.75)).numpy()
    np.testing.assert_allclose(found, np.rot90(image_of(), 1, (1, 2)), atol=1e-5)


def test_a_shift_fills_uncovered_pixels_by_reflection():
    size = 32
    pixels = classifier.LARGEST_SHIFT * size
    across = 0.5 + 0.5 / pixels  # By one pixel.
    found = augmented(image_of(size), noise(x=across)).numpy()
    np.testing.assert_allclose(found[:, :, :-1], image_of(size)[:, :, 1:], atol=1e-4)
    np.testing.assert_allclose(found[:, :, -1], image_of(size)[:, :, -1], atol=1e-4)


def test_a_larger_scale_shows_a_larger_field():
    size = 65
    image = np.zeros((1, size, size, 2), np.float32)
    image[:, 32, 12] = 1
    found = augmented(image, noise(scale=1.0)).numpy()
    distance = 32 - found[0, 32, :, 0].argmax()
    assert distance == pytest.approx(20 / np.exp(classifier.LOG_SCALE), abs=0.6)


def test_each_channel_has_its_own_brightness_and_stays_in_range():
    image = np.full((1, 8, 8, 2), 0.8, np.float32)
    found = augmented(image, noise(first=0.0, second=1.0)).numpy()
    dimmed = 0.8 * np.exp(-classifier.LOG_BRIGHTNESS)
    np.testing.assert_allclose(found[..., 0], dimmed, rtol=1e-5)
    np.testing.assert_allclose(found[..., 1], 1.0)
