import numpy as np
import pytest
import tensorflow as tf

from tfvqgen.errors import UserError
from tfvqgen.models import PairedInpainting
from tfvqgen.models.paired_inpainting import NUM_BLOCKS


def cells(channels, seed=0, size=16, count=3):
    rng = np.random.default_rng(seed)
    return rng.random((count, size, size, channels), np.float32)


@pytest.fixture(scope="module")
def model():
    made = PairedInpainting(width=0.1)
    made.build()
    return made


def test_it_has_the_parameters_of_the_paper():
    model = PairedInpainting()
    model.build()
    assert model.count_params() == 7_324_529


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_gradient_reaches_every_weight_of_both_encoders(precision):
    model = PairedInpainting(width=0.1, precision=precision)
    model.build()
    with tf.GradientTape() as tape:
        painted = model(cells(3), cells(2, seed=1), training=True)
        loss = tf.reduce_mean(tf.math.squared_difference(painted, cells(1, seed=2)))
    weights = [
        weight
        for layer in (*model.source_encoder, *model.marker_encoder)
        for weight in layer.trainable_weights
    ]
    assert len(weights) == 4 * (5 + 3)
    for weight, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
        assert gradient is not None and np.any(gradient.numpy()), weight.path


def test_a_cell_is_painted_alike_in_any_batch(model):
    # The stride divides the size.
    source, markers = cells(3, size=20), cells(2, seed=1, size=20)
    together = model(source, markers).numpy()
    alone = model(source[1:2], markers[1:2]).numpy()
    assert together.shape == (3, 20, 20, 1)
    np.testing.assert_allclose(together[1:2], alone, atol=1e-6)


@pytest.mark.parametrize("block", [1, 2, NUM_BLOCKS])
def test_features_are_the_largest_values_of_a_block(model, block):
    source = cells(3)
    values, convolutions = tf.constant(source), 0
    for layer in model.source_encoder:
        values = layer(values)
        convolutions += "conv" in layer.name
        if convolutions == block and "normalization" in layer.name:
            break
    expected = values.numpy().max(axis=(1, 2))
    assert expected.shape[-1] == [10, 26, 38, 38, 26][block - 1]
    np.testing.assert_allclose(model.features(source, block), expected, rtol=1e-6)


def test_a_block_that_is_not_there_is_refused(model):
    with pytest.raises(UserError, match=r"expected 1 to 5. Received: block=6"):
        model.features(cells(3), NUM_BLOCKS + 1)
