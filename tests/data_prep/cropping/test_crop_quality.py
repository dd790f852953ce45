"""Quality columns compared with closed forms; limits, reasons and exemptions."""

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from data_prep.cropping.crop_quality import (
    CELL_REACH,
    COLUMNS,
    Thresholds,
    measure,
    reasons,
)

PIXEL_SIZE, CROP_SIZE, SIZE = 0.32, 64, 192
NUCLEUS, PROTEIN = 2, 1
GOOD = {
    "inside_field": 1.0,
    "touches_border": 0.0,
    "nucleus_area": 150.0,
    "solidity": 0.97,
    "eccentricity": 0.6,
    "focus": 0.5,
    "saturated": 0.0,
    "protein_signal": 0.1,
    "crowding": 0.1,
}


def disks(*places, radius=16.0):
    """Returns int32 labels [SIZE, SIZE] of disks in the order of `places`."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    labels = np.zeros((SIZE, SIZE), np.int32)
    for number, (row, column) in enumerate(places, 1):
        labels[np.hypot(rows - row, columns - column) <= radius] = number
    return labels


def field_of(labels, dtype=np.uint8, level=0.4):
    """Returns [H, W, 4] with nuclei at `level` of the type's maximum."""
    field = np.zeros((*labels.shape, 4), dtype)
    field[..., NUCLEUS] = (labels > 0) * round(level * np.iinfo(dtype).max)
    return field


def measured(field, labels, **others):
    given = {"nucleus": NUCLEUS, "protein": PROTEIN, **others}
    return measure(field, labels, PIXEL_SIZE, CROP_SIZE, **given)


def test_every_nucleus_has_every_column_in_order():
    labels = disks((60, 60), (130, 130), (5, 100))
    field = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 4), np.uint8)
    rows = measured(field, labels)
    assert [tuple(row) for row in rows] == [COLUMNS] * 3
    values = [value for row in rows for value in row.values()]
    assert all(float(f"{value:g}") == value for value in values), "survives a table"
    assert measured(field, disks()) == []
    # Without texture nothing is in focus; without its channel a protein has no column.
    (row,) = measured(np.full_like(field, 77), disks((96, 96)), protein=None)
    assert {*row, "protein_signal"} == set(COLUMNS)
    assert np.isnan(row["focus"])


@pytest.mark.parametrize(
    ("place", "share"),
    [((96, 96), 1), ((96, 16), 48.5 / 64), ((12, 12), 45 * 45 / 64**2)],
)
def test_inside_field_is_the_share_of_the_crop_in_the_field(place, share):
    labels = disks(place, radius=10)
    (row,) = measured(field_of(labels), labels)
    assert row["inside_field"] == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize(
    ("place", "touches"), [((16, 96), 1), ((17, 96), 0), ((96, 175), 1), ((96, 174), 0)]
)
def test_a_nucleus_touches_the_border_from_its_first_pixel_on(place, touches):
    labels = disks((96, 96), place)
    assert measured(field_of(labels), labels)[1]["touches_border"] == touches


def test_the_area_of_a_disk_is_in_square_micrometres():
    labels = disks((96, 96))
    (row,) = measured(field_of(labels), labels)
    assert row["nucleus_area"] == pytest.approx(np.pi * (16 * 0.32) ** 2, rel=0.02)
    assert row["solidity"] == 1 and row["eccentricity"] < 0.05


def test_a_blurred_nucleus_is_less_in_focus_at_any_brightness():
    labels = disks((96, 96), radius=20)
    rng = np.random.default_rng(0)
    texture = 1 + 0.3 * ndimage.gaussian_filter(rng.normal(0, 3, labels.shape), 1.5)
    light = (labels > 0) * texture

    def focus(sigma, level, background=0.0):
        blurred = ndimage.gaussian_filter(light, sigma) if sigma else light
        field = field_of(labels)
        field[..., NUCLEUS] = np.clip(level * blurred + background, 0, 255)
        return measured(field, labels)[0]["focus"]

    values = [focus(sigma, 120) for sigma in (0, 1, 2, 4, 6)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 5 * values[3] > 5 * values[4]
    assert focus(1, 60) == pytest.approx(focus(1, 120), rel=0.1)
    assert focus(1, 120, 50) == pytest.approx(focus(1, 120), rel=0.1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_signal_of_a_protein_is_its_mean_above_the_background(dtype):
    labels = disks((60, 60), (130, 130))
    field = field_of(labels, dtype)
    top = np.iinfo(dtype).max
    field[..., PROTEIN] = 0.1 * top
    cell = ndimage.distance_transform_edt(labels != 2) <= CELL_REACH / PIXEL_SIZE
    field[..., PROTEIN][cell] = 0.3 * top
    one, two = measured(field, labels)
    assert one["protein_signal"] == pytest.approx(0, abs=0.01)
    assert two["protein_signal"] == pytest.approx(0.2, abs=0.01)


def test_given_cells_are_measured_instead():
    labels = disks((96, 96))
    field = field_of(labels)
    cells = np.zeros_like(labels)
    cells[60:140, 60:140] = 1
    field[..., PROTEIN][60:140, 60:100] = 100
    field[..., 0][60:140, 60:80] = 255
    (row,) = measured(field, labels, cells=cells)
    assert row["protein_signal"] == pytest.approx(50 / 255, rel=1e-3)
    assert row["saturated"] == pytest.approx(0.25)


def test_a_cell_without_a_nucleus_is_measured_and_rejected():
    cells = disks((60, 60), (130, 130), radius=30)
    nuclei = np.where(cells == 1, disks((60, 60)), 0).astype(np.int32)
    one, two = measured(field_of(nuclei), nuclei, cells=cells)
    assert two["nucleus_area"] == 0 and two["inside_field"] == 1
    assert np.isnan([two["solidity"], two["focus"]]).all()
    assert reasons(two) == ["no nucleus found in the cell"]
    assert one["nucleus_area"] > 0


def test_crowding_is_the_share_of_other_nuclei_in_the_crop():
    labels = disks((96, 96), radius=10)
    labels[70:80, 80:110] = 2  # In the crop of the first.
    labels[150:180, 150:180] = 3  # Outside.
    row = measured(field_of(labels), labels)[0]
    assert row["crowding"] == pytest.approx(10 * 30 / 64**2, rel=1e-4)


def test_columns_do_not_depend_on_the_pixel_size():
    labels = disks((60, 60), (130, 125))
    rng = np.random.default_rng(0)
    field = ndimage.gaussian_filter(rng.normal(0, 1, (SIZE, SIZE, 4)), (3, 3, 0))
    field = np.clip(80 + 500 * field + 60 * (labels > 0)[..., None], 0, 255)
    field = ndimage.gaussian_filter(field, (1.5, 1.5, 0)).astype(np.uint8)
    coarse = measured(field, labels)
    finer, numbers = (a.repeat(2, 0).repeat(2, 1) for a in (field, labels))
    channels = {"nucleus": NUCLEUS, "protein": PROTEIN}
    finer = measure(finer, numbers, PIXEL_SIZE / 2, 2 * CROP_SIZE, **channels)
    for one, two in zip(coarse, finer, strict=True):
        for name in COLUMNS:
            tolerance = 0.25 if name == "focus" else 0.03
            assert two[name] == pytest.approx(one[name], rel=tolerance, abs=0.02), name


def test_each_limit_has_a_reason():
    bad = {"inside_field": 0.5, "solidity": 0.5, "eccentricity": 0.99, "focus": 0.0}
    bad |= {"saturated": 0.9, "protein_signal": -0.1, "crowding": 0.95}
    bad |= {"nucleus_area": 3.0}
    for column, value in [*bad.items(), ("nucleus_area", 9e3), ("focus", np.nan)]:
        (reason,) = reasons({**GOOD, column: value})
        assert f"({column} {value:g} " in reason
    assert reasons({**GOOD, "touches_border": 1.0}) != []


def test_a_good_cell_has_no_reason_and_a_bad_one_all_of_its_reasons():
    assert reasons(GOOD) == []
    assert len(reasons({**GOOD, "focus": 0.0, "saturated": 0.9})) == 2
    without = {name: value for name, value in GOOD.items() if name != "protein_signal"}
    assert reasons(without) == []


def test_dividing_cells_are_exempt_from_limits_on_shape_only():
    label = "mitotic  SPINDLE"
    for column, value in (("nucleus_area", 3), ("solidity", 0.4), ("eccentricity", 1)):
        odd = {**GOOD, column: value}
        assert reasons(odd, ["Nucleoplasm", label]) == []
        assert reasons(odd, ["Nucleoplasm"]) != []
    assert reasons({**GOOD, "focus": 0.0}, [label]) != []


def test_limits_can_be_changed_and_removed():
    small = {**GOOD, "nucleus_area": 3.0}
    assert reasons(small, (), Thresholds(least_nucleus_area=2.0)) == []
    every = {field.name: None for field in dataclasses.fields(Thresholds)}
    none = Thresholds(**{**every, "border_allowed": True, "exempt_labels": ()})
    worst = dict.fromkeys(GOOD, -1.0) | {"touches_border": 1.0, "nucleus_area": 9e9}
    assert reasons(worst, (), none) == []
