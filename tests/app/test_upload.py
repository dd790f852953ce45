import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.app.fake_model import FakeModel
from tests.support import random_image
from tfvqgen.app.upload import TooLarge, read_crop
from tfvqgen.data.images import encode_png
from tfvqgen.errors import UserError

SHAPE = (32, 32, 4)


def about(channels=4, dtype="uint8"):
    return FakeModel(channels, dtype).model_info


def planes(image, names):
    return {name: encode_png(image[..., [index]]) for index, name in enumerate(names)}


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_one_png_is_read_exactly(channels, dtype):
    image = random_image((32, 32, channels), dtype)
    read = read_crop({"a.png": encode_png(image)}, about(channels, dtype))
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, image)


@pytest.mark.parametrize("channels", [3, 5])
def test_grey_pngs_are_put_in_the_channels_order_by_their_names(channels):
    image, model = random_image((32, 32, channels), "uint16"), about(channels, "uint16")
    files = planes(image, [f"Cell_{name.upper()}.png" for name in model.channels])
    mixed = dict(sorted(files.items(), reverse=True))
    np.testing.assert_array_equal(read_crop(mixed, model), image)


def test_a_multiple_of_the_size_is_offered_to_be_reduced_by_means():
    image = random_image((96, 96, 4))
    files = {"large.png": encode_png(image)}
    with pytest.raises(TooLarge, match=r"reduced 3 times.*96 x 96") as caught:
        read_crop(files, about())
    assert caught.value.factor == 3
    read = read_crop(files, about(), reduce=True)
    for y, x in ((0, 0), (31, 31), (7, 20)):
        block = image[3 * y : 3 * y + 3, 3 * x : 3 * x + 3].astype(float)
        np.testing.assert_array_equal(read[y, x], np.round(block.mean(axis=(0, 1))))


def jpeg():
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32)).save(buffer, "JPEG")
    return buffer.getvalue()


GOOD = encode_png(random_image(SHAPE))
HUGE = GOOD[:16] + struct.pack(">II", 2**20 * 32, 2**20 * 32) + GOOD[24:]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "no file"),
        ({"a.png": b""}, "wrong format.*4 channels.*'a.png', empty"),
        ({"a.jpg": jpeg()}, "wrong format.*JPEG"),
        ({"a.npy": b"\x93NUMPY" + bytes(99)}, "a numpy array"),
        ({"a.png": GOOD[:100]}, "damaged PNG"),
        ({"a.png": HUGE}, "wrong size"),
        ({"a.png": encode_png(random_image((30, 32, 4)))}, "32 x 32.*with 32 x 30"),
        ({"a.png": encode_png(random_image((64, 32, 4)))}, "with 32 x 64"),
        ({"a.png": encode_png(random_image((16, 16, 4)))}, "with 16 x 16"),
        ({"a.png": encode_png(random_image((544, 544, 4)))}, "2 to 16 times"),
        ({"a.png": encode_png(random_image((32, 32, 3)))}, "wrong channels.*3"),
        ({"a.png": encode_png(random_image(SHAPE, "uint16"))}, "8 bits.*16 bits"),
        ({"a.png": GOOD, "b.png": GOOD}, "which file is which channel"),
        (
            dict.fromkeys(("red.png", "green.png", "blue.png", "yellow.png"), GOOD),
            "not all of them grey",
        ),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_what_does_not_fit_is_refused_in_words(files, words):
    with pytest.raises(UserError, match=words):
        read_crop(files, about())


@settings(max_examples=60, deadline=None)
@given(
    place=st.integers(0, len(GOOD) - 1),
    byte=st.integers(0, 255),
    end=st.integers(0, len(GOOD)),
    reduce=st.booleans(),
)
def test_damage_is_read_or_refused_in_words(place, byte, end, reduce):
    data = bytearray(GOOD)
    data[place] = byte
    try:
        image = read_crop({"a.png": bytes(data[:end])}, about(), reduce)
    except UserError:
        return
    assert image.shape == SHAPE and image.dtype == np.uint8
