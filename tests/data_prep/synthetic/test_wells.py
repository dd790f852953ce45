"""Wells: labels, staining, neighbours, and that a seed says everything."""

import collections
import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.labels import load_vocabulary
from data_prep.synthetic import scene, wells

VOCABULARY = load_vocabulary("hpa24").labels


@settings(max_examples=15, deadline=None)
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


def test_a_long_plan_is_balanced_and_one_well_in_seven_has_two_labels():
    plan = [wells.make_well(3, index, VOCABULARY) for index in range(24 * 20)]
    counts = collections.Counter(name for well in plan for name in well.labels)
    two = np.mean([len(well.labels) == 2 for well in plan])
    assert set(counts) == set(VOCABULARY)
    assert max(counts.values()) < 1.5 * min(counts.values())
    assert 0.10 < two < 0.20
    assert all(10 <= well.num_cells <= 20 for well in plan)
    assert len({well.line.name for well in plan}) == len(wells.LINES)


def test_a_well_does_not_depend_on_how_many_crops_are_wanted():
    few, many = (scene.draw_crops(_well(5), count, 32) for count in (2, 6))
    for one, other in zip(few, many[:2], strict=True):
        np.testing.assert_array_equal(one.image, other.image)


def test_the_same_seed_gives_the_same_pixels_and_another_seed_others():
    first, again = (scene.draw_crops(_well(2), 2, 64) for _ in range(2))
    other = scene.draw_crops(wells.make_well(1, 2, VOCABULARY), 2, 64)
    for one, same, different in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(one.image, same.image)
        assert (one.image != different.image).mean() > 0.3


def test_a_size_changes_the_pixels_and_not_the_cells():
    small, large = (scene.draw_crops(_well(4), 3, size) for size in (64, 128))
    for coarse, fine in zip(small, large, strict=True):
        assert coarse.image.shape == (64, 64, 4)
        assert fine.image.shape == (128, 128, 4)
        halved = fine.image[..., 2].reshape(64, 2, 64, 2).mean((1, 3))
        blue = coarse.image[..., 2].astype(float)
        assert np.corrcoef(halved.ravel(), blue.ravel())[0, 1] > 0.85
        assert abs(fine.x - 2 * coarse.x) <= 2


def test_the_middle_of_a_crop_is_the_nucleus_of_its_cell():
    for index in range(8):
        for crop in scene.draw_crops(_well(index), 3, 64):
            assert crop.cells[32, 32] == crop.cell
            assert crop.nuclei[32, 32] == crop.cell


def test_neighbours_crowd_in_more_where_the_well_is_dense():
    share = {}
    for name, area in (("dense", 6000), ("sparse", 13_000)):
        crops = [
            crop
            for index in range(6)
            for crop in scene.draw_crops(
                dataclasses.replace(_well(index), cell_area=area), 8, 64
            )
        ]
        neighbours = [np.where(c.cells == c.cell, 0, c.cells) for c in crops]
        share[name] = np.mean(np.array(neighbours) > 0)
        assert np.mean([cells.any() for cells in neighbours]) > 0.6
    assert share["dense"] > 1.4 * share["sparse"] > 0


def test_cells_of_a_well_share_their_staining():
    brightness = []
    for index in range(12):
        crops = scene.draw_crops(_well(index), 8, 64)
        brightness.append([np.median(c.image[c.nuclei == c.cell, 2]) for c in crops])
    within = np.mean(np.std(brightness, axis=1))
    between = np.std(np.mean(brightness, axis=1))
    assert between > 1.3 * within


def test_a_nucleus_is_blue_with_dark_nucleoli_and_the_reticulum_lies_around_it():
    drawn = dataclasses.replace(_well(0), labels=("Cytosol",), blur=0.2)
    for crop in scene.draw_crops(drawn, 5, 128):
        mine = crop.cells == crop.cell
        nucleus = crop.nuclei == crop.cell
        red, _, blue, yellow = (crop.image[..., c].astype(float) for c in range(4))
        assert blue[nucleus].mean() > 5 * blue[mine & ~nucleus].mean()
        assert yellow[mine & ~nucleus].mean() > 2 * yellow[nucleus].mean()
        assert red[mine & ~nucleus].mean() > red[nucleus].mean()


def _well(index, seed=0):
    return wells.make_well(seed, index, VOCABULARY)
