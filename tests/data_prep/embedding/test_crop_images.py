import numpy as np
import pytest
import tensorflow as tf

from data_prep.embedding.crop_images import CropImages
from tests import support
from tfvqgen.data.crops import read_crops
from tfvqgen.errors import DataError, UserError


def make(folder, count=3, **options):
    options = {"shape": (8, 8, 4), **options}
    return support.make_crops(folder / "crops", [["a"]] * count, **options)


def read_all(images):
    read = images.reader()
    return [read(tf.constant(i, tf.int64)).numpy() for i in range(len(images))]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [3, 4, 6])
def test_chosen_channels_are_reduced_by_the_mean_over_the_area(
    tmp_path, dtype, channels
):
    folder = make(tmp_path, shape=(8, 8, channels), dtype=dtype)
    images = CropImages(read_crops(folder), ("blue", "red"), 4)
    for number, found in enumerate(read_all(images)):
        image = support.random_image((8, 8, channels), dtype, number)
        chosen = image[..., [2, 0]].astype(np.float64)
        expected = chosen.reshape(4, 2, 4, 2, 2).mean(axis=(1, 3))
        assert found.dtype == dtype
        # Sums of float32 may fall on the other side of a half.
        assert np.abs(found - expected).max() <= 0.5 + 1e-2


def test_crops_of_the_right_size_are_as_they_were(tmp_path):
    images = CropImages(read_crops(make(tmp_path)), ("green", "yellow"), 8)
    for number, found in enumerate(read_all(images)):
        image = support.random_image((8, 8, 4), seed=number)
        np.testing.assert_array_equal(found, image[..., [1, 3]])


def test_hashes_are_the_tables_or_else_computed(tmp_path):
    folder = make(tmp_path)
    images = CropImages(read_crops(folder), ("green",), 8)
    known = images.hashes()
    table = folder / "crops.csv"
    table.write_text(table.read_text().replace(known[1], ""))
    without = read_crops(folder)
    assert without.rows[1].sha256 == ""
    assert CropImages(without, ("green",), 8).hashes() == known


@pytest.mark.parametrize("channels", [("green", "pink"), ("green", "green")])
def test_wrong_channels_are_refused(tmp_path, channels):
    with pytest.raises(UserError, match="different ones of red, green, blue, yellow"):
        CropImages(read_crops(make(tmp_path)), channels, 8)


def test_crops_that_are_too_small_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"at least 16 pixels.*'crop0' of 8"):
        CropImages(read_crops(make(tmp_path)), ("green",), 16)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "no such image"),
        (lambda path: path.write_bytes(path.read_bytes()[:60]), "damaged PNG"),
        (lambda path: _replace(path, (8, 8, 3), "uint8"), "wrong image"),
        (lambda path: _replace(path, (8, 8, 4), "uint16"), "wrong image"),
        (lambda path: _replace(path, (8, 6, 4), "uint8"), "wrong image"),
        (lambda path: _replace(path, (4, 4, 4), "uint8"), "wrong image"),
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


def test_an_error_that_no_image_explains_stays_itself(tmp_path):
    images = CropImages(read_crops(make(tmp_path)), ("green",), 8)
    with pytest.raises(ZeroDivisionError):
        images.explain(ZeroDivisionError())


def _replace(path, shape, dtype):
    from tfvqgen.data.images import write_image

    write_image(path, support.random_image(shape, dtype))
