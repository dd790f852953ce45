import errno
import gzip
import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_prep.fields import Field, Plane
from data_prep.images import field_images
from tests import support
from tests.data_prep import png_writer
from tfvqgen.data import images
from tfvqgen.errors import DataError

FILTERS = (4, 3, 2, 1, 0, 4, 4, 3, 3, 1, 2)


def _field(planes, field_id="field7"):
    return Field(field_id, planes, (), "group", {}, None)


def _jpeg(image, **options):
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, "JPEG", **options)
    return file.getvalue()


def _tiff(image, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, image, **options)
    return file.getvalue()


def _read(tmp_path, data, name="image.png"):
    path = tmp_path / name
    path.write_bytes(data)
    return field_images.read_image_file(path)


@pytest.mark.parametrize("dtype", images.DTYPES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_png_is_read_exactly_whatever_its_filters(tmp_path, channels, dtype):
    smooth = np.add.outer(np.arange(13) * 30, np.arange(11) * 900)[..., None]
    noise = support.random_image((13, 11, channels), dtype)
    for image in (noise, (smooth * np.arange(1, channels + 1)).astype(dtype)):
        data = png_writer.write_png(image, FILTERS)
        found = _read(tmp_path, data)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, image)
        np.testing.assert_array_equal(found, images.decode_png(data))


@settings(deadline=None)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(2, 4)),
    filters=st.lists(st.integers(0, 4), min_size=1, max_size=9),
    seed=st.integers(0, 999),
)
def test_16_bits_of_several_channels_are_read_exactly(shape, filters, seed):
    image = support.random_image(shape, "uint16", seed)
    data = png_writer.write_png(image, filters)
    np.testing.assert_array_equal(field_images.png.decode_png(data), image)


@pytest.mark.parametrize(
    ("channels", "dtype"),
    [(1, "uint8"), (1, "uint16"), (2, "uint8"), (3, "uint8"), (4, "uint8")],
)
def test_an_interlaced_png_is_read_exactly(tmp_path, channels, dtype):
    image = support.random_image((13, 11, channels), dtype)
    data = png_writer.write_png(image, FILTERS, interlaced=True)
    np.testing.assert_array_equal(_read(tmp_path, data), image)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("channels", [1, 4])
def test_rows_that_are_missing_are_not_taken_for_black_ones(channels, interlaced):
    image = support.random_image((12, 8, channels))
    half = image[:6]
    for pixels, height in ((half, 12), (image, 13)):
        data = png_writer.write_png(pixels, interlaced=interlaced, height=height)
        with pytest.raises(DataError, match="damaged"):
            field_images.decode_image(data)


def test_16_bits_of_several_channels_interlaced_are_refused(tmp_path):
    data = png_writer.write_png(
        support.random_image((8, 8, 4), "uint16"), interlaced=True
    )
    with pytest.raises(DataError, match=r"interlaced.*image\.png"):
        _read(tmp_path, data)


def test_what_a_png_says_beside_its_pixels_does_not_change_them(tmp_path):
    image = support.random_image((8, 8, 3))
    extra = [
        (b"gAMA", struct.pack(">I", 10_000)),
        (b"tRNS", struct.pack(">HHH", *image[0, 0])),
        (b"zTXt", b"bomb\0\0" + zlib.compress(bytes(30_000_000), 9)),
    ]
    data = png_writer.write_png(image, extra=extra)
    np.testing.assert_array_equal(_read(tmp_path, data), image)
    (tmp_path / "image.png").write_bytes(data)
    planes = {n: Plane(tmp_path / "image.png", i) for i, n in enumerate("abc")}
    png = field_images.whole_png(_field(planes))
    assert png == png_writer.write_png(image)


@pytest.mark.parametrize(
    ("header", "word"),
    [
        ({"colours": 3}, "palette"),
        ({"depth": 1}, "depth"),
        ({"depth": 4}, "depth"),
        ({"width": 0}, "absurd size"),
        ({"width": 100_000, "height": 100_000}, "absurd size"),
        ({"height": 9}, "damaged"),
        ({"width": 9}, "damaged"),
    ],
)
@pytest.mark.parametrize(("channels", "dtype"), [(1, "uint8"), (4, "uint16")])
def test_a_header_that_can_t_be_is_refused(tmp_path, header, word, channels, dtype):
    image = support.random_image((8, 8, channels), dtype)
    with pytest.raises(DataError, match=rf"{word}.*expected.*image\.png"):
        _read(tmp_path, png_writer.write_png(image, **header))


@pytest.mark.parametrize(("channels", "dtype"), [(1, "uint8"), (4, "uint16")])
def test_a_png_that_unpacks_to_more_than_it_says_is_no_bomb(tmp_path, channels, dtype):
    image = support.random_image((8, 8, channels), dtype)
    packed = png_writer.filtered_rows(image, [0]) + bytes(50_000_000)
    header = {
        "width": 8,
        "height": 8,
        "depth": 8 * image.dtype.itemsize,
        "colours": png_writer.COLOURS[channels],
    }
    data = png_writer.assemble(packed, header)
    try:
        found = _read(tmp_path, data)
    except DataError:
        return
    np.testing.assert_array_equal(found, image)


def test_a_large_tiff_and_a_large_jpeg_are_refused_before_they_are_unpacked(tmp_path):
    image = support.random_image((16, 16, 1))
    jpeg = bytearray(_jpeg(image))
    place = jpeg.index(b"\xff\xc0") + 5
    jpeg[place : place + 4] = struct.pack(">HH", 65_000, 65_000)
    with pytest.raises(DataError, match=r"absurd size.*65000 x 65000.*image\.jpg"):
        _read(tmp_path, bytes(jpeg), "image.jpg")
    tiff = _tiff(np.zeros((10_000, 10_000), np.uint8), compression="zlib")
    with pytest.raises(DataError, match=r"absurd size.*10000 x 10000.*image\.tif"):
        _read(tmp_path, tiff, "image.tif")


def test_a_strip_that_unpacks_to_more_than_it_should_is_refused(tmp_path):
    image = np.zeros((64, 64), np.uint16)
    tiff = bytearray(_tiff(image, compression="zlib", rowsperstrip=64))
    with tifffile.TiffFile(io.BytesIO(tiff)) as file:
        tags = file.pages[0].tags
        offset, count = tags["StripOffsets"], tags["StripByteCounts"]
    bomb = zlib.compress(bytes(50_000_000))
    for tag, value in ((offset, len(tiff)), (count, len(bomb))):
        size = {3: "<H", 4: "<I"}[tag.dtype]
        struct.pack_into(size, tiff, tag.valueoffset, value)
    with pytest.raises(DataError, match="damaged image"):
        _read(tmp_path, bytes(tiff) + bomb, "image.tif")


def test_gzip_is_unpacked_up_to_a_limit(tmp_path, monkeypatch):
    image = support.random_image((8, 8, 1))
    data = png_writer.write_png(image)
    found = _read(tmp_path, gzip.compress(data), "image.png.gz")
    np.testing.assert_array_equal(found, image)
    form = field_images.image_form(tmp_path / "image.png.gz")
    assert form == field_images.ImageForm(8, 8, 1, 8, "png")
    with pytest.raises(DataError, match="truncated"):
        _read(tmp_path, gzip.compress(data)[:-9], "image.png.gz")
    monkeypatch.setattr(field_images, "MAX_BYTES", 10_000)
    with pytest.raises(DataError, match="too large"):
        _read(tmp_path, gzip.compress(data + bytes(20_000)), "image.png.gz")
    with pytest.raises(DataError, match="too large"):
        _read(tmp_path, data + bytes(20_000))


EXAMPLES = {
    "grey.png": png_writer.write_png(support.random_image((9, 9, 1)), FILTERS),
    "deep.png": png_writer.write_png(support.random_image((9, 9, 1), "uint16")),
    "four.png": png_writer.write_png(support.random_image((9, 9, 4), "uint16"), [4]),
    "grey.jpg": _jpeg(support.random_image((24, 24, 1))),
    "three.jpg": _jpeg(support.random_image((24, 24, 3)), progressive=True),
    "plain.tif": _tiff(support.random_image((9, 9), "uint16")),
    "packed.tif": _tiff(support.random_image((9, 9)), compression="zlib"),
    "pages.tif": _tiff(support.random_image((3, 9, 9)), photometric="minisblack"),
    "ome.tif": _tiff(support.random_image((3, 9, 9)), ome=True),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_truncated_file_is_refused_in_words(name):
    data = EXAMPLES[name]
    whole = field_images.decode_image(data)
    for length in {*range(0, len(data), 7), *range(len(data) - 20, len(data))}:
        try:
            found = field_images.decode_image(data[:length])
        except DataError as error:
            assert "expected" in str(error)
        else:
            # Behind the pixels of a TIFF there may be words about them.
            assert name in ("pages.tif", "ome.tif")
            np.testing.assert_array_equal(found, whole)


@pytest.mark.parametrize("name", EXAMPLES)
@settings(deadline=None)
@given(draw=st.data())
def test_a_damaged_file_is_a_picture_or_a_sentence(name, draw):
    data = bytearray(EXAMPLES[name])
    for _ in range(draw.draw(st.integers(1, 4))):
        place = draw.draw(st.integers(0, len(data) - 1))
        data[place] = draw.draw(st.integers(0, 255))
    try:
        found = field_images.decode_image(bytes(data))
    except DataError as error:
        assert "expected" in str(error)
    else:
        assert found.ndim == 3 and found.dtype in (np.uint8, np.uint16)


@settings(deadline=None)
@given(data=st.binary(max_size=200), start=st.sampled_from(["", *EXAMPLES]))
def test_garbage_is_a_sentence(data, start):
    data = EXAMPLES.get(start, b"")[:40] + data
    with pytest.raises(DataError, match="expected"):
        field_images.decode_image(data)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty file"),
        (b"GIF89a and more", "not an image"),
        (b"\x89PNG\r\n\x1a\n", "truncated"),
        (_jpeg(support.random_image((8, 8, 1))), "misnamed image"),
    ],
)
def test_what_is_no_png_is_named(tmp_path, data, word):
    with pytest.raises(DataError, match=rf"{word}.*expected.*image\.png"):
        _read(tmp_path, data)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    (tmp_path / "folder.png").mkdir()
    for name in ("none.png", "folder.png"):
        with pytest.raises(DataError, match=f"no such image.*{name}"):
            field_images.read_image_file(tmp_path / name)


def test_a_file_that_may_not_be_read_is_not_called_missing(tmp_path, monkeypatch):
    path = tmp_path / "image.png"
    path.write_bytes(b"")

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(DataError, match=r"cannot be opened.*Permission.*image\.png"):
        field_images.read_image_file(path)


TIFFS = {
    "grey": ((), {}),
    "big_endian": ((), {"byteorder": ">"}),
    "deflate": ((), {"compression": "zlib", "predictor": True}),
    "tiles": ((), {"tile": (16, 16), "compression": "zlib"}),
    "rgb": ((3,), {"photometric": "rgb"}),
    "planes": ((3,), {"photometric": "rgb", "planarconfig": "separate"}),
    "pages": ((4,), {"photometric": "minisblack"}),
    "ome": ((4,), {"ome": True, "metadata": {"axes": "CYX"}}),
}


@pytest.mark.parametrize("dtype", images.DTYPES)
@pytest.mark.parametrize("kind", TIFFS)
def test_a_tiff_is_read_exactly(tmp_path, kind, dtype):
    channels, options = TIFFS[kind]
    image = support.random_image((40, 30, *channels), dtype)
    stored = (
        image if kind in ("rgb", "grey") or not channels else image.transpose(2, 0, 1)
    )
    found = _read(tmp_path, _tiff(stored, **options), "image.tif")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, image.reshape(40, 30, -1))
    form = field_images.image_form(tmp_path / "image.tif")
    assert (form.height, form.width, form.channels) == found.shape


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits"])
@pytest.mark.parametrize(
    ("channels", "dtype"), [(1, "uint8"), (1, "uint16"), (3, "uint8")]
)
def test_a_tiff_by_lzw_is_read_exactly(tmp_path, compression, channels, dtype):
    image = support.random_image((40, 30, channels), dtype)
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, "TIFF", compression=compression)
    found = _read(tmp_path, file.getvalue(), "image.tif")
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize(
    ("image", "options", "word"),
    [
        (np.zeros((8, 8), np.float32), {}, "depth.*float32"),
        (np.zeros((8, 8), np.int16), {}, "depth.*int16"),
        (np.zeros((8, 8), bool), {}, "depth"),
        (np.zeros((8, 8), np.uint8), {"photometric": "miniswhite"}, "kind"),
        (np.zeros((3, 2, 8, 8), np.uint8), {"photometric": "minisblack"}, "form"),
        (np.zeros((9, 8, 8), np.uint8), {"photometric": "minisblack"}, "absurd size"),
    ],
)
def test_a_tiff_of_another_kind_is_refused(tmp_path, image, options, word):
    with pytest.raises(DataError, match=rf"{word}.*image\.tif"):
        _read(tmp_path, _tiff(image, **options), "image.tif")


@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_is_read_as_other_programs_read_it(tmp_path, channels):
    image = support.random_image((24, 16, channels))
    data = _jpeg(image)
    found = _read(tmp_path, data, "image.jpg")
    expected = np.asarray(Image.open(io.BytesIO(data))).reshape(24, 16, channels)
    np.testing.assert_array_equal(found, expected)


def test_a_jpeg_s_header_is_found_behind_much_else(tmp_path):
    data = _jpeg(support.random_image((24, 16, 3)), exif=bytes(60_000))
    profile = b"".join(
        b"\xff\xe2" + struct.pack(">H", 60_002) + bytes(60_000) for _ in range(3)
    )
    (tmp_path / "image.jpg").write_bytes(data[:2] + profile + data[2:])
    form = field_images.image_form(tmp_path / "image.jpg")
    assert form == field_images.ImageForm(24, 16, 3, 8, "jpeg")


@pytest.mark.parametrize("dtype", images.DTYPES)
def test_planes_are_put_together_in_the_order_of_the_channels(tmp_path, dtype):
    grey = support.random_image((6, 5, 1), dtype, 1)
    colour = support.random_image((6, 5, 3), dtype, 2)
    (tmp_path / "grey.png").write_bytes(png_writer.write_png(grey))
    (tmp_path / "colour.png").write_bytes(png_writer.write_png(colour))
    planes = {
        "nucleus": Plane(tmp_path / "colour.png", 2),
        "er": Plane(tmp_path / "grey.png"),
        "protein": Plane(tmp_path / "colour.png", 0),
    }
    found = field_images.read_field(_field(planes))
    assert found.shape == (6, 5, 3)
    expected = np.concatenate([colour[..., 2:], grey, colour[..., :1]], axis=-1)
    np.testing.assert_array_equal(found, expected)
    assert field_images.whole_png(_field(planes)) is None


def test_one_file_in_another_order_is_not_taken_for_the_whole(tmp_path):
    image = support.random_image((6, 5, 4))
    (tmp_path / "a.png").write_bytes(png_writer.write_png(image))
    planes = {
        n: Plane(tmp_path / "a.png", i)
        for n, i in zip("rgby", (2, 3, 0, 1), strict=True)
    }
    found = field_images.read_field(_field(planes))
    np.testing.assert_array_equal(found, image[..., [2, 3, 0, 1]])
    assert field_images.whole_png(_field(planes)) is None
    some = {"r": Plane(tmp_path / "a.png", 0)}
    assert field_images.read_field(_field(some)).shape == (6, 5, 1)
    assert field_images.whole_png(_field(some)) is None


@pytest.mark.parametrize(
    ("shape", "dtype", "index", "word"),
    [
        ((6, 6, 1), "uint8", None, "do not fit together.*6 x 5.*6 x 6"),
        ((6, 5, 1), "uint16", None, "do not fit together.*uint8.*uint16"),
        ((6, 5, 3), "uint8", None, "expected a grey one.*3 channels"),
        ((6, 5, 1), "uint8", 1, "too few channels: expected more than 1"),
    ],
)
def test_channels_that_do_not_fit_name_field_and_file(
    tmp_path, shape, dtype, index, word
):
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    first.write_bytes(png_writer.write_png(support.random_image((6, 5, 1))))
    second.write_bytes(png_writer.write_png(support.random_image(shape, dtype)))
    planes = {"a": Plane(first), "b": Plane(second, index)}
    with pytest.raises(DataError, match=rf"{word}.*second\.png of field 'field7'"):
        field_images.read_field(_field(planes))


def test_a_damaged_plane_names_field_and_file(tmp_path):
    (tmp_path / "a.png").write_bytes(EXAMPLES["grey.png"][:-20])
    with pytest.raises(DataError, match=r"truncated.*a\.png of field 'field7'"):
        field_images.read_field(_field({"a": Plane(tmp_path / "a.png")}))


def test_reading_fields_needs_no_tensorflow():
    import subprocess
    import sys

    code = (
        "import sys, data_prep.images.field_images, data_prep.layouts;"
        "sys.exit('tensorflow' in sys.modules)"
    )
    environment = support.environment()
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@pytest.mark.parametrize("side", [9_000, 60_000])
def test_a_second_header_is_no_way_around_the_first(tmp_path, side):
    image = support.random_image((16, 16, 1))
    png = images.encode_png(image)
    header = b"IHDR" + images.png_header(side, side, 1, "uint8")
    second = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    with pytest.raises(DataError, match="a damaged image"):
        _read(tmp_path, png[:33] + second + png[33:])
    jpeg = _jpeg(image)
    place = jpeg.index(b"\xff\xc0")
    length = 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
    frame = bytearray(jpeg[place : place + length])
    frame[5:9] = struct.pack(">HH", side, side)
    twice = jpeg[: place + length] + bytes(frame) + jpeg[place + length :]
    with pytest.raises(DataError, match="a damaged image"):
        _read(tmp_path, twice, "image.jpg")


@pytest.mark.parametrize("place", [2**64 - 1, 2**63, 2**40, 9])
@pytest.mark.parametrize("at", [8, -8])
def test_a_tiff_whose_directory_is_beyond_all_files_is_refused(tmp_path, place, at):
    tiff = bytearray(_tiff(support.random_image((4, 4)), bigtiff=True))
    (start,) = struct.unpack_from("<Q", tiff, 8)
    (entries,) = struct.unpack_from("<Q", tiff, start)
    # Where the first directory is, or the one after it.
    at = at if at > 0 else start + 8 + 20 * entries
    struct.pack_into("<Q", tiff, at, place)
    with pytest.raises(DataError, match=r"image: expected.*image\.tif"):
        _read(tmp_path, bytes(tiff), "image.tif")
