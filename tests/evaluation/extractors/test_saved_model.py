import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests import support
from tests.generators import make_generator
from tfvqgen.errors import DataError, UserError
from tfvqgen.evaluation.extractors.saved_model import SavedModelExtractor

ABOUT = make_generator(4).model_info
IMAGES = np.stack([support.random_image((16, 16, 4), seed=i) for i in range(3)])


def save(folder, function, shape=(None, 16, 16, 4), dtype=tf.float32):
    """Exports a function of images as the default signature."""
    module = tf.Module()
    module.function = tf.function(
        lambda images: {"found": function(images)},
        input_signature=[tf.TensorSpec(shape, dtype, name="pictures")],
    )
    tf.saved_model.save(module, folder, {"serving_default": module.function})
    return folder


def means(images):
    return tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2])


@pytest.mark.parametrize(
    ("dtype", "scale"), [(tf.float32, 1), (tf.uint8, 255), (tf.uint16, 65535)]
)
def test_it_is_given_images_of_the_type_that_it_takes(tmp_path, dtype, scale):
    extractor = SavedModelExtractor(save(tmp_path, means, dtype=dtype), "m", ABOUT)
    expected = IMAGES.mean(axis=(1, 2)) / 255 * scale
    np.testing.assert_allclose(extractor.features(IMAGES), expected, rtol=1e-5)
    assert (extractor.name, extractor.size) == ("m", 4)


def test_sixteen_bits_are_not_cut_to_eight_where_it_takes_numbers(tmp_path):
    about = dataclasses.replace(ABOUT, dtype="uint16")
    extractor = SavedModelExtractor(save(tmp_path, means), "m", about)
    faint = np.full((1, 16, 16, 4), 3, np.uint16)
    expected = np.full((1, 4), 3 / 65535)
    np.testing.assert_allclose(extractor.features(faint), expected, rtol=1e-5)


def test_one_of_three_channels_is_given_those_shown_red_green_and_blue(tmp_path):
    display = {"red": "yellow", "green": "green", "blue": None}
    about = dataclasses.replace(ABOUT, display=display)
    path = save(tmp_path, means, shape=(None, 16, 16, 3))
    found = SavedModelExtractor(path, "m", about).features(IMAGES)
    expected = IMAGES.mean(axis=(1, 2))[:, [3, 1, 0]] / 255
    expected[:, 2] = 0
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_images_are_brought_to_its_size(tmp_path):
    path = save(
        tmp_path, lambda x: tf.reshape(x, [-1, 8 * 8 * 4]), shape=(None, 8, 8, 4)
    )
    blocks = np.random.default_rng(0).integers(0, 255, (1, 8, 8, 4), np.uint8)
    flat = np.full_like(blocks, 90)
    extractor = SavedModelExtractor(path, "m", ABOUT)
    found = extractor.features(flat.repeat(2, axis=1).repeat(2, axis=2))
    np.testing.assert_allclose(found, np.full((1, 256), 90 / 255), rtol=1e-5)
    # Halved with antialiasing, no block's mean can be far from what it was.
    found = extractor.features(blocks.repeat(2, axis=1).repeat(2, axis=2))
    correlation = np.corrcoef(found[0], blocks.ravel())[0, 1]
    assert correlation > 0.9


def two_outputs(folder):
    module = tf.Module()
    module.function = tf.function(
        lambda x: {"a": means(x), "b": means(x)},
        input_signature=[tf.TensorSpec((None, 16, 16, 4), tf.float32)],
    )
    tf.saved_model.save(module, folder, {"serving_default": module.function})


def another_signature(folder):
    module = tf.Module()
    module.function = tf.function(
        means, input_signature=[tf.TensorSpec((None, 16, 16, 4), tf.float32)]
    )
    tf.saved_model.save(module, folder, {"classify": module.function})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: None, "without saved_model.pb"),
        (
            lambda folder: (folder / "saved_model.pb").write_bytes(b"no model"),
            "damaged SavedModel",
        ),
        (another_signature, "the signatures classify"),
        (two_outputs, "the outputs a, b"),
        (
            lambda folder: save(folder, means, shape=(None, 16, 16, 2)),
            r"images of 2 channels where the data have 4 \(red, green, blue, yellow\)",
        ),
        (
            lambda folder: save(folder, means, dtype=tf.int32),
            r"pictures int32 \[batch, 16, 16, 4\]",
        ),
        (
            lambda folder: save(folder, lambda x: tf.identity(x)),
            r"float32 \[batch, 16, 16, 4\] of one image",
        ),
        (
            lambda folder: save(folder, lambda x: tf.argmax(means(x)[:, None], -1)),
            "int64 .* of one image",
        ),
    ],
)
def test_what_is_no_extractor_is_refused_with_what_was_expected(tmp_path, make, words):
    make(tmp_path)
    with pytest.raises(
        DataError, match=f"expected a SavedModel whose.*{words}|{words}"
    ):
        SavedModelExtractor(tmp_path, "m", ABOUT)


def test_one_in_a_folder_that_tensorflow_cannot_read_from_is_refused(tmp_path):
    with pytest.raises(UserError, match="cannot read from such a path"):
        SavedModelExtractor(save(tmp_path / "a[1]", means), "m", ABOUT)
