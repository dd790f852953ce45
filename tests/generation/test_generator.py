import numpy as np
import tensorflow as tf

from tests.generators import CODES, LABELS, make_generator
from tests.support import random_image
from tfvqgen.generation.generator import BOTTOM_SEED_BITS
from tfvqgen.losses import nats_per_code, to_bits
from tfvqgen.models import Codes
from tfvqgen.sampling import ancestral_sample_reference


def request(rows, seed=0):
    """Returns labels, seeds, temperatures, top_ps and guidances, all different."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, size=[rows, len(LABELS)]).astype(np.float32)
    return (
        labels,
        rng.integers(0, 2**63 - 1, size=rows),
        rng.uniform(0.5, 1.5, size=rows).astype(np.float32),
        rng.uniform(0.5, 1, size=rows).astype(np.float32),
        np.float32([0, 1.5] * rows)[:rows],
    )


def test_cells_are_the_decoded_codes_of_both_priors():
    generator = make_generator(4, "uint16")
    labels, seeds, temperature, top_p, guidance = request(3)
    cells = generator.generate(labels, seeds, temperature, top_p, guidance)
    sampling = temperature, top_p, guidance
    top = ancestral_sample_reference(generator.top, seeds, labels, None, *sampling)
    bottom = ancestral_sample_reference(
        generator.bottom, seeds ^ BOTTOM_SEED_BITS, labels, top, *sampling
    )
    np.testing.assert_array_equal(cells.top_codes, top)
    np.testing.assert_array_equal(cells.bottom_codes, bottom)
    exact = generator.autoencoder.decode(Codes(top, bottom)).numpy()
    assert cells.image.dtype == "uint16"
    np.testing.assert_allclose(cells.image / 65535, exact, atol=0.51 / 65535)


def test_the_levels_have_different_noise():
    # With constant logits, a code is the one with the largest noise.
    generator = make_generator(4, "uint16")
    models = (generator.top, generator.bottom)
    saved = [model.get_weights() for model in models]
    try:
        for model in models:
            model.head.assign(tf.zeros_like(model.head))
            model.head_bias.assign(tf.zeros_like(model.head_bias))
        labels, seeds, *_ = request(200, seed=1)
        ones = np.ones(200)
        cells = generator.generate(labels, seeds, ones, ones, 0 * ones)
    finally:
        for model, values in zip(models, saved, strict=True):
            model.set_weights(values)
    same = np.mean(cells.top_codes == np.asarray(cells.bottom_codes)[:, :2, :2])
    assert abs(same - 1 / CODES) < 0.05


def test_completion_keeps_the_codes_of_whole_patches_and_samples_the_rest():
    generator = make_generator(4, "uint16")
    image = np.stack([random_image((16, 16, 4), "uint16", i) for i in range(2)])
    mask = np.zeros([2, 16, 16], np.float32)
    mask[0, :, :8] = 1
    mask[1] = 1
    mask[1, 0, 0] = 0
    rows = request(2)
    cells = generator.complete(image, mask, *rows)
    given = generator.encode(image * mask[..., None].astype(np.uint16))
    kept_top = np.array([[[1, 0], [1, 0]], [[0, 1], [1, 1]]], bool)
    kept_bottom = np.ones([2, 4, 4], bool)
    kept_bottom[0, :, 2:] = False
    kept_bottom[1, 0, 0] = False
    for codes, wanted, kept in (
        (cells.top_codes, given.top, kept_top),
        (cells.bottom_codes, given.bottom, kept_bottom),
    ):
        np.testing.assert_array_equal(np.asarray(codes)[kept], np.asarray(wanted)[kept])
    expected = ancestral_sample_reference(
        generator.top, rows[1], rows[0], None, *rows[2:], given.top, kept_top
    )
    np.testing.assert_array_equal(cells.top_codes, expected)
    np.testing.assert_array_equal(
        cells.image, generator.decode(Codes(cells.top_codes, cells.bottom_codes))
    )


def test_the_score_is_the_loss_of_training_in_bits():
    generator = make_generator(4, "uint16")
    image = np.stack([random_image((16, 16, 4), "uint16", i) for i in range(3)])
    labels = request(3)[0]
    top_bits, bottom_bits = generator.score(image, labels)
    codes = generator.autoencoder.encode(image.astype(np.float32) / 65535)
    top = nats_per_code(generator.top.logits(codes.top, labels), codes.top)
    logits = generator.bottom.logits(codes.bottom, labels, condition=codes.top)
    np.testing.assert_allclose(top_bits, to_bits(top), rtol=1e-6)
    np.testing.assert_allclose(
        bottom_bits, to_bits(nats_per_code(logits, codes.bottom)), rtol=1e-6
    )
