import gzip
import io
import re
import struct
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_prep.fields import Field, Plane
from data_prep.images import decoders, field_images
from tests import support
from tests.data_prep import png_writer
from tfvqgen.data import images
from tfvqgen.errors import DataError, UserError

ALL_FILTERS = (4, 3, 2, 1, 0, 4, 4, 3, 3, 1, 2)


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
    return field_images.read_field_image(path)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("dtype", images.DTYPES)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_a_png_is_read_exactly(tmp_path, channels, dtype, interlaced):
    image = support.random_image((13, 11, channels), dtype)
    data = png_writer.write_png(image, ALL_FILTERS, interlaced=interlaced)
    for written in (data, images.encode_png(image)):
        found = _read(tmp_path, written)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, image)
    np.testing.assert_array_equal(images.decode_png(data), image)
    form = field_images.image_form(tmp_path / "image.png")
    assert form == field_images.ImageForm(13, 11, channels, 8 * image.itemsize)


def test_metadata_of_a_png_do_not_change_its_pixels(tmp_path, capfd):
    image = support.random_image((8, 8, 3))
    extra = [
        (b"gAMA", struct.pack(">I", 10_000)),
        (b"iCCP", b"a damaged color profile"),
        (b"tRNS", struct.pack(">HHH", *image[0, 0])),
    ]
    data = png_writer.write_png(image, extra=extra)
    np.testing.assert_array_equal(_read(tmp_path, data), image)
    planes = {n: Plane(tmp_path / "image.png", i) for i, n in enumerate("abc")}
    assert field_images.whole_png(_field(planes)) == png_writer.write_png(image)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"colours": 3}, "without a palette"),
        ({"depth": 4}, "expected a PNG of 8 or 16 bits.*4 bits"),
        ({"width": 0}, "wrong size"),
        ({"width": 100_000, "height": 100_000}, "wrong size"),
        ({"height": 9}, "damaged"),
        ({"width": 9}, "damaged"),
    ],
)
@pytest.mark.parametrize(("channels", "dtype"), [(1, "uint8"), (4, "uint16")])
def test_a_png_with_a_wrong_header_is_refused(
    tmp_path, header, message, channels, dtype
):
    image = support.random_image((8, 8, channels), dtype)
    with pytest.raises(DataError, match=rf"{message}.*Received: .*image\.png"):
        _read(tmp_path, png_writer.write_png(image, **header))


TIFFS = {
    "grey": (0, {}),
    "big_endian": (0, {"byteorder": ">"}),
    "big_tiff": (0, {"bigtiff": True}),
    "deflate": (0, {"compression": "zlib", "predictor": True}),
    "lzw": (0, {"compression": "lzw"}),
    "zstd": (0, {"compression": "zstd"}),
    "packbits": (0, {"compression": "packbits"}),
    "tiles": (0, {"tile": (16, 16), "compression": "zlib"}),
    "strips": (0, {"rowsperstrip": 7}),
    # Programs do not agree on what the tag means; the stored pixels are read.
    "orientation": (0, {"extratags": [(274, "H", 1, 3, True)]}),
    "orientation_lzw": (
        0,
        {"compression": "lzw", "extratags": [(274, "H", 1, 6, True)]},
    ),
    "rgb": (3, {"photometric": "rgb"}),
    "rgb_lzw": (3, {"photometric": "rgb", "compression": "lzw"}),
    "rgba": (4, {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
    "planes": (-3, {"photometric": "rgb", "planarconfig": "separate"}),
    "pages": (-4, {"photometric": "minisblack"}),
    "imagej": (-4, {"imagej": True, "metadata": {"axes": "CYX"}}),
    "ome": (-4, {"ome": True, "metadata": {"axes": "CYX"}}),
    "ome_tiles": (
        -2,
        {"ome": True, "metadata": {"axes": "CYX"}, "tile": (16, 16)},
    ),
}


@pytest.mark.parametrize("dtype", images.DTYPES)
@pytest.mark.parametrize("kind", TIFFS)
def test_a_tiff_is_read_exactly(tmp_path, kind, dtype):
    channels, options = TIFFS[kind]
    image = support.random_image((40, 30, abs(channels) or 1), dtype)
    stored = image.transpose(2, 0, 1) if channels < 0 else image
    found = _read(
        tmp_path, _tiff(stored if channels else image[..., 0], **options), "image.tif"
    )
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, image)
    form = field_images.image_form(tmp_path / "image.tif")
    assert form == field_images.ImageForm(*image.shape, 8 * image.itemsize)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_axes_of_length_one_mean_nothing(tmp_path, axis):
    image = support.random_image((40, 30, 3), "uint16")
    stored = np.expand_dims(image.transpose(2, 0, 1), axis)
    found = _read(tmp_path, _tiff(stored, photometric="minisblack"), "image.tif")
    np.testing.assert_array_equal(found, image)
    grey = _tiff(image[..., :1], photometric="minisblack")
    np.testing.assert_array_equal(_read(tmp_path, grey, "g.tif"), image[..., :1])


def test_a_file_of_an_ome_set_is_read_as_its_own_planes(tmp_path):
    image = support.random_image((40, 30, 1), "uint16")
    planes = "".join(
        f'<TiffData FirstC="{c}" IFD="0" PlaneCount="1">'
        f'<UUID FileName="c{c}.ome.tif">urn:uuid:{c}</UUID></TiffData>'
        for c in range(2)
    )
    xml = (
        '<?xml version="1.0"?><OME UUID="urn:uuid:1"><Image><Pixels '
        'DimensionOrder="XYZCT" SizeX="30" SizeY="40" SizeZ="1" SizeC="2" SizeT="1" '
        f'Type="uint16">{planes}</Pixels></Image></OME>'
    )
    data = _tiff(image[..., 0], description=xml, metadata=None)
    np.testing.assert_array_equal(_read(tmp_path, data, "c1.ome.tif"), image)


def test_a_ramp_of_greys_as_palette_keeps_the_values(tmp_path):
    image = support.random_image((20, 20, 1))
    ramp = np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1))
    options = {"photometric": "palette", "colormap": ramp}
    found = _read(tmp_path, _tiff(image[..., 0], **options), "image.tif")
    np.testing.assert_array_equal(found, image)
    options["colormap"] = ramp[:, ::-1]
    with pytest.raises(DataError, match=r"without a palette.*image\.tif"):
        _read(tmp_path, _tiff(image[..., 0], **options), "image.tif")


ZEROS = np.zeros((3, 2, 8, 8), np.uint8)


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (np.zeros((8, 8), np.float32), {}, "depth.*float32"),
        (np.zeros((8, 8), np.int16), {}, "depth.*int16"),
        (np.zeros((8, 8), bool), {}, "depth"),
        (ZEROS[0, 0], {"photometric": "miniswhite"}, "0 is black"),
        (ZEROS, {"photometric": "minisblack"}, "not a stack"),
        (ZEROS[0], {"imagej": True, "metadata": {"axes": "ZYX"}}, "not a stack"),
        (ZEROS[0], {"ome": True, "metadata": {"axes": "ZYX"}}, "not a stack"),
        (np.zeros((9, 8, 8), np.uint8), {"photometric": "minisblack"}, "wrong size"),
    ],
)
def test_a_tiff_of_another_kind_is_refused(tmp_path, image, options, message):
    with pytest.raises(DataError, match=rf"{message}.*image\.tif"):
        _read(tmp_path, _tiff(image, **options), "image.tif")


def test_a_mask_may_have_any_integer_type(tmp_path):
    for dtype in ("uint32", "int32", "uint64"):
        labels = np.arange(24, dtype=dtype).reshape(4, 6)
        (tmp_path / "mask.tif").write_bytes(_tiff(labels, compression="zlib"))
        found = field_images.read_mask_file(tmp_path / "mask.tif")
        np.testing.assert_array_equal(found[..., 0], labels)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_is_read_as_pillow_reads_it(tmp_path, channels):
    image = support.random_image((24, 16, channels))
    for options in ({}, {"progressive": True}, {"exif": bytes(60_000)}):
        data = _jpeg(image, **options)
        found = _read(tmp_path, data, "image.jpg")
        expected = np.asarray(Image.open(io.BytesIO(data))).reshape(24, 16, channels)
        np.testing.assert_array_equal(found, expected)
        form = field_images.image_form(tmp_path / "image.jpg")
        assert form == field_images.ImageForm(24, 16, channels, 8)


def test_a_jpeg_in_a_tiff_is_read_as_rgb(tmp_path):
    smooth = np.add.outer(np.arange(64), np.arange(64))[..., None] + [0, 40, 80]
    data = _tiff(smooth.astype(np.uint8), photometric="rgb", compression="jpeg")
    found = _read(tmp_path, data, "image.tif")
    assert np.abs(found.astype(int) - smooth).max() < 10
    cmyk = io.BytesIO()
    Image.new("CMYK", (8, 8)).save(cmyk, "JPEG")
    with pytest.raises(DataError, match=r"not CMYK.*image\.jpg"):
        _read(tmp_path, cmyk.getvalue(), "image.jpg")


EXAMPLES = {
    "grey.png": png_writer.write_png(support.random_image((9, 9, 1)), ALL_FILTERS),
    "four.png": png_writer.write_png(support.random_image((9, 9, 4), "uint16"), [4]),
    "grey.jpg": _jpeg(support.random_image((24, 24, 1))),
    "plain.tif": _tiff(support.random_image((9, 9), "uint16")),
    "packed.tif": _tiff(support.random_image((9, 9)), compression="zlib"),
    "packed.png.gz": gzip.compress(png_writer.write_png(np.ones((9, 9, 1), "uint8"))),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_truncated_or_misnamed_file_is_refused(tmp_path, name):
    data = EXAMPLES[name]
    whole = _read(tmp_path, data, name)
    for length in {*range(0, len(data), 29), *range(len(data) - 5, len(data))}:
        try:
            found = _read(tmp_path, data[:length], name)
        except DataError as error:
            assert re.search(f"expected.*Received: .*{name}", str(error))
        else:
            # Only bytes behind the pixels were missing.
            np.testing.assert_array_equal(found, whole)
    for other in EXAMPLES.values():
        if other[:3] != data[:3]:
            with pytest.raises(DataError, match=f"expected.*Received: .*{name}"):
                _read(tmp_path, other, name)


@pytest.mark.parametrize("name", ["four.png", "grey.jpg"])
@settings(deadline=None, max_examples=30)
@given(changes=st.dictionaries(st.integers(0, 299), st.integers(0, 255), max_size=4))
def test_a_damaged_file_is_an_image_or_a_data_error(tmp_path_factory, name, changes):
    data = bytearray(EXAMPLES[name])
    for place, value in changes.items():
        data[place % len(data)] = value
    try:
        found = _read(tmp_path_factory.getbasetemp(), bytes(data), name)
    except DataError as error:
        assert "expected" in str(error)
    else:
        assert found.ndim == 3 and found.dtype in (np.uint8, np.uint16)


@pytest.mark.parametrize("name", ["grey.png", "grey.jpg", "packed.tif"])
def test_sizes_are_checked_before_decoding(tmp_path, monkeypatch, name):
    monkeypatch.setattr(decoders, "MAX_PIXELS", 80)
    monkeypatch.setattr(np, "asarray", None)
    monkeypatch.setattr("imagecodecs.png_decode", None)
    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", None)
    with pytest.raises(DataError, match=rf"expected 1 to 80 pixels.*{name}"):
        _read(tmp_path, EXAMPLES[name], name)


def test_bytes_are_limited_before_and_after_unpacking(tmp_path, monkeypatch):
    monkeypatch.setattr(field_images, "MAX_BYTES", 500)
    for name in ("packed.png.gz", "grey.png"):
        assert _read(tmp_path, EXAMPLES[name], name).shape == (9, 9, 1)
    with pytest.raises(DataError, match=r"expected at most 500 bytes.*four\.png"):
        _read(tmp_path, EXAMPLES["four.png"], "four.png")
    with pytest.raises(DataError, match=r"expected at most 500 bytes.*x\.png\.gz"):
        _read(tmp_path, gzip.compress(bytes(50_000)), "x.png.gz")


def test_a_missing_file_a_folder_and_an_unknown_type_are_named(tmp_path):
    (tmp_path / "folder.png").mkdir()
    for name in ("none.png", "folder.png"):
        with pytest.raises(DataError, match=f"cannot be read.*{name}"):
            field_images.read_field_image(tmp_path / name)
    with pytest.raises(DataError, match=r"expected a PNG, TIFF or JPEG.*a\.gif"):
        _read(tmp_path, b"GIF89a", "a.gif")


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name in ("grey.png", "plain.tif"):
        with pytest.raises(UserError, match=r"tfvqgen\[prep\]"):
            _read(tmp_path, EXAMPLES[name], name)


@pytest.mark.parametrize("dtype", images.DTYPES)
def test_planes_are_stacked_in_the_order_of_the_channels(tmp_path, dtype):
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
    expected = np.concatenate([colour[..., 2:], grey, colour[..., :1]], axis=-1)
    np.testing.assert_array_equal(found, expected)
    assert field_images.whole_png(_field(planes)) is None
    # One file in another order, and a part of it.
    for indices in ((2, 1, 0), (0,)):
        planes = {str(i): Plane(tmp_path / "colour.png", i) for i in indices}
        found = field_images.read_field(_field(planes))
        np.testing.assert_array_equal(found, colour[..., list(indices)])
        assert field_images.whole_png(_field(planes)) is None


@pytest.mark.parametrize(
    ("shape", "dtype", "index", "message"),
    [
        ((6, 6, 1), "uint8", None, "do not fit together.*6 x 5.*6 x 6"),
        ((6, 5, 1), "uint16", None, "do not fit together.*uint8.*uint16"),
        ((6, 5, 3), "uint8", None, "expected a grey image, not 3"),
        ((6, 5, 1), "uint8", 1, "expected 2, not 1"),
    ],
)
def test_channels_that_do_not_fit_name_field_and_file(
    tmp_path, shape, dtype, index, message
):
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    first.write_bytes(png_writer.write_png(support.random_image((6, 5, 1))))
    second.write_bytes(png_writer.write_png(support.random_image(shape, dtype)))
    planes = {"a": Plane(first), "b": Plane(second, index)}
    with pytest.raises(DataError, match=rf"{message}.*second\.png of field 'field7'"):
        field_images.read_field(_field(planes))


def test_reading_fields_needs_no_tensorflow():
    code = (
        "import sys, data_prep.images.field_images, data_prep.layouts;"
        "sys.exit('tensorflow' in sys.modules)"
    )
    environment = support.environment()
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
