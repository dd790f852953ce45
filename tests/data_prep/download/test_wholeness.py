"""Whether a file is the whole image that its name says."""

import contextlib
import gzip
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from data_prep.download.tiff_extent import SIGNATURES, tiff_extent
from data_prep.download.wholeness import what_is_wrong
from tests.data_prep.download.image_site import picture

KINDS = [("PNG", "a.png"), ("JPEG", "a.JPG"), ("TIFF", "a.tif")]


@pytest.fixture
def look(tmp_path):
    def run(data, name):
        path = tmp_path / "bytes"
        path.write_bytes(data)
        return what_is_wrong(path, name)

    return run


@pytest.mark.parametrize(("kind", "name"), KINDS)
@pytest.mark.parametrize("side", [1, 40, 200])
def test_a_whole_image_passes_packed_or_not(look, kind, name, side):
    data = picture(kind, side)
    assert look(data, name) == ""
    assert look(gzip.compress(data), f"{name}.gz") == ""


@pytest.mark.parametrize(("kind", "name"), KINDS)
@pytest.mark.parametrize("keep", [1, 5, 1000, 0.5, 0.99])
def test_a_part_of_an_image_does_not(look, kind, name, keep):
    data = picture(kind, 60)
    part = data[: keep if isinstance(keep, int) else int(keep * len(data))]
    assert look(part, name) != ""
    packed = gzip.compress(data)
    for kept in (packed[:-1], packed[:-9], packed[:100]):
        assert look(kept, f"{name}.gz") == "not a whole gzip file"


@pytest.mark.parametrize(("kind", "name"), KINDS)
def test_another_kind_of_file_does_not(look, kind, name):
    others = [picture(other) for other, _ in KINDS if other != kind]
    for data in (*others, b"<html>" * 200, bytes(2000)):
        assert look(data, name).startswith(f"not a {kind}: it starts with")
    assert look(b"", name) == "an empty file"
    assert look(picture(kind), f"{name}.gz") == "not a whole gzip file"


def test_tiffs_of_many_writers_pass(look):
    noise = np.random.default_rng(0).integers(0, 2**16, (30, 30), np.uint16)
    for options in ({}, {"compression": "tiff_lzw"}, {"big_tiff": True}):
        file = io.BytesIO()
        Image.fromarray(noise).save(file, "TIFF", **options)
        assert look(file.getvalue(), "a.tiff") == ""


@settings(max_examples=200)
@given(st.binary(max_size=200), st.sampled_from(sorted(SIGNATURES)))
def test_no_directory_of_a_tiff_is_too_strange(data, signature):
    with contextlib.suppress(ValueError):
        assert tiff_extent(io.BytesIO(signature + data)) >= 0


def test_a_jpeg_that_is_filled_up_with_zeros_passes(look):
    assert look(picture("JPEG") + bytes(100), "a.jpeg") == ""
    assert look(picture("JPEG")[:-2] + bytes(100), "a.jpeg") == "a JPEG without its end"


def test_a_gzip_file_that_unpacks_without_end_is_refused(look, monkeypatch):
    monkeypatch.setattr("data_prep.download.wholeness._MOST_UNPACKED", 2**20)
    data = picture("PNG") + bytes(2**22)
    assert look(gzip.compress(data), "a.png.gz").startswith("a gzip file of more")
