import hashlib
import pathlib
import zlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import support
from tfvqgen.data import images
from tfvqgen.errors import DataError, UserError

SHAPES = st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(1, 8))


@settings(max_examples=15, deadline=None)
@given(SHAPES, st.sampled_from(images.DTYPES), st.integers(0, 2**32 - 1))
def test_images_come_back_exactly(tmp_path_factory, shape, dtype, seed):
    image = support.random_image(shape, dtype, seed)
    channels = support.CHANNELS[: shape[-1]]
    name = "crop_{channel}.png" if shape[-1] > 4 else "crop.png"
    path = tmp_path_factory.mktemp("images") / name
    images.write_image(path, image, channels)
    back = images.read_image(path, channels)
    assert back.dtype == image.dtype
    np.testing.assert_array_equal(back, image)


@pytest.mark.parametrize(("channels", "dtype"), [(2, "uint8"), (4, "uint16")])
def test_pngs_are_exchanged_with_tensorflow(channels, dtype):
    image = support.random_image((5, 7, channels), dtype)
    data = images.encode_png(image)
    decoded = tf.io.decode_png(data, dtype=tf.as_dtype(dtype))
    np.testing.assert_array_equal(decoded, image)
    other = tf.io.encode_png(image).numpy()
    np.testing.assert_array_equal(images.decode_png(other), image)


def test_many_channels_are_grey_files_named_after_them(tmp_path):
    image = support.random_image((4, 4, 5), "uint16")
    channels = support.CHANNELS[:5]
    digest = images.write_image(tmp_path / "a_{channel}.png", image, channels)
    files = [tmp_path / f"a_{name}.png" for name in channels]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    data = b"".join(file.read_bytes() for file in files)
    assert digest == hashlib.sha256(data).hexdigest()
    for index, file in enumerate(files):
        np.testing.assert_array_equal(
            images.read_image(file)[..., 0], image[..., index]
        )


def test_a_wrong_number_of_channel_names_is_refused(tmp_path):
    image = support.random_image((4, 4, 3))
    with pytest.raises(UserError, match="expected 3 names"):
        images.write_image(tmp_path / "a_{channel}.png", image, ("red", "green"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("shape", "dtype"), [((4, 4), "uint8"), ((4, 4, 3), "f4"), ((4, 4, 9), "uint8")]
)
def test_an_array_that_is_no_image_is_refused(tmp_path, shape, dtype):
    with pytest.raises(UserError, match="not an image"):
        images.write_image(tmp_path / "a.png", np.zeros(shape, dtype))
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_png_or_a_cut_one_is_named(tmp_path):
    path = tmp_path / "a.png"
    images.write_image(path, support.random_image((30, 30, 3)))
    for data in (b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", path.read_bytes()[:1000]):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"PNG.*a\.png"):
            images.read_image(path)


def test_a_composite_has_the_chosen_channels_and_black():
    image = support.random_image((3, 4, 5))
    picture = images.composite(image, (4, None, 0))
    np.testing.assert_array_equal(picture[..., 0], image[..., 4])
    np.testing.assert_array_equal(picture[..., 1], 0)
    np.testing.assert_array_equal(picture[..., 2], image[..., 0])


def test_a_composite_of_16_bits_is_rounded_to_8():
    image = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    expected = np.rint(np.arange(65536) / 257).reshape(256, 256)
    np.testing.assert_array_equal(images.composite(image, (0, 0, 0))[..., 1], expected)


def test_an_image_that_cannot_be_written_is_named_and_leaves_nothing(
    tmp_path, monkeypatch
):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space") as error:
        images.write_image(tmp_path / "a.png", support.random_image((4, 4, 3)))
    assert error.value.filename == str(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("side", [images.MAX_SIDE + 1, 2**32 - 1])
def test_a_huge_image_is_refused_before_it_is_decoded(side):
    data = bytearray(images.encode_png(np.zeros((4, 4, 1), np.uint8)))
    data[16:20] = side.to_bytes(4, "big")
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(
        DataError, match="image too large: expected sides of at most 8192"
    ):
        images.decode_png(bytes(data))
