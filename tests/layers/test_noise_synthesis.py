import numpy as np
import scipy.ndimage
import tensorflow as tf

from tfvqgen.layers import NoiseSynthesis, noise_like, seeds_of_codes


def inputs(seed=0, shape=(2, 12, 16, 3)):
    rng = np.random.default_rng(seed)
    batch, height, width, _ = shape
    mean = rng.uniform(size=shape).astype(np.float32)
    noise = rng.normal(size=shape).astype(np.float32)
    features = rng.normal(size=(batch, height // 2, width // 2, 5)).astype(np.float32)
    return mean, features, noise


def filtered(planes, taps):
    """Correlates each channel with its filter; scipy's `reflect` repeats the border."""
    return np.stack(
        [
            [
                scipy.ndimage.correlate(plane[..., c], taps[..., c, 0], mode="reflect")
                for c in range(planes.shape[-1])
            ]
            for plane in planes
        ]
    ).transpose(0, 2, 3, 1)


def test_an_untrained_layer_only_adds_faint_noise():
    layer = NoiseSynthesis()
    mean, features, noise = inputs()
    np.testing.assert_allclose(layer(mean, features, 0 * noise), mean, atol=1e-6)
    added = layer(mean, 0 * features, noise) - mean
    expected = noise * np.log1p(np.exp(-2)) * np.sqrt(mean)
    np.testing.assert_allclose(added, expected, atol=1e-5)


def test_images_are_filtered_and_mixed_filtered_noise_of_local_amplitude_is_added():
    layer = NoiseSynthesis()
    mean, features, noise = inputs()
    layer(mean, features, noise)
    rng = np.random.default_rng(1)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape))
    amplitude = tf.image.resize(
        np.log1p(np.exp(layer.strength(features))), mean.shape[1:3], "bilinear"
    )
    texture = filtered(noise @ layer.mixing.numpy(), layer.texture.numpy())
    sharp = filtered(mean, layer.sharpening.numpy())
    expected = sharp + amplitude * np.sqrt(mean) * texture
    np.testing.assert_allclose(layer(mean, features, noise), expected, atol=1e-4)


def test_noise_is_standard_normal_and_depends_on_the_seed_of_its_row_only():
    images = tf.zeros([3, 64, 64, 4])
    seeds = tf.constant([[1, 2], [3, 4], [1, 2]])
    noise = noise_like(images, seeds).numpy()
    np.testing.assert_array_equal(noise[0], noise[2])
    np.testing.assert_array_equal(noise_like(images[:1], seeds[1:2])[0], noise[1])
    assert abs(noise[:2].mean()) < 0.02
    assert abs(noise[:2].std() - 1) < 0.02
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.03


def test_a_code_that_changes_or_moves_changes_the_seed():
    rng = np.random.default_rng(0)
    top = rng.integers(512, size=(1, 8, 8), dtype=np.int32)
    bottom = rng.integers(512, size=(1, 16, 16), dtype=np.int32)
    maps = [(top, bottom), (top, bottom[:, ::-1]), (top, bottom.transpose(0, 2, 1))]
    for place in np.ndindex(8, 8):
        changed = top.copy()
        changed[0][place] += 1
        maps.append((changed, bottom))
    seeds = {tuple(seeds_of_codes(*each).numpy()[0]) for each in maps}
    assert len(seeds) == len(maps)
