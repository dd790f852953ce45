"""Whole fields: their masks and the descriptions of their defects are true."""

import itertools

import numpy as np
import pytest
from scipy import ndimage

from data_prep.labels import load_vocabulary
from data_prep.synthetic import scene, wells
from data_prep.synthetic.wells import CHANNELS

VOCABULARY = load_vocabulary("kaggle2018").labels


def well_with(kind, extent=None):
    """Returns the first well whose field has a defect of a kind, and its defects."""
    for index in itertools.count():
        well = wells.make_well(1, index, VOCABULARY)
        planned = scene.plan_defects(well, 256, 1.0)
        if planned[0].kind == kind and extent in (None, planned[0].extent):
            return well, planned


@pytest.fixture(scope="module")
def drawn():
    return [
        scene.draw_field(wells.make_well(0, i, VOCABULARY), 256).scene for i in range(5)
    ]


def test_masks_agree_with_the_blue_channel_and_each_other(drawn):
    for field in drawn:
        nuclei, cells = field.nuclei, field.cells
        blue = field.image[..., 2].astype(float)
        assert nuclei.dtype == cells.dtype == np.uint16
        assert np.array_equal(nuclei[nuclei > 0], cells[nuclei > 0])
        assert np.array_equal(np.unique(cells), np.arange(cells.max() + 1))
        assert blue[nuclei > 0].mean() > 6 * blue[nuclei == 0].mean()
        for number in np.setdiff1d(nuclei, 0):
            assert ndimage.label(nuclei == number)[1] <= 2


def test_fields_are_as_full_as_real_ones_and_some_nuclei_touch(drawn):
    numbers = [len(np.setdiff1d(field.nuclei, 0)) for field in drawn]
    pieces = [ndimage.label(field.nuclei > 0)[1] for field in drawn]
    assert min(numbers) >= 18 and max(numbers) <= 60
    assert np.less(pieces, numbers).any()
    assert (np.array(pieces) > 0.7 * np.array(numbers)).all()


def test_the_share_of_defects_is_as_asked_and_all_kinds_occur():
    some = [wells.make_well(0, i, VOCABULARY) for i in range(300)]
    planned = [scene.plan_defects(well, 512, 0.4) for well in some]
    assert 0.33 < np.mean([bool(found) for found in planned]) < 0.47
    assert {d.kind for found in planned for d in found} == set(scene.KINDS)
    assert not any(scene.plan_defects(well, 512, 0.0) for well in some[:20])


@pytest.mark.parametrize("kind", ["blur", "saturation", "debris"])
def test_light_changes_only_in_the_boxes_and_channels_of_the_defects(kind):
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
    detail = []
    for share in (0, 1):
        field = scene.draw_field(well, 256, share).scene
        red = field.image[defect.window][..., 0].astype(float)
        smooth = ndimage.gaussian_filter(red, 1.0)
        # The variance at 2 to 4 pixels, beyond the pixel noise.
        detail.append(np.var(smooth - ndimage.gaussian_filter(red, 3.0)))
    assert detail[1] < 0.5 * detail[0]


def test_an_empty_field_has_at_most_a_few_cells():
    well, (defect,) = well_with("empty")
    spoiled = scene.draw_field(well, 256, 1).scene
    assert spoiled.cells.max() <= defect.strength <= scene.MAX_CELLS_OF_EMPTY
