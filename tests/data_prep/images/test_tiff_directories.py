import io
import struct
import time

import numpy as np
import pytest
import tifffile

from data_prep.images import field_images
from tests import support
from tfvqgen.errors import DataError

SLONG = 9
WIDTH, LENGTH, OFFSETS, SUBIFDS, NOTES = 256, 257, 273, 330, 305


def _tiff(image=None, **options):
    file = io.BytesIO()
    image = support.random_image((8, 8)) if image is None else image
    tifffile.imwrite(file, image, **options)
    return bytearray(file.getvalue())


def _entry(tiff, code):
    """Returns where the first page's entry of a tag begins, in a BigTIFF."""
    (start,) = struct.unpack_from("<Q", tiff, 8)
    (count,) = struct.unpack_from("<Q", tiff, start)
    places = [start + 8 + 20 * entry for entry in range(count)]
    return next(p for p in places if struct.unpack_from("<H", tiff, p)[0] == code)


def _refused(tiff, word):
    started = time.process_time()
    with pytest.raises(DataError, match=rf"{word}.*expected a TIFF"):
        field_images.decode_image(bytes(tiff))
    assert time.process_time() - started < 5


@pytest.mark.parametrize("size", [WIDTH, LENGTH])
def test_an_image_of_less_than_no_width_is_refused_at_once(size):
    tiff = _tiff(bigtiff=True)
    struct.pack_into("<HQq", tiff, _entry(tiff, size) + 2, SLONG, 1, -1)
    _refused(tiff, "damaged image")


def test_pages_in_a_circle_are_refused_at_once():
    tiff = _tiff(support.random_image((3, 8, 8)), photometric="minisblack")
    with tifffile.TiffFile(io.BytesIO(tiff)) as file:
        first, last = file.pages[0].offset, file.pages[2].offset
    (count,) = struct.unpack_from("<H", tiff, last)
    struct.pack_into("<I", tiff, last + 2 + 12 * count, first)
    _refused(tiff, "damaged image")


def test_pages_without_end_are_refused_at_once():
    # The shortest page: no entries, and where the next one is.
    pages = [struct.pack("<HI", 0, 8 + 6 * (page + 1)) for page in range(200_000)]
    tiff = b"II*\0" + struct.pack("<I", 8) + b"".join(pages) + bytes(6)
    _refused(tiff, "too much in one file")


def test_a_page_with_a_million_directories_below_it_is_refused_at_once():
    tiff = _tiff(bigtiff=True)
    places = np.full(200_000, struct.unpack_from("<Q", tiff, 8)[0], "<u8").tobytes()
    entry = struct.pack("<HHQQ", SUBIFDS, 16, 200_000, len(tiff))
    place = _entry(tiff, NOTES)
    tiff[place : place + 20] = entry
    _refused(tiff + places, "too much in one file")


def test_an_entry_of_more_numbers_than_any_image_has_is_refused_at_once():
    tiff = _tiff(bigtiff=True)
    struct.pack_into("<HQQ", tiff, _entry(tiff, OFFSETS) + 2, 16, 2**22, 16)
    _refused(tiff + bytes(2**25), "too much in one file")


def test_a_page_of_a_million_entries_is_refused_at_once():
    tiff = b"II+\0" + struct.pack("<HHQQ", 8, 0, 16, 10**6) + bytes(20 * 10**6 + 8)
    _refused(tiff, "damaged image")


@pytest.mark.parametrize(
    ("words", "more"),
    [
        ('SizeZ="1"', 'SizeZ="100000000"'),
        ('SizeT="1"', 'SizeT="-100000000"'),
        ('PlaneCount="1"', 'PlaneCount="100000000"'),
        ('SizeC="1"', 'SizeC="&#57;9999999"'),
        ("<OME ", '<!DOCTYPE OME [<!ENTITY a "99999999">]><OME '),
        ("<TiffData", '<StartAlong Start="0" End="9e9" /><TiffData'),
        ("<TiffData", '<Along Start="0" End="99" Step="1e-9" /><TiffData'),
        ('SizeZ="1" SizeT="1"', 'SizeZ="99999" SizeT="99999"'),
    ],
)
def test_words_of_planes_without_end_are_refused_at_once(words, more):
    with tifffile.TiffFile(io.BytesIO(_tiff(ome=True))) as file:
        text = file.ome_metadata.replace(words, more)
    assert more in text
    _refused(_tiff(description=text.encode(), metadata=None), "too much in one file")


def test_a_stack_is_still_told_what_it_is():
    stack = _tiff(np.zeros((100, 4, 8, 8), np.uint8), photometric="minisblack")
    _refused(stack, "an image of another form")
