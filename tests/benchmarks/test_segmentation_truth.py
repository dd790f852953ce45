"""What the segmentation benchmark calls found, false, missed and spoiled."""

import itertools

import numpy as np

from benchmarks import segmentation_truth
from data_prep.labels import load_vocabulary
from data_prep.segmentation.masks import labels_of_mask
from data_prep.synthetic import scene, wells

VOCABULARY = load_vocabulary("hpa24").labels


def squares(*places, size=100, side=20):
    labels = np.zeros((size, size), np.int32)
    for number, (row, column) in enumerate(places, 1):
        labels[row : row + side, column : column + side] = number
    return labels


def counts(found, truth):
    return segmentation_truth.compare(found, truth, 0.32)


def test_the_same_nuclei_are_all_found():
    truth = squares((0, 0), (40, 40))
    assert counts(truth, truth) == {"found": 2, "false": 0, "missed": 0}


def test_shifted_by_a_third_it_is_not_found():
    found, truth = squares((7, 0), (40, 43)), squares((0, 0), (40, 40))
    # Intersections over unions: 13 / 27 and 17 / 23.
    assert counts(found, truth) == {"found": 1, "false": 1, "missed": 1}


def test_two_in_one_are_both_missed_and_nothing_is_missed_without_nuclei():
    truth = squares((0, 0), (0, 20))
    assert counts((truth > 0).astype(np.int32), truth)["missed"] == 2
    none = np.zeros_like(truth)
    assert counts(none, none) == {"found": 0, "false": 0, "missed": 0}


def test_slivers_count_neither_way():
    truth = squares((0, 0), (40, 40))
    truth[99, :12] = 3
    assert counts(squares((0, 0), (40, 40)), truth)["missed"] == 0


def field_with(kind):
    for index in itertools.count():
        well = wells.make_well(4, index, VOCABULARY)
        planned = scene.plan_defects(well, 256, 1.0)
        if planned[0].kind == kind and planned[0].extent != "region":
            clean = scene.draw_field(well, 256)
            return well, scene.draw_field(well, 256, 1.0), clean


def states_of(kind):
    well, field, clean = field_with(kind)
    labels = labels_of_mask(field.scene.nuclei)
    found = segmentation_truth.states(labels, field, clean, well, crop_size=16)
    assert len(found) == labels.max()
    return {state for state in found if state != "cut"}


def test_every_whole_cell_of_a_blurred_field_is_spoiled():
    assert states_of("blur") == {"spoiled"}


def test_cells_of_a_nearly_empty_field_are_good():
    assert states_of("empty") <= {"good"}


def test_what_lies_on_no_true_nucleus_is_spoiled():
    well, field, clean = field_with("blur")
    free = np.argwhere(field.scene.cells[30:-30, 30:-30] == 0)[0] + 30
    labels = np.zeros(field.scene.cells.shape, np.int32)
    labels[tuple(free)] = 1
    assert segmentation_truth.states(labels, field, clean, well, 16) == ["spoiled"]
