import dataclasses

import numpy as np
import pytest

from tests.generators import LABELS, make_generator
from tfvqgen.evaluation.metrics.cell_statistics import RING_EDGES, STATISTICS
from tfvqgen.evaluation.sections.biology import (
    CellRows,
    biology_section,
    missing_channels,
)

ABOUT = make_generator(4).model_info


def cells(number, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    statistics = rng.normal(shift, 2, (number, len(STATISTICS)))
    rings = rng.dirichlet(np.ones(len(RING_EDGES) + 1), number)
    return CellRows(np.eye(3, dtype=bool)[np.arange(number) % 3], statistics, rings)


def test_a_shift_is_found_in_standard_deviations_of_real_cells():
    sets = {"generated": cells(300, 1, shift=3.0), "real": cells(300, 2)}
    found = biology_section(cells(300, 0), sets, ABOUT, seed=0)
    for statistic in found["statistics"].values():
        one, floor = statistic["sets"]["generated"], statistic["sets"]["real"]
        assert one["wasserstein"]["value"] == pytest.approx(1.5, abs=0.25)
        assert floor["wasserstein"]["value"] < 0.25
        high = floor["kolmogorov_smirnov"]["interval"][1]
        assert high < one["kolmogorov_smirnov"]["interval"][0]
        assert len(statistic["quantiles"]["generated"]) == 41
    assert found["statistics"]["nucleus_area"]["unit"] == "µm²"
    assert sum(ring["value"] for ring in found["rings"]["real"]) == pytest.approx(1)
    assert set(found["labels"]) == set(LABELS)


def test_labels_of_few_cells_are_left_out():
    found = biology_section(cells(300, 0), {"generated": cells(24, 1)}, ABOUT, seed=0)
    assert found["labels"] == {}


def test_cells_that_could_not_be_measured_do_not_count():
    made = cells(60, 1)
    made.statistics[:40, 1] = np.nan
    made.statistics[:, 2] = np.nan
    found = biology_section(cells(60, 0), {"generated": made}, ABOUT, seed=0)
    sets = [found["statistics"][name]["sets"]["generated"] for name in STATISTICS]
    assert [one["n"] for one in sets] == [60, 20, 0, 60]
    assert sets[2]["mean"] is None and sets[2]["wasserstein"] is None


def test_data_without_a_channel_of_the_nucleus_are_not_measured():
    assert missing_channels(ABOUT) is None
    for display in (
        {"red": "red", "green": "green", "blue": None},
        {"red": None, "green": None, "blue": "blue"},
        dict.fromkeys(("red", "green", "blue"), "red"),
    ):
        about = dataclasses.replace(ABOUT, display=display)
        assert "no channels of nucleus and protein" in missing_channels(about)
