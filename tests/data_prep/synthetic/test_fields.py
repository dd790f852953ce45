"""Whole fields: their masks are true and so is what is said of their defects."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

from data_prep.labels import load_vocabulary
from data_prep.synthetic import scene, wells
from data_prep.synthetic.wells import CHANNELS

VOCABULARY = load_vocabulary("kaggle2018").labels


def well_with(kind, extent=None, size=256):
    """Returns the first well whose field has a defect of a kind, and its defects."""
    for index in itertools.count():
        well = wells.make_well(1, index, VOCABULARY)
        planned = scene.plan_defects(well, size, 1.0)
        if planned[0].kind == kind and extent in (None, planned[0].extent):
            return well, planned


@pytest.fixture(scope="module")
def drawn():
    return [scene.draw_field(wells.make_well(0, i, VOCABULARY), 512) for i in range(5)]


def test_masks_agree_with_the_blue_channel_and_each_other(drawn):
    for field in drawn:
        nuclei, cells = field.scene.nuclei, field.scene.cells
        blue = field.scene.image[..., 2].astype(float)
        assert nuclei.dtype == cells.dtype == np.uint16
        assert np.array_equal(nuclei[nuclei > 0], cells[nuclei > 0])
        assert np.array_equal(np.unique(cells), np.arange(cells.max() + 1))
        assert blue[nuclei > 0].mean() > 6 * blue[nuclei == 0].mean()
        for number in np.setdiff1d(nuclei, 0):
            assert ndimage.label(nuclei == number)[1] <= 2


def test_fields_are_as_full_as_real_ones_and_some_nuclei_touch(drawn):
    numbers = [len(np.setdiff1d(field.scene.nuclei, 0)) for field in drawn]
    assert min(numbers) >= 18
    assert max(numbers) <= 60
    touching = 0
    for field in drawn:
        nuclei = field.scene.nuclei
        pieces = ndimage.label(nuclei > 0)[1]
        touching += len(np.setdiff1d(nuclei, 0)) > pieces
        assert pieces > 0.7 * len(np.setdiff1d(nuclei, 0))
    assert touching >= 1
    assert all(field.pixel_size == 0.32 for field in drawn)


def test_a_larger_field_shows_the_same_cells_in_finer_pixels(drawn):
    well = wells.make_well(0, 0, VOCABULARY)
    coarse = scene.draw_field(well, 256)
    assert coarse.pixel_size == 0.64
    finer = drawn[0].scene.nuclei[::2, ::2] > 0
    both = finer & (coarse.scene.nuclei > 0)
    either = finer | (coarse.scene.nuclei > 0)
    assert both.sum() / either.sum() > 0.93


def test_without_defects_wanted_none_is_planted():
    for index in range(20):
        well = wells.make_well(0, index, VOCABULARY)
        assert scene.plan_defects(well, 512, 0.0) == []


def test_the_share_of_defects_is_kept_and_all_kinds_occur():
    planned = [
        scene.plan_defects(wells.make_well(0, i, VOCABULARY), 512, 0.4)
        for i in range(300)
    ]
    assert 0.33 < np.mean([bool(found) for found in planned]) < 0.47
    assert {d.kind for found in planned for d in found} == set(scene.KINDS)


@pytest.mark.parametrize("kind", ["blur", "saturation", "debris"])
def test_light_changes_only_where_and_in_what_the_truth_says(kind):
    well, planned = well_with(kind, "region" if kind == "blur" else None)
    light = list(np.random.default_rng(0).random((4, 256, 256), np.float32))
    spoiled = scene.spoil(light, planned, well, 0.5)
    for index, channel in enumerate(CHANNELS):
        allowed = np.zeros((256, 256), bool)
        for defect in planned:
            if channel in defect.channels:
                allowed[defect.window] = True
        changed = light[index] != spoiled[index]
        assert not changed[~allowed].any()
        if allowed.any():
            assert changed[allowed].mean() > 0.1


@pytest.mark.parametrize("extent", ["field", "region"])
def test_a_blurred_part_is_smoother_than_without_the_defect(extent):
    well, (defect,) = well_with("blur", extent)
    clean = scene.draw_field(well, 256).scene.image
    spoiled = scene.draw_field(well, 256, 1.0).scene.image
    assert _fine(spoiled[defect.window]) < 0.5 * _fine(clean[defect.window])


def _fine(part):
    """Returns the light's detail beyond the pixel noise: variance at 2 to 4 pixels."""
    red = part[..., 0].astype(float)
    smooth = ndimage.gaussian_filter(red, 1.0)
    return np.var(smooth - ndimage.gaussian_filter(red, 3.0))


def test_a_saturated_channel_is_at_its_limit_and_the_others_are_not():
    well, (defect,) = well_with("saturation")
    clean = scene.draw_field(well, 256).scene
    spoiled = scene.draw_field(well, 256, 1.0).scene
    for index, channel in enumerate(CHANNELS):
        limit, before = (
            np.mean(s.image[..., index][s.cells > 0] == 255) for s in (spoiled, clean)
        )
        if channel in defect.channels:
            assert limit > before + 0.01
        else:
            assert limit == before
    assert np.array_equal(clean.nuclei, spoiled.nuclei)


def test_debris_is_bright_in_its_box():
    well, planned = well_with("debris")
    image = scene.draw_field(well, 256, 1.0).scene.image
    for defect in planned:
        for channel in defect.channels:
            assert image[defect.window][..., CHANNELS.index(channel)].max() == 255


def test_an_empty_field_has_at_most_a_few_cells():
    well, (defect,) = well_with("empty")
    field = scene.draw_field(well, 256, 1.0)
    assert field.scene.cells.max() <= defect.strength <= scene.MAX_CELLS_OF_EMPTY
    assert field.defects == [defect]
