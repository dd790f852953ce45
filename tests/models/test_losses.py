import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from tfvqgen import config, losses
from tfvqgen.losses import hinge_loss, realism_loss
from tfvqgen.models import vqvae2

WEIGHTS = (0.5, 2.0, 0.5)
TERMS = ("mean_squared_error", "laplacian_loss", "focal_frequency_loss")


def pair(shape=(2, 16, 24, 3), seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((2, *shape), dtype=np.float32)


def blurred(plane):
    taps = np.array([1, 4, 6, 4, 1]) / 16
    for axis in (0, 1):
        mirrored = np.pad(np.arange(plane.shape[axis]), 2, mode="symmetric")
        padded = np.take(plane, mirrored, axis=axis)
        plane = np.apply_along_axis(np.convolve, axis, padded, taps, "valid")
    return plane


def bands(plane):
    found = []
    for _ in range(3):
        low = blurred(plane)
        found.append(plane - low)
        plane = low[::2, ::2]
    return found


def powers(band):
    """Mean squares in windows of 4 at strides of 2, cut off at the borders."""
    rows, columns = (starts(side) for side in band.shape)
    return np.array(
        [
            [(band[max(r, 0) : r + 4, max(c, 0) : c + 4] ** 2).mean() for c in columns]
            for r in rows
        ]
    )


def starts(side):
    number = -(-side // 2)
    padding = max((number - 1) * 2 + 4 - side, 0)
    return [2 * i - padding // 2 for i in range(number)]


def spectral_error(x, y):
    error = np.abs(np.fft.fft2(x, norm="ortho") - np.fft.fft2(y, norm="ortho"))
    return np.mean(error / error.max() * error**2)


def oracle(term, x, y):
    """The loss of one plane."""
    if term == "mean_squared_error":
        return np.mean((x - y) ** 2)
    if term == "laplacian_loss":
        pairs = zip(bands(x), bands(y), strict=True)
        return sum(np.abs(a - b).mean() for a, b in pairs)
    return spectral_error(x, y)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("term", TERMS)
def test_a_loss_is_the_weighted_mean_over_the_planes(term, weights):
    images, others = pair()
    expected = np.mean(
        [
            (weights or (1, 1, 1))[c]
            * oracle(term, images[b, ..., c], others[b, ..., c])
            for b in range(2)
            for c in range(3)
        ]
    )
    found = getattr(losses, term)(images, others, weights)
    np.testing.assert_allclose(found, expected, rtol=2e-5)


@pytest.mark.parametrize("term", [*TERMS, "local_power_loss"])
def test_equal_images_have_no_loss_and_a_finite_gradient(term):
    image = tf.constant(pair()[0]) if term in TERMS else tf.zeros([1, 16, 16, 1])
    with tf.GradientTape() as tape:
        tape.watch(image)
        loss = getattr(losses, term)(image, tf.identity(image))
    assert float(loss) == 0
    assert np.isfinite(tape.gradient(loss, image)).all()


def test_the_weights_of_the_frequency_loss_have_no_gradient():
    images, others = pair((1, 8, 8, 1))
    other = tf.Variable(others)
    with tf.GradientTape() as tape:
        loss = losses.focal_frequency_loss(images, other)
    error = np.fft.fft2((others - images)[0, ..., 0], norm="ortho")
    focus = np.abs(error) / np.abs(error).max()
    # The gradient of mean(focus |F e|^2), F being unitary.
    expected = 2 * np.fft.ifft2(focus * error, norm="ortho").real / error.size
    np.testing.assert_allclose(
        tape.gradient(loss, other)[0, ..., 0], expected, atol=1e-6
    )


def test_local_power_is_compared_in_windows_of_the_two_finest_bands():
    images, others = pair()
    expected = 0.0
    for b, c in np.ndindex(2, 3):
        fine, finer, _ = zip(
            *(bands(x[b, ..., c]) for x in (images, others)), strict=True
        )
        for weight, pair_of_bands in (
            (2, [x - blurred(x) for x in fine]),
            (23, finer),
        ):
            p, q = map(powers, pair_of_bands)
            cost = scipy.special.kl_div(p + 1e-6, q + 1e-6).mean()
            expected += weight * cost / 6
    np.testing.assert_allclose(
        losses.local_power_loss(images, others), expected, rtol=2e-5
    )


def test_the_configuration_knows_the_losses_and_their_smallest_image():
    assert set(config.FURTHER_LOSSES) == set(vqvae2.LOSS_TERMS)
    assert config.SMALLEST_BANDED_SIDE == losses.SMALLEST_SIDE
    smallest = pair((1, losses.SMALLEST_SIDE, losses.SMALLEST_SIDE, 1))
    assert len(losses.laplacian_bands(smallest[0])) == losses.PYRAMID_LEVELS


def test_the_hinge_loss_counts_logits_within_the_margin():
    real = np.array([[[2.0, 0.5]], [[-1.0, 1.0]]], np.float32)
    fake = np.array([[[-2.0, -0.5]], [[1.0, -1.0]]], np.float32)
    np.testing.assert_allclose(hinge_loss(real, fake), (0.5 + 2) / 4 + (0.5 + 2) / 4)
    np.testing.assert_allclose(realism_loss(fake), 2.5 / 4)
    assert float(hinge_loss(0 * real, 0 * fake)) == 2
