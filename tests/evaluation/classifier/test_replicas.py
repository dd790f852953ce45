from pathlib import Path

import pytest

from tests.evaluation.classifier.drawn_cells import make_dataset
from tests.replicas import largest_difference, runs_of


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicas")
    make_dataset(folder / "data")
    script = Path(__file__).with_name("replica_run.py")
    return runs_of(script, folder / "data", folder)


# Batch normalization's moving statistics are among the compared variables, and both
# dropout and the way crops are shown are on.
def test_one_step_on_two_replicas_equals_one_step_on_one(runs):
    assert largest_difference(runs, "0/") < 5e-6


def test_ten_steps_on_two_replicas_equal_those_on_one(runs):
    assert largest_difference(runs, "9/") < 1e-5
    # Sums over labels, of which the loss is about 2: a few units in the last place.
    assert largest_difference(runs, "losses") < 1e-4
