"""Nuclei are found where they are, and nowhere else."""

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from data_prep.labels import load_vocabulary
from data_prep.segmentation.nuclei import NucleusSettings, segment_nuclei
from data_prep.synthetic import scene, wells

PIXEL_SIZE = 0.32


def nuclei_at(places, size=256, radius=20.0, level=0.5, background=0.02, seed=0):
    """Draws soft disks with a little noise: float32 [size, size] and their true mask.

    `places` are (row, column), radii in pixels.
    """
    rows, columns = np.mgrid[:size, :size]
    depth = np.full((size, size), -np.inf)
    for row, column in places:
        depth = np.maximum(depth, radius - np.hypot(rows - row, columns - column))
    plane = background + level * np.clip(depth + 0.5, 0, 1)
    noise = np.random.default_rng(seed).normal(0, 0.01, plane.shape)
    return np.clip(plane + noise, 0, 1).astype(np.float32), depth > 0


def count(plane, pixel_size=PIXEL_SIZE):
    labels = segment_nuclei(plane, pixel_size)
    assert labels.dtype == np.int32
    assert labels.shape == plane.shape
    # Numbers run from 1 without gaps.
    assert np.array_equal(np.unique(np.append(labels, 0)), np.arange(labels.max() + 1))
    return int(labels.max())


def test_single_nuclei_are_found_with_their_outlines():
    places = [(60, 60), (60, 180), (190, 120)]
    plane, truth = nuclei_at(places)
    labels = segment_nuclei(plane, PIXEL_SIZE)
    assert [labels[place] for place in places] == [1, 2, 3]
    both = (labels > 0) & truth
    assert both.sum() / ((labels > 0) | truth).sum() > 0.93


@pytest.mark.parametrize("apart", [30, 34, 38])
def test_two_nuclei_that_touch_are_two(apart):
    places = [(128, 128 - apart // 2), (128, 128 + apart // 2)]
    plane, _ = nuclei_at(places)
    labels = segment_nuclei(plane, PIXEL_SIZE)
    assert labels.max() == 2
    assert labels[places[0]] != labels[places[1]]
    sizes = np.bincount(labels.ravel())[1:]
    assert sizes.min() / sizes.max() > 0.9


def test_a_long_nucleus_is_one():
    rows, columns = np.mgrid[:256, :256]
    ellipse = np.hypot((rows - 128) / 15, (columns - 128) / 40) < 1
    assert count((0.02 + 0.5 * ellipse).astype(np.float32)) == 1


def test_a_bent_nucleus_is_one():
    rows, columns = np.mgrid[:256, :256]
    around = np.hypot(rows - 160, columns - 128)
    ends = np.abs(columns - 128) < 42
    bent = (np.abs(around - 60) < 13) & ends & (rows < 160)
    assert count((0.02 + 0.5 * bent).astype(np.float32)) == 1


def test_nuclei_are_split_along_the_dark_line_between_them():
    rows, columns = np.mgrid[:256, :256]
    plane = np.full((256, 256), 0.02)
    for middle in (114, 142):
        shape = np.hypot((rows - 128) / 30, (columns - middle) / 14.4) < 1
        plane[shape] = 0.5
    plane[:, 127:130][plane[:, 127:130] > 0.1] = 0.15
    assert count(ndimage.gaussian_filter(plane, 0.5).astype(np.float32)) == 2


def test_a_dark_nucleolus_leaves_no_hole():
    plane, truth = nuclei_at([(128, 128)])
    rows, columns = np.mgrid[:256, :256]
    plane[np.hypot(rows - 125, columns - 130) < 5] = 0.05
    labels = segment_nuclei(plane, PIXEL_SIZE)
    assert labels.max() == 1
    assert labels[125, 130] == 1
    assert abs((labels > 0).sum() / truth.sum() - 1) < 0.07


def test_background_that_nuclei_enclose_is_no_nucleus():
    angles = np.arange(9) * 2 * np.pi / 9
    places = [(128 + 55 * np.sin(a), 128 + 55 * np.cos(a)) for a in angles]
    plane, _ = nuclei_at(places)
    labels = segment_nuclei(plane, PIXEL_SIZE)
    assert labels.max() == 9
    assert labels[128, 128] == 0


def test_a_dim_nucleus_beside_a_bright_one_is_found():
    plane, _ = nuclei_at([(70, 70)], level=0.9)
    dim, _ = nuclei_at([(180, 180)], level=0.12, background=0.0, seed=1)
    assert count(np.clip(plane + dim, 0, 1)) == 2


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_constant_field_has_no_nucleus(level):
    assert count(np.full((128, 100), level, np.float32)) == 0


@pytest.mark.parametrize("background", [0.0, 0.02, 0.9])
@pytest.mark.parametrize("noise", [0.002, 0.1])
def test_noise_is_no_nucleus(background, noise):
    grain = np.random.default_rng(3).normal(background, noise, (192, 192))
    plane = np.round(np.clip(grain, 0, 1) * 255) / 255
    assert count(plane.astype(np.float32)) == 0


def test_uneven_light_without_nuclei_has_no_nucleus():
    rows, columns = np.mgrid[:256, :256] / 256
    shade = 0.1 + 0.1 * np.sin(2 * rows) * np.cos(3 * columns)
    noise = np.random.default_rng(0).normal(0, 0.01, shade.shape)
    assert count((shade + noise).astype(np.float32)) == 0


def test_nuclei_of_a_few_grey_levels_are_found():
    places = [(60, 60), (60, 180), (190, 120)]
    plane, _ = nuclei_at(places, level=8 / 255, background=1 / 255)
    noisy = plane - nuclei_at([], background=1 / 255)[0] + 1 / 255
    noisy += np.random.default_rng(1).normal(0, 1 / 255, plane.shape)
    plane = np.round(np.clip(noisy, 0, 1) * 255) / 255
    assert count(plane.astype(np.float32)) == 3


def test_saturated_nuclei_are_found():
    places = [(60, 60), (60, 180), (190, 120)]
    plane, _ = nuclei_at(places)
    halo = ndimage.gaussian_filter(plane, 20)
    assert count(np.clip(6 * plane + halo, 0, 1).astype(np.float32)) == 3


def test_nuclei_at_the_border_are_found():
    plane, _ = nuclei_at([(5, 128), (128, 250), (250, 5)])
    assert count(plane) == 3


@pytest.mark.parametrize("times", [2, 3])
def test_finer_pixels_give_the_same_nuclei(times):
    places = [(40, 40), (40, 76), (130, 60), (120, 130)]
    plane, _ = nuclei_at(places, size=160)
    coarse = segment_nuclei(plane, PIXEL_SIZE)
    finer = np.kron(plane, np.ones((times, times), np.float32))
    labels = segment_nuclei(finer, PIXEL_SIZE / times)
    assert labels.max() == coarse.max() == 4
    again = labels[times // 2 :: times, times // 2 :: times]
    assert np.mean((again > 0) == (coarse > 0)) > 0.995


def test_the_brightness_of_the_whole_field_does_not_matter():
    plane, _ = nuclei_at([(60, 60), (60, 96), (190, 120)])
    bright, dark = (segment_nuclei(plane * k, PIXEL_SIZE) for k in (1, 0.25))
    assert bright.max() == dark.max() == 3
    assert np.mean(bright == dark) > 0.999


def test_settings_are_used():
    plane, _ = nuclei_at([(60, 60), (60, 180)])
    huge = dataclasses.replace(NucleusSettings(), smallest_area=1000.0)
    assert segment_nuclei(plane, PIXEL_SIZE, huge).max() == 0


def test_a_field_may_be_smaller_than_a_nucleus():
    for shape in ((1, 1), (3, 200), (17, 5)):
        noise = np.random.default_rng(0).random(shape, np.float32)
        assert segment_nuclei(noise, PIXEL_SIZE).shape == shape


def test_synthetic_fields_are_segmented_with_an_f1_above_97_percent():
    from benchmarks import segmentation_truth

    vocabulary = load_vocabulary("hpa24").labels
    total = np.zeros(3)
    for index in range(2):
        field = scene.draw_field(wells.make_well(5, index, vocabulary), 512).scene
        labels = segment_nuclei(field.image[..., 2] / np.float32(255), PIXEL_SIZE)
        counts = segmentation_truth.compare(labels, field.nuclei, PIXEL_SIZE)
        total += [counts["found"], counts["false"], counts["missed"]]
    found, false, missed = total
    assert 2 * found / (2 * found + false + missed) > 0.97


def test_a_synthetic_field_without_cells_has_no_nucleus():
    well = wells.make_well(2, 0, load_vocabulary("hpa24").labels)
    empty = scene.draw_scene(well, scene.cells_of_field(well, 512.0, 0), 512.0, 0.5)
    blue = empty.image[..., 2] / np.float32(255)
    assert segment_nuclei(blue, 2 * PIXEL_SIZE).max() == 0
