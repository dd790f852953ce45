import numpy as np
import pytest

from tfvqgen.evaluation.metrics.cell_statistics import (
    RING_EDGES,
    STATISTICS,
    cell_statistics,
    nucleus_mask,
)

SIDE, RADIUS = 96, 20


def disk(radius, centre=(48, 48), side=SIDE):
    rows, columns = np.mgrid[:side, :side]
    squares = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2
    return (squares <= radius**2).astype(float)


def measured(nucleus, protein):
    rows, rings = cell_statistics(nucleus[None], protein[None])
    return dict(zip(STATISTICS, rows[0], strict=True)), rings[0]


def test_the_nucleus_is_the_disk_at_the_centre():
    found, _ = measured(0.8 * disk(RADIUS) + 0.05, disk(10))
    # Smoothed by 1.5 pixels, its edge moves by less than one.
    assert found["nucleus_area"] == pytest.approx(np.pi * RADIUS**2, rel=0.06)
    two = nucleus_mask(disk(12) + 3 * disk(15, centre=(20, 20)) * 0.4)
    assert not two[20, 20] and two.sum() == pytest.approx(np.pi * 144, rel=0.1)
    beside = nucleus_mask(disk(12, centre=(30, 60)))
    assert beside[30, 60] and beside.sum() == pytest.approx(np.pi * 144, rel=0.1)
    # A dark nucleolus is not a hole.
    assert nucleus_mask(disk(RADIUS) - disk(5, centre=(44, 50)))[44, 50]


def test_protein_inside_and_outside_the_nucleus_is_distinguished():
    nucleus = disk(RADIUS)
    inside, inner_rings = measured(nucleus, disk(RADIUS - 4))
    outside, outer_rings = measured(nucleus, disk(36) - disk(30))
    half, _ = measured(nucleus, disk(RADIUS * np.sqrt(2)))
    assert inside["protein_inside_nucleus"] == 1
    assert outside["protein_inside_nucleus"] == 0
    assert half["protein_inside_nucleus"] == pytest.approx(0.5, abs=0.04)
    # From 30 to 36 pixels is half to .8 radii beyond an edge at 20.
    assert outside["protein_distance"] == pytest.approx(0.65, abs=0.06)
    assert inside["protein_distance"] < 0
    assert inner_rings[:2].sum() == pytest.approx(1)
    assert outer_rings[RING_EDGES.index(0.5) + 1] > 0.9
    assert outer_rings.sum() == pytest.approx(1)


def test_granularity_is_the_share_that_an_opening_removes():
    rng = np.random.default_rng(0)
    grains = (rng.random((SIDE, SIDE)) < 0.02).astype(float)
    fine, _ = measured(disk(RADIUS), grains)
    smooth, _ = measured(disk(RADIUS), disk(30))
    assert fine["protein_granularity"] > 0.9 > 0.1 > smooth["protein_granularity"]


def test_brightness_and_background_do_not_change_statistics():
    nucleus, protein = disk(RADIUS), disk(30) - disk(24)
    expected, rings = measured(nucleus, protein)
    found, other_rings = measured(0.1 * nucleus, 0.2 * protein + 0.1)
    assert found == pytest.approx(expected)
    np.testing.assert_allclose(other_rings, rings, atol=1e-9)


def test_statistics_of_flat_channels_are_nan():
    nothing = np.zeros((SIDE, SIDE))
    found, rings = measured(nothing, disk(10))
    assert np.isnan(list(found.values())).all() and np.isnan(rings).all()
    found, rings = measured(disk(RADIUS), nothing + 0.3)
    assert found["nucleus_area"] > 0 and np.isnan(found["protein_distance"])
