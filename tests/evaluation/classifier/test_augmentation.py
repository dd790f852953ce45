import numpy as np
import pytest

from tfvqgen.training.stages import classifier
from tfvqgen.training.stages.classifier import augmented


def noise(**numbers):
    """Noise of one image of two channels that changes nothing but what is named."""
    names = ("angle", "scale", "x", "y", "first", "second")
    return np.array([[numbers.get(name, 0.5) for name in names]], np.float32)


def picture(size=16):
    image = np.random.default_rng(0).random((1, size, size, 2)).astype(np.float32)
    return image


def test_noise_in_the_middle_leaves_an_image_as_it_is():
    np.testing.assert_allclose(augmented(picture(), noise()), picture(), atol=1e-5)


def test_a_quarter_of_a_turn_is_the_transposed_mirror_image():
    found = augmented(picture(), noise(angle=0.75)).numpy()
    np.testing.assert_allclose(found, np.rot90(picture(), 1, (1, 2)), atol=1e-5)


def test_a_move_takes_pixels_from_beside_and_mirrors_what_it_uncovers():
    size = 32
    pixels = classifier.LARGEST_SHIFT * size
    across = 0.5 + 0.5 / pixels  # By one pixel.
    found = augmented(picture(size), noise(x=across)).numpy()
    np.testing.assert_allclose(found[:, :, :-1], picture(size)[:, :, 1:], atol=1e-4)
    np.testing.assert_allclose(found[:, :, -1], picture(size)[:, :, -1], atol=1e-4)


def test_a_larger_scale_makes_what_is_seen_smaller():
    size = 65
    image = np.zeros((1, size, size, 2), np.float32)
    image[:, 32, 12] = 1
    found = augmented(image, noise(scale=1.0)).numpy()
    distance = 32 - found[0, 32, :, 0].argmax()
    assert distance == pytest.approx(20 / np.exp(classifier.LOG_SCALE), abs=0.6)


def test_channels_are_brightened_apart_and_stay_within_range():
    image = np.full((1, 8, 8, 2), 0.8, np.float32)
    found = augmented(image, noise(first=0.0, second=1.0)).numpy()
    dimmed = 0.8 * np.exp(-classifier.LOG_BRIGHTNESS)
    np.testing.assert_allclose(found[..., 0], dimmed, rtol=1e-5)
    np.testing.assert_allclose(found[..., 1], 1.0)
