"""Wells and crops: labels, truth, and images that depend on the seed alone."""

import collections
import dataclasses
import functools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.labels import load_vocabulary
from data_prep.synthetic import scene, wells

VOCABULARY = load_vocabulary("hpa24").labels


def well(index, seed=0):
    return wells.make_well(seed, index, VOCABULARY)


@functools.cache
def crops_of(index, size=64):
    return scene.draw_crops(well(index), 4, size)


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    num_cells=st.integers(1, 1200),
    num_labels=st.integers(1, 24),
)
def test_crops_are_spread_over_wells_and_labels(seed, num_cells, num_labels):
    vocabulary = VOCABULARY[:num_labels]
    plan = wells.plan_wells(seed, num_cells, vocabulary)
    assert sum(count for _, count in plan) == num_cells
    assert all(1 <= count <= well.num_cells for well, count in plan)
    assert [well.index for well, _ in plan] == list(range(len(plan)))
    per_label = collections.Counter(name for well, _ in plan for name in well.labels)
    if num_cells >= num_labels:
        assert len(per_label) == num_labels
    if num_cells >= 12 * num_labels:
        assert min(per_label.values()) >= 3


def test_labels_are_balanced_and_one_well_in_seven_has_two():
    plan = [well(index, seed=3) for index in range(24 * 20)]
    counts = collections.Counter(name for well in plan for name in well.labels)
    assert set(counts) == set(VOCABULARY)
    assert max(counts.values()) < 1.5 * min(counts.values())
    assert 0.10 < np.mean([len(well.labels) == 2 for well in plan]) < 0.20
    assert all(10 <= well.num_cells <= 20 for well in plan)
    assert len({well.line.name for well in plan}) == len(wells.LINES)


def test_pixels_depend_on_the_seed_and_not_on_the_number_of_crops():
    again = scene.draw_crops(well(2), 2, 64)
    other = scene.draw_crops(well(2, seed=1), 2, 64)
    for one, same, different in zip(crops_of(2)[:2], again, other, strict=True):
        np.testing.assert_array_equal(one.image, same.image)
        assert (one.image != different.image).mean() > 0.3


def test_a_size_changes_the_pixels_and_not_the_cells():
    for coarse, fine in zip(crops_of(4), crops_of(4, 128), strict=True):
        assert coarse.image.shape == (64, 64, 4)
        assert fine.image.shape == (128, 128, 4)
        halved = fine.image[..., 2].reshape(64, 2, 64, 2).mean((1, 3))
        blue = coarse.image[..., 2].astype(float)
        assert np.corrcoef(halved.ravel(), blue.ravel())[0, 1] > 0.85
        assert abs(fine.x - 2 * coarse.x) <= 2


def test_the_nucleus_of_a_crop_is_in_its_middle():
    for index in range(6):
        for crop in crops_of(index):
            assert crop.cells[32, 32] == crop.nuclei[32, 32] == crop.cell


def test_a_nucleus_is_blue_and_the_reticulum_and_microtubules_lie_around_it():
    cytosol = dataclasses.replace(well(0), labels=("Cytosol",), blur=0.2)
    for crop in scene.draw_crops(cytosol, 5, 64):
        nucleus = crop.nuclei == crop.cell
        body = (crop.cells == crop.cell) & ~nucleus
        red, _, blue, yellow = (crop.image[..., c].astype(float) for c in range(4))
        assert blue[nucleus].mean() > 5 * blue[body].mean()
        assert yellow[body].mean() > 2 * yellow[nucleus].mean()
        assert red[body].mean() > red[nucleus].mean()
