import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from data_prep.embedding import extractor
from data_prep.embedding.crop_features import read_features
from tests import support
from tests.data_prep.embedding.test_run import TINY
from tfvqgen.data.crops import read_crops
from tfvqgen.data.images import read_image

WITHOUT_KERAS = """
import sys
sys.modules["keras"] = sys.modules["tfvqgen"] = sys.modules["data_prep"] = None
import numpy as np, tensorflow as tf
ask = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
found = ask(images=tf.constant(np.load(sys.argv[2])))["features"].numpy()
np.save(sys.argv[3], found)
"""


def make(folder, dtype="uint8"):
    from data_prep.embedding.feature_learning import embed

    crops = support.make_crops(
        folder / "crops",
        [["a"]] * 8,
        groups=[f"group{i // 4}" for i in range(8)],
        shape=(32, 32, 4),
        dtype=dtype,
    )
    embed(crops, overrides=[*TINY, "steps=1"], strategy="one_device")
    return crops


def images(crops):
    folder = read_crops(crops)
    paths = [folder.image_path(crop) for crop in folder.rows]
    return np.stack([read_image(path, folder.channels) for path in paths])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return make(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def crops(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "crops")


def test_it_gives_the_features_of_the_crops_where_keras_is_not(finished, tmp_path):
    np.save(tmp_path / "images.npy", images(finished))
    names = [finished / "inpainting" / "extractor"]
    names += [tmp_path / "images.npy", tmp_path / "found.npy"]
    subprocess.run([sys.executable, "-c", WITHOUT_KERAS, *names], check=True)
    expected = read_features(finished).values
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), expected, atol=1e-6)


def test_crops_of_16_bits_have_an_extractor_of_their_own(tmp_path):
    crops = make(tmp_path, "uint16")
    loaded = tf.saved_model.load(str(crops / "inpainting" / "extractor"))
    found = loaded.signatures["serving_default"](images=tf.constant(images(crops)))
    expected = read_features(crops).values
    np.testing.assert_allclose(found["features"], expected, atol=1e-6)


def test_it_says_which_network_and_channels_it_has(finished):
    path = finished / "inpainting" / "extractor" / "assets" / "about.json"
    about, features = json.loads(path.read_text()), read_features(finished)
    assert (about["model"], about["config"]) == (features.model, features.config)
    folder = read_crops(finished)
    assert (tuple(about["channels"]), about["dtype"]) == (folder.channels, "uint8")


@pytest.mark.parametrize("shape", [(1, 32, 31, 4), (1, 8, 8, 4)])
def test_images_that_it_cannot_reduce_are_refused(finished, shape):
    loaded = tf.saved_model.load(str(finished / "inpainting" / "extractor"))
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least 16 pixels"):
        loaded.signatures["serving_default"](images=tf.zeros(shape, tf.uint8))


def again(crops, steps):
    from data_prep.embedding.feature_learning import embed

    embed(crops, overrides=[f"steps={steps}"], strategy="one_device")


def test_a_network_that_learnt_more_has_a_new_extractor(crops):
    again(crops, steps=2)
    loaded = tf.saved_model.load(str(crops / "inpainting" / "extractor"))
    found = loaded.signatures["serving_default"](images=tf.constant(images(crops)))
    expected = read_features(crops).values
    np.testing.assert_allclose(found["features"], expected, atol=1e-6)


def test_an_extractor_that_could_not_be_written_leaves_the_old_one(crops, monkeypatch):
    folder = crops / "inpainting"
    before = support.digest_of_folder(folder / "extractor")

    def fail(*args):
        args[0].mkdir()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(extractor, "_save", fail)
        with pytest.raises(OSError, match=r"No space.*extractor"):
            again(crops, steps=2)
    assert support.digest_of_folder(folder / "extractor") == before
    assert not list(folder.glob(".extractor*"))


def test_a_missing_extractor_is_made_and_what_a_killed_run_left_removed(crops):
    folder = crops / "inpainting"
    shutil.rmtree(folder / "extractor")
    (folder / ".extractor-left" / "made").mkdir(parents=True)
    again(crops, steps=1)
    assert (folder / "extractor" / "saved_model.pb").is_file()
    assert not list(folder.glob(".extractor*"))
