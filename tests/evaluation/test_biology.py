import dataclasses

import numpy as np
import pytest

from tests.generators import make_generator
from tfvqgen.evaluation.biology import (
    CellMeasurements,
    biology_section,
    missing_channels,
)
from tfvqgen.evaluation.metrics.cell_statistics import RING_EDGES, STATISTICS


@pytest.fixture(scope="module")
def info():
    return make_generator(4).model_info


def cells(number, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    statistics = rng.normal(shift, 2, (number, len(STATISTICS)))
    rings = rng.dirichlet(np.ones(len(RING_EDGES) + 1), number)
    return CellMeasurements(statistics, rings)


def test_distances_are_in_standard_deviations_of_real_cells(info):
    sets = {
        "held_out": cells(300, 0),
        "generated": cells(300, 1, shift=3.0),
        "real": cells(300, 2),
    }
    found = biology_section(sets, info, seed=0)
    for statistic in found["statistics"].values():
        one, floor = statistic["sets"]["generated"], statistic["sets"]["real"]
        assert one["wasserstein"]["value"] == pytest.approx(1.5, abs=0.25)
        assert floor["wasserstein"]["value"] < 0.25
        high = floor["kolmogorov_smirnov"]["interval"][1]
        assert high < one["kolmogorov_smirnov"]["interval"][0]
        assert len(statistic["quantiles"]["generated"]) == 41
    assert found["statistics"]["nucleus_area"]["unit"] == "µm²"
    assert sum(ring["value"] for ring in found["rings"]["real"]) == pytest.approx(1)


def test_unmeasured_cells_do_not_count(info):
    made = cells(60, 1)
    made.statistics[:40, 1] = np.nan
    made.statistics[:, 2] = np.nan
    sets = {"held_out": cells(60, 0), "generated": made}
    found = biology_section(sets, info, seed=0)
    sets = [found["statistics"][name]["sets"]["generated"] for name in STATISTICS]
    assert [one["n"] for one in sets] == [60, 20, 0, 60]
    assert sets[2]["mean"] is None and sets[2]["wasserstein"] is None


def test_data_without_a_channel_of_the_nucleus_are_not_measured(info):
    assert missing_channels(info) is None
    for display in (
        {"red": "red", "green": "green", "blue": None},
        {"red": None, "green": None, "blue": "blue"},
        dict.fromkeys(("red", "green", "blue"), "red"),
    ):
        other = dataclasses.replace(info, display=display)
        assert "no channels of nucleus and protein" in missing_channels(other)
