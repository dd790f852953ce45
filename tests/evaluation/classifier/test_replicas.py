import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import support
from tests.evaluation.classifier.drawn_cells import make_dataset

SCRIPT = Path(__file__).with_name("replica_run.py")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicas")
    make_dataset(folder / "data")
    processes = {
        replicas: subprocess.Popen(
            [
                sys.executable,
                SCRIPT,
                folder / "data",
                replicas,
                folder / f"{replicas}.npz",
            ],
            cwd=support.ROOT,
            env=support.environment(),
        )
        for replicas in ("one", "two")
    }
    for process in processes.values():
        assert process.wait(timeout=300) == 0
    return {
        replicas: dict(np.load(folder / f"{replicas}.npz")) for replicas in processes
    }


def largest_difference(runs, prefix):
    names = [name for name in runs["one"] if name.startswith(prefix)]
    assert names
    return max(np.abs(runs["one"][n] - runs["two"][n]).max() for n in names)


# Batch normalization's moving statistics are among the compared variables, and both
# dropout and the way crops are shown are on.
def test_one_step_on_two_replicas_equals_one_step_on_one(runs):
    # Adam's first step is as long for the smallest gradient, of which rounding is more.
    assert largest_difference(runs, "0/") < 5e-6


def test_ten_steps_on_two_replicas_equal_those_on_one(runs):
    assert largest_difference(runs, "9/") < 1e-5
    # Sums over labels, of which the loss is about 2: a few units in the last place.
    assert largest_difference(runs, "losses") < 1e-4
