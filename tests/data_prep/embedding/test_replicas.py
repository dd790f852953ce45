from pathlib import Path

import pytest

from tests import support
from tests.replicas import largest_difference, runs_of


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicas")
    crops = support.make_crops(
        folder / "crops",
        [["a"]] * 24,
        groups=[f"group{i // 4}" for i in range(24)],
        shape=(16, 16, 3),
    )
    return runs_of(Path(__file__).with_name("replica_run.py"), crops, folder)


# Batch normalization's moving statistics are among the compared variables.
def test_one_step_on_two_replicas_equals_one_step_on_one(runs):
    assert largest_difference(runs, "0/") < 1e-6


def test_ten_steps_on_two_replicas_equal_those_on_one(runs):
    assert largest_difference(runs, "9/") < 1e-5
    assert largest_difference(runs, "losses") < 1e-6
