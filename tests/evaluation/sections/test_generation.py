import numpy as np
import pytest

from tfvqgen.evaluation.metrics.frechet import frechet_distance, moments
from tfvqgen.evaluation.metrics.kernel_distance import kernel_distance
from tfvqgen.evaluation.sections.generation import distances_section


class Extractor:
    name, size = "inception", 6


def draws(number, seed, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (number, 6)).astype(np.float32)


def test_each_set_is_compared_with_the_held_out_crops():
    held_out, near, far = draws(80, 0), draws(80, 1), draws(80, 2, shift=1.5)
    found = distances_section(
        Extractor(), held_out, {"generated": far, "real": near}, seed=0
    )
    assert found["frechet_name"] == "FID"
    assert (found["n"], found["features"]) == (80, 6)
    for name, rows in (("generated", far), ("real", near)):
        one = found["sets"][name]
        expected = frechet_distance(moments(held_out), moments(rows))
        assert one["frechet"]["value"] == pytest.approx(expected)
        assert one["kernel"]["value"] == pytest.approx(kernel_distance(held_out, rows))
        mean, deviation = one["kernel"]["subsets"].values()
        assert mean == pytest.approx(one["kernel"]["value"]) and deviation is None
        for figure in (one["frechet"], one["kernel"], one["coverage"], one["density"]):
            low, high = figure["interval"]
            assert low <= figure["value"] <= high
    near, far = found["sets"]["real"], found["sets"]["generated"]
    assert near["frechet"]["interval"][1] < far["frechet"]["interval"][0]
    assert near["coverage"]["value"] > 0.9 > far["coverage"]["value"]


@pytest.mark.parametrize(("number", "said"), [(1, False), (4, True)])
def test_what_too_few_cells_do_not_tell_is_null(number, said):
    sets = {"generated": draws(number, 1)}
    found = distances_section(Extractor(), draws(number, 0), sets, seed=0)["sets"]
    assert (found["generated"]["frechet"] is not None) == said
    assert found["generated"]["coverage"] is None
