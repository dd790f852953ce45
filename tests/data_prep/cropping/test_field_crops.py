"""Crops of one field, and how its result file is read after damage."""

import dataclasses

import numpy as np
import pytest

from data_prep.cropping import cutting, field_crops
from data_prep.cropping.field_crops import CropTask, is_finished, remove_field
from tests import support
from tests.data_prep import drawn_fields
from tests.data_prep.drawn_fields import SETTINGS, crop, draw_field, write_fields
from tfvqgen.data import crops, images
from tfvqgen.errors import DataError
from tfvqgen.files import read_sealed_json, write_json


def crop_one(tmp_path, array, settings=SETTINGS, masks=None, **attributes):
    """Crops one field; returns the folder of its crops and the first crop's image."""
    folder = write_fields(tmp_path / "f", [array], settings.channels, **attributes)
    crop(folder, tmp_path / "crops", settings, masks=masks)
    made = crops.read_crops(tmp_path / "crops")
    path = made.image_path(made.rows[0])
    return made.rows, images.read_image(path, made.channels)


def piece(array, row, scale=1, size=64):
    """Returns the part of a field that a crop shows."""
    top, left = (int(middle / scale) - size // 2 for middle in (row.y, row.x))
    padded = np.pad(array, ((64, 64), (64, 64), (0, 0)))
    return padded[top + 64 : top + 64 + size, left + 64 : left + 64 + size]


def test_every_nucleus_is_cut_where_it_is(fields, finished):
    made = crops.read_crops(finished)
    assert made.channels == drawn_fields.CHANNELS and made.credit == "drawn"
    first = [row for row in made.rows if row.field == "f0"]
    places = sorted((row.y, row.x) for row in first)
    np.testing.assert_allclose(places, np.add(drawn_fields.PLACES, 0.5), atol=0.5)
    assert {row.pixel_size for row in made.rows} == {0.32}
    assert first[0].labels == ("Nucleoplasm", "Cytosol")
    assert first[0].metadata["codec"] == "png"
    for row in first:
        image = images.read_image(made.image_path(row))
        np.testing.assert_array_equal(image, piece(draw_field(0), row))


def test_sixteen_bits_and_more_than_four_channels_are_kept(tmp_path):
    array = np.concatenate([draw_field(s, dtype="uint16") for s in (0, 1)], axis=-1)
    names = support.CHANNELS
    settings = dataclasses.replace(
        SETTINGS, channels=names, dtype="uint16", nucleus_channel=names[2]
    )
    rows, image = crop_one(tmp_path, array, settings)
    assert image.dtype == np.uint16 and len(np.unique(image)) > 1000
    np.testing.assert_array_equal(image, piece(array, rows[0]))


def test_positions_of_downscaled_crops_are_in_pixels_of_the_field(tmp_path):
    small = draw_field()
    large = small.repeat(4, axis=0).repeat(4, axis=1)
    rows, image = crop_one(tmp_path, large, pixel_size=0.08)
    np.testing.assert_array_equal(image, piece(small, rows[0], scale=4))
    assert rows[0].pixel_size == 0.32 and rows[0].x % 4 == rows[0].y % 4 == 0


def test_intensities_are_rescaled_for_the_field_and_not_for_the_crop(tmp_path):
    array = draw_field(places=((60, 60), (130, 130)))
    array[90:, 90:] //= 2
    intensity = cutting.Intensity("field", 0, 99)
    scaled = dataclasses.replace(SETTINGS, intensity=intensity)
    rows, bright = crop_one(tmp_path, array, scaled)
    dim = images.read_image(tmp_path / "crops" / rows[1].path)
    low, high = np.percentile(array[..., 2], [0, 99]) / 255
    assert float(rows[0].metadata["blue_low"]) == pytest.approx(low, abs=1e-5)
    assert float(rows[0].metadata["blue_high"]) == pytest.approx(high, abs=1e-5)
    expected = (array[130, 130, 2] / 255 - low) / (high - low) * 255
    assert dim[32, 32, 2] == pytest.approx(expected, abs=1)
    assert bright[32, 32, 2] > 1.8 * dim[32, 32, 2]


def test_neighbours_can_be_masked(tmp_path):
    array = draw_field(places=((90, 70), (90, 104)))
    rows, _ = crop_one(
        tmp_path, array, dataclasses.replace(SETTINGS, mask_neighbours=True)
    )
    left = min(rows, key=lambda row: row.x)
    image = images.read_image(tmp_path / "crops" / left.path)
    border = 87 - int(left.x) + 32  # Halfway to the other nucleus.
    assert not image[:, border + 1 :].any()
    np.testing.assert_array_equal(image[:, :border], piece(array, left)[:, :border])


def test_masks_of_nuclei_replace_the_segmentation(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    mask = np.zeros((192, 192), np.int32)
    mask[80:110, 80:110], mask[120:150, 60:90] = 40_000, 9
    tifffile.imwrite(tmp_path / "f0.tif", mask, compression="zlib")
    given = dataclasses.replace(SETTINGS, mask_kind="nuclei")
    rows, _ = crop_one(tmp_path, draw_field(), given, masks=tmp_path)
    assert [(row.y, row.x) for row in rows] == [(135, 75), (95, 95)]


def test_masks_of_cells_are_joined_with_their_nuclei(tmp_path):
    mask = np.zeros((192, 192, 1), np.uint8)
    mask[:90, :90], mask[:90, 90:], mask[100:120, 100:120] = 5, 6, 7
    images.write_image(tmp_path / "f0.png", mask)
    given = dataclasses.replace(SETTINGS, mask_kind="cells")
    rows, _ = crop_one(tmp_path, draw_field(), given, masks=tmp_path)
    np.testing.assert_allclose([rows[0].y, rows[0].x], (40.5, 50.5), atol=0.5)
    np.testing.assert_allclose([rows[1].y, rows[1].x], (60.5, 130.5), atol=0.5)
    assert "no nucleus" in rows[2].reason and len(rows) == 3


def test_missing_and_unusable_masks_are_named(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    given = dataclasses.replace(SETTINGS, mask_kind="nuclei")
    with pytest.raises(DataError, match=r"no mask for a field: expected f0\.png"):
        crop_one(tmp_path, draw_field(), given, masks=tmp_path)
    tifffile.imwrite(tmp_path / "f0.tif", np.zeros((192, 192), np.float32))
    with pytest.raises(DataError, match=r"not float32 .*f0\.tif"):
        crop_one(tmp_path, draw_field(), given, masks=tmp_path)


def test_metadata_does_not_replace_measured_columns(tmp_path):
    rows, _ = crop_one(tmp_path, draw_field(), metadata={"focus": "z3", "gene": "A"})
    assert rows[0].metadata["field_focus"] == "z3"
    assert rows[0].metadata["gene"] == "A"
    assert float(rows[0].metadata["focus"]) > 0


def test_an_unknown_pixel_size_names_the_flag(tmp_path):
    with pytest.raises(DataError, match="expected --pixel_size"):
        crop_one(tmp_path, draw_field(), pixel_size=None)
    given = dataclasses.replace(SETTINGS, pixel_size=0.32)
    assert len(crop_one(tmp_path, draw_field(), given, pixel_size=None)[0]) == 4


@pytest.fixture
def task(fields, finished, copy_of):
    """Returns the finished task of one field, in a folder of its own."""
    task = CropTask(fields.fields[1], SETTINGS, str(copy_of(finished)))
    assert is_finished(task) and field_crops.read_outcome(task).num_crops == 4
    return task


@pytest.mark.parametrize(
    "change", [{"labels": 5}, {"other": 1}, {"path": "../../a.png"}, {"sha256": "x"}]
)
def test_a_field_with_a_damaged_row_is_not_finished(task, change):
    result = read_sealed_json(task.result_path)
    result["crops"][0].update(change)
    write_json(task.result_path, result)
    assert not is_finished(task)
    remove_field(task)
    assert not task.result_path.exists()


def test_a_field_with_a_damaged_result_file_is_not_finished(task):
    sealed = task.result_path.read_text()
    damaged = ("", "[]", "\x00", '{"crops": 1}', sealed.replace('"f1', '"g1', 1))
    for text in damaged:
        task.result_path.write_text(text)
        assert not is_finished(task)
    remove_field(task)
    assert not task.result_path.exists()


def test_a_field_with_a_truncated_image_is_not_finished(task):
    (task.result_path.parents[1] / "images" / "f1-002.png").write_bytes(b"")
    assert not is_finished(task)


def test_only_files_in_the_folder_of_images_are_removed(task, tmp_path):
    (tmp_path / "a.png").write_bytes(b"mine")
    result = read_sealed_json(task.result_path)
    result["crops"][0]["path"] = str(tmp_path / "a.png")
    write_json(task.result_path, result)
    remove_field(task)
    assert (tmp_path / "a.png").read_bytes() == b"mine"


def test_an_error_file_may_contain_any_bytes(task):
    task.error_path.write_bytes(b"bad \xff")
    assert field_crops.read_outcome(task).error.startswith("bad ")
