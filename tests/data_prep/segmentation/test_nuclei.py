"""Nuclei are segmented where they are, and nowhere else."""

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from data_prep.labels import load_vocabulary
from data_prep.segmentation.nuclei import NucleusSettings, segment_nuclei
from data_prep.synthetic import scene, wells

PIXEL_SIZE = 0.32
THREE = ((50, 50), (50, 140), (140, 95))
ROWS, COLUMNS = np.mgrid[:192, :192]


def nuclei_at(places, radius=20.0, level=0.5, background=0.02, noise=0.01, seed=0):
    """Draws soft disks with noise: float32 [192, 192]."""
    depth = np.full(ROWS.shape, -np.inf)
    for row, column in places:
        depth = np.maximum(depth, radius - np.hypot(ROWS - row, COLUMNS - column))
    plane = background + level * np.clip(depth + 0.5, 0, 1)
    plane += np.random.default_rng(seed).normal(0, noise, plane.shape)
    return np.clip(plane, 0, 1).astype(np.float32)


def count(plane):
    labels = segment_nuclei(plane.astype(np.float32), PIXEL_SIZE)
    assert labels.dtype == np.int32 and labels.shape == plane.shape
    # Numbers run from 1 without gaps.
    assert np.array_equal(np.unique(np.append(labels, 0)), np.arange(labels.max() + 1))
    return int(labels.max())


def test_single_nuclei_are_found_with_their_outlines():
    labels = segment_nuclei(nuclei_at(THREE), PIXEL_SIZE)
    assert sorted(labels[place] for place in THREE) == [1, 2, 3]
    found, truth = labels > 0, nuclei_at(THREE, noise=0) > 0.27
    assert (found & truth).sum() / (found | truth).sum() > 0.93


@pytest.mark.parametrize("distance", [30, 34, 38])
def test_two_nuclei_that_touch_are_split_in_the_middle(distance):
    places = [(96, 96 - distance // 2), (96, 96 + distance // 2)]
    labels = segment_nuclei(nuclei_at(places), PIXEL_SIZE)
    assert labels.max() == 2 and labels[places[0]] != labels[places[1]]
    sizes = np.bincount(labels.ravel())[1:]
    assert sizes.min() / sizes.max() > 0.9


def test_a_long_and_a_bent_nucleus_are_one_each():
    long = np.hypot((ROWS - 96) / 15, (COLUMNS - 96) / 40) < 1
    assert count(0.02 + 0.5 * long) == 1
    around = np.hypot(ROWS - 130, COLUMNS - 96)
    bent = (np.abs(around - 60) < 13) & (np.abs(COLUMNS - 96) < 42) & (ROWS < 130)
    assert count(0.02 + 0.5 * bent) == 1


def test_nuclei_are_split_along_the_dark_line_between_them():
    plane = np.full(ROWS.shape, 0.02)
    for middle in (82, 110):
        plane[np.hypot((ROWS - 96) / 30, (COLUMNS - middle) / 14.4) < 1] = 0.5
    plane[:, 95:98][plane[:, 95:98] > 0.1] = 0.15
    assert count(ndimage.gaussian_filter(plane, 0.5)) == 2


def test_a_dark_nucleolus_leaves_no_hole():
    plane = nuclei_at([(96, 96)])
    plane[np.hypot(ROWS - 93, COLUMNS - 98) < 5] = 0.05
    labels = segment_nuclei(plane, PIXEL_SIZE)
    assert labels.max() == labels[93, 98] == 1
    assert abs((labels > 0).sum() / (np.pi * 20**2) - 1) < 0.07


def test_background_between_nuclei_is_no_nucleus():
    angles = np.arange(9) * 2 * np.pi / 9
    places = [(96 + 55 * np.sin(a), 96 + 55 * np.cos(a)) for a in angles]
    labels = segment_nuclei(nuclei_at(places), PIXEL_SIZE)
    assert labels.max() == 9 and labels[96, 96] == 0


def test_dim_saturated_and_cut_nuclei_are_found():
    dim = nuclei_at([(140, 140)], level=0.12, background=0.0, seed=1)
    assert count(np.clip(nuclei_at([(50, 50)], level=0.9) + dim, 0, 1)) == 2
    few = nuclei_at(THREE, level=8 / 255, background=1 / 255, noise=1 / 255)
    assert count(np.round(few * 255) / 255) == 3
    plane = nuclei_at(THREE)
    halo = ndimage.gaussian_filter(plane, 20)
    assert count(np.clip(6 * plane + halo, 0, 1)) == 3
    assert count(nuclei_at([(5, 96), (96, 186), (186, 5)])) == 3


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_constant_field_has_no_nucleus(level):
    assert count(np.full((128, 100), level)) == 0


@pytest.mark.parametrize("background", [0.0, 0.02, 0.9])
@pytest.mark.parametrize("noise", [0.002, 0.1])
def test_noise_is_no_nucleus(background, noise):
    plane = np.random.default_rng(3).normal(background, noise, (192, 192))
    assert count(np.round(np.clip(plane, 0, 1) * 255) / 255) == 0


def test_uneven_light_without_nuclei_has_no_nucleus():
    shade = 0.1 + 0.1 * np.sin(2 * ROWS / 192) * np.cos(3 * COLUMNS / 192)
    assert count(shade + np.random.default_rng(0).normal(0, 0.01, shade.shape)) == 0


@pytest.mark.parametrize("times", [2, 3])
def test_finer_pixels_give_the_same_nuclei(times):
    plane = nuclei_at([(50, 50), (50, 86), (140, 80), (130, 150)])
    coarse = segment_nuclei(plane, PIXEL_SIZE)
    finer = plane.repeat(times, 0).repeat(times, 1)
    labels = segment_nuclei(finer, PIXEL_SIZE / times)
    assert labels.max() == coarse.max() == 4
    again = labels[times // 2 :: times, times // 2 :: times]
    assert np.mean((again > 0) == (coarse > 0)) > 0.995


def test_the_brightness_of_the_whole_field_does_not_matter():
    plane = nuclei_at([(50, 50), (50, 86), (140, 80)])
    bright, dark = (segment_nuclei(plane * k, PIXEL_SIZE) for k in (1, 0.25))
    assert bright.max() == dark.max() == 3
    assert np.mean(bright == dark) > 0.999


def test_settings_are_used():
    huge = dataclasses.replace(NucleusSettings(), smallest_area=1000.0)
    assert segment_nuclei(nuclei_at(THREE), PIXEL_SIZE, huge).max() == 0


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (17, 5)])
def test_a_field_may_be_smaller_than_a_nucleus(shape):
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
