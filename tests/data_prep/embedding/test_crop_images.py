import numpy as np
import pytest
import tensorflow as tf

from data_prep.embedding.crop_images import CropImages
from tests import support
from tests.support import random_image
from tfvqgen.data.crops import read_crops
from tfvqgen.data.images import write_image
from tfvqgen.errors import DataError, UserError


def make(folder, count=3, **options):
    options = {"shape": (8, 8, 4), **options}
    return support.make_crops(folder / "crops", [["a"]] * count, **options)


def read_all(images):
    read = images.reader()
    return [read(tf.constant(i, tf.int64)).numpy() for i in range(len(images))]


@pytest.mark.parametrize(
    ("dtype", "channels"), [("uint8", 3), ("uint16", 4), ("uint16", 6)]
)
def test_selected_channels_are_averaged_over_areas(tmp_path, dtype, channels):
    folder = make(tmp_path, shape=(8, 8, channels), dtype=dtype)
    images = CropImages(read_crops(folder), ("blue", "red"), 4)
    for number, found in enumerate(read_all(images)):
        image = support.random_image((8, 8, channels), dtype, number)
        chosen = image[..., [2, 0]].astype(np.float64)
        expected = chosen.reshape(4, 2, 4, 2, 2).mean(axis=(1, 3))
        assert found.dtype == dtype
        # Sums of float32 may fall on the other side of a half.
        assert np.abs(found - expected).max() <= 0.5 + 1e-2


def test_crops_of_the_requested_size_are_unchanged(tmp_path):
    images = CropImages(read_crops(make(tmp_path)), ("green", "yellow"), 8)
    for number, found in enumerate(read_all(images)):
        image = support.random_image((8, 8, 4), seed=number)
        np.testing.assert_array_equal(found, image[..., [1, 3]])


def test_wrong_channels_and_small_crops_are_refused(tmp_path):
    folder = read_crops(make(tmp_path))
    for channels in (("green", "pink"), ("green", "green")):
        with pytest.raises(UserError, match="different names of red, green, blue, yel"):
            CropImages(folder, channels, 8)
    with pytest.raises(DataError, match=r"at least 16 pixels.*'crop0' of 8"):
        CropImages(folder, ("green",), 16)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "no such image"),
        (lambda path: path.write_bytes(path.read_bytes()[:60]), "damaged PNG"),
        (lambda path: write_image(path, random_image((8, 8, 3))), "wrong image"),
        (lambda path: write_image(path, random_image((8, 8, 4), "uint16")), "wrong"),
        (lambda path: write_image(path, random_image((8, 6, 4))), "wrong image"),
        (lambda path: write_image(path, random_image((4, 4, 4))), "wrong image"),
    ],
)
def test_an_image_that_cannot_be_read_is_named(tmp_path, damage, message):
    folder = make(tmp_path)
    images = CropImages(read_crops(folder), ("green", "blue"), 8)
    damage(folder / "images" / "crop1.png")
    with pytest.raises(tf.errors.OpError) as error:
        read_all(images)
    with pytest.raises(DataError, match=f"{message}.*crop1"):
        raise images.explain(error.value)
