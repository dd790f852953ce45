import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tests import support
from tests.generators import make_generator
from tfvqgen.errors import DataError, UserError
from tfvqgen.evaluation.extractors import (
    RandomNetwork,
    SavedModelExtractor,
    choose_extractors,
    extract_features,
    frechet_name,
)
from tfvqgen.evaluation.image_sets import ImageSet

IMAGES = np.stack([support.random_image((16, 16, 4), seed=i) for i in range(3)])
MEANS = IMAGES.mean(axis=(1, 2)) / 255


@pytest.fixture(scope="module")
def info():
    return make_generator(4).model_info


def save(folder, function, shape=(None, 16, 16, 4), dtype=tf.float32, name=None):
    """Exports a function of images as a signature, `serving_default` by default."""
    module = tf.Module()
    module.function = tf.function(
        function, input_signature=[tf.TensorSpec(shape, dtype, name="images")]
    )
    signatures = {name or "serving_default": module.function}
    tf.saved_model.save(module, folder, signatures)
    return folder


def means(images):
    return {"features": tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2])}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Returns a SavedModel that returns the means of the four channels."""
    return save(tmp_path_factory.mktemp("models") / "means", means)


def test_images_have_the_type_of_the_signature(tmp_path, model, info):
    bits16 = dataclasses.replace(info, dtype="uint16")
    faint = np.full((1, 16, 16, 4), 3, np.uint16)
    found = SavedModelExtractor(model, "m", bits16).features(faint)
    np.testing.assert_allclose(found, np.full((1, 4), 3 / 65535), rtol=1e-5)
    path = save(tmp_path, means, dtype=tf.uint16)
    extractor = SavedModelExtractor(path, "m", info)
    np.testing.assert_allclose(extractor.features(IMAGES), MEANS * 65535, rtol=1e-5)
    assert (extractor.name, extractor.size) == ("m", 4)


def test_three_channels_are_those_displayed_red_green_and_blue(tmp_path, info):
    display = {"red": "yellow", "green": "green", "blue": None}
    info = dataclasses.replace(info, display=display)
    path = save(tmp_path, means, shape=(None, 16, 16, 3))
    expected = MEANS[:, [3, 1, 0]] * [1, 1, 0]
    found = SavedModelExtractor(path, "m", info).features(IMAGES)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "classify"}, "the signatures classify"),
        (
            {"shape": (None, 16, 16, 2)},
            r"images of 2 channels where the data have 4 \(red, green, blue, yellow\)",
        ),
        ({"function": lambda x: {"x": x}}, r"float32 \(1, 16, 16, 4\) of one image"),
    ],
)
def test_a_saved_model_that_does_not_fit_is_refused(tmp_path, info, changes, words):
    save(tmp_path, **{"function": means, **changes})
    with pytest.raises(DataError, match=f"expected a SavedModel whose.*{words}"):
        SavedModelExtractor(tmp_path, "m", info)


def test_missing_and_damaged_saved_models_are_refused(tmp_path, info):
    with pytest.raises(DataError, match=r"with no saved_model\.pb"):
        SavedModelExtractor(tmp_path, "m", info)
    (tmp_path / "saved_model.pb").write_bytes(b"no model")
    with pytest.raises(DataError, match="with a damaged model"):
        SavedModelExtractor(tmp_path, "m", info)
    with pytest.raises(UserError, match="cannot read from such a path"):
        SavedModelExtractor(tmp_path / "a[1]", "m", info)


class MeansExtractor:
    name, size = "classifier", 3

    def features(self, images):
        return images.mean(axis=(1, 2)).astype(np.float32)


def test_extractors_are_returned_in_order_with_their_names(model, info):
    names = ["random", "classifier", str(model), f"inception={model}", f"my={model}"]
    found = choose_extractors(names, info, MeansExtractor)
    expected = ["random", "classifier", "means", "inception", "my"]
    assert [one.name for one in found] == expected
    with pytest.raises(UserError, match="two extractors have the same name"):
        choose_extractors([str(model), f"means={model}"], info, MeansExtractor)
    assert frechet_name("inception") == "FID" and frechet_name("my") == "FD-my"
    # The classifier is trained last.
    with pytest.raises(DataError, match="with no saved_model"):
        choose_extractors(["classifier", "my=nowhere"], info, lambda: 1 / 0)


@pytest.mark.parametrize("text", ["=x", "x=", "random=x", "clasifier", "inception"])
def test_unknown_and_reserved_names_are_refused(text, tmp_path, info, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inception").mkdir()
    with pytest.raises(UserError, match="no extractor: expected classifier, random"):
        choose_extractors([text], info, MeansExtractor)


def test_the_random_network_is_always_the_same_convolution():
    images = IMAGES[..., :3]
    found = RandomNetwork(3).features(images)
    again = np.concatenate([RandomNetwork(3).features(x[None]) for x in images])
    np.testing.assert_allclose(again, found, rtol=1e-5)
    kernel = np.random.default_rng(0).normal(0, np.sqrt(2 / 27), (3, 3, 3, 32))
    padded = np.pad(images[0] / 255, ((1, 1), (1, 1), (0, 0)))
    maps = sum(
        padded[y : y + 16, x : x + 16] @ kernel[y, x]
        for y in range(3)
        for x in range(3)
    )
    expected = np.maximum(maps, 0).mean(axis=(0, 1))
    np.testing.assert_allclose(found[0, :32], expected, rtol=1e-4)
    assert found.shape == (3, RandomNetwork.size)


def test_features_have_the_order_of_the_images_and_must_be_finite(tmp_path):
    split = support.make_dataset(tmp_path, {"test": 40}).split("test")
    chosen = ImageSet.of_split(split).take([39, 3, *range(35)])
    found = extract_features(MeansExtractor(), chosen, "crops")
    np.testing.assert_allclose(found, chosen.read().mean(axis=(1, 2)), rtol=1e-6)

    class Broken(MeansExtractor):
        def features(self, images):
            return super().features(images) * np.nan

    with pytest.raises(DataError, match=r"extractor classifier fails.*with NaN"):
        extract_features(Broken(), chosen, "crops")
    Broken.size = 4
    with pytest.raises(DataError, match=r"finite features \[32, 4\]"):
        extract_features(Broken(), chosen, "crops")
