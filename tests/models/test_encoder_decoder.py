import numpy as np
import pytest

from tfvqgen.models.encoder_decoder import Decoder, Encoder

STACK = {"hidden": 6, "residual_layers": 1, "residual_width": 4}


def shortcut_only(layer):
    """Sets all weights but those of the shortcut to zero."""
    shortcut = layer._shortcut.kernel
    for variable in layer.trainable_variables:
        variable.assign(0 * variable)
    shortcut.assign(np.random.default_rng(1).normal(size=shortcut.shape))
    return shortcut.numpy()[0, 0]


@pytest.mark.parametrize("stride", [2, 8])
def test_the_encoder_adds_a_linear_map_of_each_block(stride):
    images = np.random.default_rng(0).normal(size=(2, 16, 24, 3)).astype(np.float32)
    encoder = Encoder(stride=stride, **STACK)
    encoder(images)
    kernel = shortcut_only(encoder)
    found = encoder(images)
    for row, column in np.ndindex(16 // stride, 24 // stride):
        block = images[
            :,
            row * stride : (row + 1) * stride,
            column * stride : (column + 1) * stride,
        ]
        expected = block.reshape(2, -1) @ kernel
        np.testing.assert_allclose(found[:, row, column], expected, atol=1e-5)


@pytest.mark.parametrize("stride", [2, 8])
def test_the_decoder_adds_a_linear_map_to_each_block(stride):
    codes = np.random.default_rng(0).normal(size=(2, 4, 6, 5)).astype(np.float32)
    decoder = Decoder(channels=3, stride=stride, **STACK)
    decoder(codes)
    kernel = shortcut_only(decoder)
    found = decoder(codes)
    for row, column in np.ndindex(4, 6):
        expected = (codes[:, row, column] @ kernel).reshape(2, stride, stride, 3)
        block = found.output[
            :,
            row * stride : (row + 1) * stride,
            column * stride : (column + 1) * stride,
        ]
        np.testing.assert_allclose(block, expected, atol=1e-5)
    assert found.features.shape[:3] == (2, 2 * stride, 3 * stride)
