import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfvqgen import losses
from tfvqgen.config import Config
from tfvqgen.models import VQVAE2
from tfvqgen.presets import PRESETS

TINY = (
    "vqvae.image_shape=16,24,3",
    "vqvae.hidden=8",
    "vqvae.residual_width=4",
    "vqvae.num_embeddings=6",
    "vqvae.embedding_dim=5",
    "vqvae.quantize_after=0",
)
PLAIN = "vqvae.texture_noise_weight=0"


def tiny(*overrides):
    return Config.from_preset("hpa128").with_overrides([*TINY, *overrides]).vqvae


def images_of(config, batch=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((batch, *config.image_shape), dtype=np.float32)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_builds_and_gives_the_code_maps_it_promises(preset):
    config = Config.from_preset(preset).vqvae
    autoencoder = VQVAE2(config)
    codes = autoencoder.encode(images_of(config, batch=1))
    assert codes.top.shape == (1, *config.top_shape)
    assert codes.bottom.shape == (1, *config.bottom_shape)
    assert np.array_equal(np.multiply(config.top_shape, 2), config.bottom_shape)
    assert autoencoder.decode(codes).shape == (1, *config.image_shape)


@pytest.mark.parametrize(("stride", "channels"), [(2, 8), (4, 1), (8, 2)])
def test_strides_channels_and_sides_come_from_the_configuration(stride, channels):
    config = tiny(
        f"vqvae.bottom_stride={stride}", f"vqvae.image_shape=32,16,{channels}"
    )
    autoencoder = VQVAE2(config)
    out = autoencoder(images_of(config))
    assert out.codes.bottom.shape == (2, 32 // stride, 16 // stride)
    assert out.codes.top.shape == (2, 16 // stride, 8 // stride)
    assert out.reconstruction.shape == (2, 32, 16, channels)
    assert out.codes.top.dtype == out.codes.bottom.dtype == tf.int32
    larger = dataclasses.replace(config, image_shape=(48, 32, channels))
    assert autoencoder.reconstruct(images_of(larger)).shape == (2, 48, 32, channels)


def test_the_reconstruction_is_the_decoded_codes():
    config = tiny()
    autoencoder = VQVAE2(config)
    images = images_of(config)
    out = autoencoder(images)
    codes = autoencoder.encode(images)
    np.testing.assert_array_equal(out.codes.top, codes.top)
    np.testing.assert_array_equal(out.codes.bottom, codes.bottom)
    decoded = autoencoder.decode(codes)
    np.testing.assert_array_equal(autoencoder.reconstruct(images), decoded)
    np.testing.assert_allclose(np.clip(out.reconstruction, 0, 1), decoded, atol=1e-6)


def test_the_loss_is_the_sum_of_its_parts():
    config = tiny("vqvae.codebook_update=gradient", PLAIN)
    autoencoder = VQVAE2(config)
    images = images_of(config)
    out = autoencoder(images)
    parts = [
        out.losses[f"{n}_loss"] for n in ("reconstruction", "commitment", "codebook")
    ]
    np.testing.assert_allclose(out.losses["loss"], np.sum(parts), rtol=1e-6)
    np.testing.assert_allclose(
        parts[0], np.mean((images - out.reconstruction.numpy()) ** 2), rtol=1e-5
    )
    assert float(parts[2]) > 0


def test_further_losses_are_weighted_and_added():
    config = tiny(
        "vqvae.laplacian_weight=0.5",
        "vqvae.frequency_weight=2",
        PLAIN,
    )
    config = dataclasses.replace(config, protein_channel=1, protein_weight=6.0)
    images = images_of(config)
    out = VQVAE2(config)(images)
    errors = np.mean((images - out.reconstruction.numpy()) ** 2, axis=(0, 1, 2))
    weights = np.array([1, 6, 1]) * 3 / 8
    np.testing.assert_allclose(
        out.losses["reconstruction_loss"], np.mean(weights * errors), rtol=1e-5
    )
    np.testing.assert_allclose(
        out.losses["reconstruction_mse"], np.mean(errors), rtol=1e-5
    )
    pair = (images, out.reconstruction, config.channel_weights)
    of_terms = {
        "laplacian": 0.5 * losses.laplacian_loss(*pair),
        "frequency": 2 * losses.focal_frequency_loss(*pair),
    }
    for name, expected in of_terms.items():
        np.testing.assert_allclose(out.losses[f"{name}_loss"], expected, rtol=1e-5)
    named = ("reconstruction", *of_terms, "commitment", "codebook")
    parts = [out.losses[f"{name}_loss"] for name in named]
    np.testing.assert_allclose(out.losses["loss"], np.sum(parts), rtol=1e-6)


def test_the_bottom_codes_depend_on_the_top_codes():
    config = tiny()
    autoencoder = VQVAE2(config)
    images = images_of(config)
    before = autoencoder.encode(images)
    embeddings = autoencoder.top_quantizer.embeddings
    embeddings.assign(-3 * embeddings.numpy())
    assert not np.array_equal(before.bottom, autoencoder.encode(images).bottom)


def test_the_reconstruction_of_one_level_does_not_depend_on_the_other():
    config = tiny(PLAIN)
    autoencoder = VQVAE2(config)
    levels = autoencoder.reconstruct_levels(images_of(config))
    codes = levels.codes
    np.testing.assert_allclose(levels.full, autoencoder.decode(codes), atol=1e-6)
    # With every embedding equal to the mean, a level has no information.
    for level, alone in (("bottom", levels.top_only), ("top", levels.bottom_only)):
        quantizer = getattr(autoencoder, f"{level}_quantizer")
        embeddings = quantizer.embeddings.numpy()
        mean = quantizer.mean_embedding().numpy()
        quantizer.embeddings.assign(np.broadcast_to(mean, embeddings.shape))
        np.testing.assert_allclose(alone, autoencoder.decode(codes), atol=1e-5)
        quantizer.embeddings.assign(embeddings)


def test_bottom_dropout_drops_the_bottom_codes_of_its_share_of_images():
    config = tiny("vqvae.bottom_dropout=0.5", PLAIN)
    autoencoder = VQVAE2(config)
    images = np.repeat(images_of(config, batch=1), 64, axis=0)
    autoencoder(images, training=True)  # the first batch initializes the codebooks
    out = autoencoder(images, training=True)
    rows = out.reconstruction.numpy()
    kinds = np.unique(np.round(rows.reshape(64, -1), 4), axis=0)
    assert len(kinds) == 2
    dropped = np.isclose(rows.reshape(64, -1)[:, :50], kinds[0][:50], atol=1e-3).all(1)
    assert 16 < dropped.sum() < 48
    assert len(np.unique(autoencoder(images).reconstruction.numpy()[:, 0, 0, 0])) == 1


def test_every_weight_has_a_gradient():
    config = tiny("vqvae.codebook_update=gradient")
    autoencoder = VQVAE2(config)
    images = images_of(config)
    autoencoder(images, training=True)
    with tf.GradientTape() as tape:
        loss = autoencoder(images, training=True).losses["loss"]
    gradients = tape.gradient(loss, autoencoder.trainable_variables)
    for variable, gradient in zip(
        autoencoder.trainable_variables, gradients, strict=True
    ):
        assert gradient is not None, variable.path
        assert float(tf.reduce_max(tf.abs(tf.convert_to_tensor(gradient)))) > 0, (
            variable.path
        )


def test_weights_losses_and_images_are_float32_with_bfloat16():
    config = tiny("vqvae.precision=bfloat16")
    autoencoder = VQVAE2(config)
    out = autoencoder(images_of(config), training=True)
    assert out.reconstruction.dtype == tf.float32
    assert all(loss.dtype == tf.float32 for loss in out.losses.values())
    assert {v.dtype for v in autoencoder.variables} == {"float32", "int64"}


def test_texture_noise_does_not_change_the_gradients_of_other_weights():
    config = tiny("vqvae.codebook_update=gradient")
    finished, plain = (
        VQVAE2(config),
        VQVAE2(tiny("vqvae.codebook_update=gradient", PLAIN)),
    )
    images = images_of(config)
    for autoencoder in (finished, plain):
        autoencoder.build()
    rest = finished.trainable_variables[: len(plain.trainable_variables)]
    for own, others in zip(plain.trainable_variables, rest, strict=True):
        own.assign(others)
    gradients = []
    for autoencoder in (finished, plain):
        with tf.GradientTape() as tape:
            loss = autoencoder(images).losses["loss"]
        found = tape.gradient(loss, autoencoder.trainable_variables)
        gradients.append([tf.convert_to_tensor(gradient) for gradient in found])
    for own, others in zip(gradients[1], gradients[0], strict=False):
        np.testing.assert_allclose(own, others, rtol=1e-4, atol=1e-7)
    assert len(gradients[0]) == len(gradients[1]) + len(finished.grain.weights)


def test_the_loss_of_texture_noise_is_squared_error_and_local_power():
    config = tiny("vqvae.texture_noise_weight=3")
    images = images_of(config)
    out = VQVAE2(config)(images)
    pair = (images, out.reconstruction)
    clipped = (images, np.clip(out.reconstruction, 0, 1))
    np.testing.assert_allclose(
        out.losses["local_power_loss"],
        losses.mean_squared_error(*clipped) + 3 * losses.local_power_loss(*clipped),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        out.losses["reconstruction_mse"], losses.mean_squared_error(*pair), rtol=1e-6
    )


def test_texture_noise_depends_on_the_codes_only():
    config = tiny()
    autoencoder = VQVAE2(config)
    top, bottom = autoencoder.encode(images_of(config, batch=3))
    alone = autoencoder.decode((top[1:2], bottom[1:2]))
    np.testing.assert_allclose(autoencoder.decode((top, bottom))[1:2], alone, atol=1e-6)
    other = tf.concat([bottom[1:2, :, :-1], (bottom[1:2, :, -1:] + 1) % 6], axis=2)
    far = np.s_[0, :, :8]  # the changed column has no influence here
    assert np.mean(autoencoder.decode((top[1:2], other))[far] != alone[far]) > 0.3
