import numpy as np
import pytest

from tests import support
from tfvqgen.evaluation.extractors.random_network import RandomNetwork


def images(number=4, channels=3, dtype="uint8"):
    shape = (16, 16, channels)
    return np.stack([support.random_image(shape, dtype, i) for i in range(number)])


def test_it_is_the_same_network_every_time_and_of_any_batch():
    found = RandomNetwork(3).features(images())
    again = np.concatenate([RandomNetwork(3).features(x[None]) for x in images()])
    assert found.shape == (4, RandomNetwork.size)
    np.testing.assert_allclose(again, found, rtol=1e-5)


def test_its_figures_stay_what_they_were_when_reports_were_written():
    found = RandomNetwork(3).features(images(1))[0]
    first = found[:32]
    rng = np.random.default_rng(0)
    kernel = rng.normal(0, np.sqrt(2 / 27), (3, 3, 3, 32))
    padded = np.pad(images(1)[0] / 255, ((1, 1), (1, 1), (0, 0)))
    maps = sum(
        padded[y : y + 16, x : x + 16] @ kernel[y, x]
        for y in range(3)
        for x in range(3)
    )
    np.testing.assert_allclose(first, np.maximum(maps, 0).mean(axis=(0, 1)), rtol=1e-4)


@pytest.mark.parametrize("channel", range(3))
def test_every_channel_counts(channel):
    changed = images()
    changed[..., channel] //= 2
    network = RandomNetwork(3)
    assert not np.allclose(network.features(changed), network.features(images()))


def test_sixteen_bits_are_images_too():
    assert np.isfinite(RandomNetwork(5).features(images(2, 5, "uint16"))).all()
