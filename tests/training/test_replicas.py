import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import support

SCRIPT = Path(__file__).with_name("replica_run.py")
RULES = ("ema", "gradient")
PRIORS = ("prior", "accumulating_prior")
ALL = (*RULES, "critic", *PRIORS)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicas")
    support.make_dataset(
        folder / "data", {"train": 24, "validation": 4}, shape=(16, 16, 3)
    )
    processes = {
        replicas: subprocess.Popen(
            [
                sys.executable,
                SCRIPT,
                folder / "data",
                replicas,
                folder / f"{replicas}.npz",
            ],
            cwd=SCRIPT.parents[2],
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
    """Returns the largest difference; of values above 1, over the largest value."""
    names = [name for name in runs["one"] if name.startswith(prefix)]
    assert names
    pairs = [(runs["one"][name], runs["two"][name]) for name in names]
    return max(
        np.abs(one - two).max() / max(1, np.abs(one).max()) for one, two in pairs
    )


# SGD moves the weights by a tenth of the gradient.
@pytest.mark.parametrize("rule", ALL)
def test_one_step_on_two_replicas_equals_one_step_on_one(runs, rule):
    assert largest_difference(runs, f"{rule}/sgd/0/") < 2e-7
    assert largest_difference(runs, f"{rule}/sgd/sums/") < 1e-6


@pytest.mark.parametrize("rule", RULES)
def test_codebooks_started_and_revived_from_data_are_the_same_on_two_replicas(
    runs, rule
):
    assert largest_difference(runs, f"{rule}/sgd/2/") < 1e-6
    assert runs["one"][f"{rule}/sgd/jumps"] > 16, "codes were re-seeded after the first"
    assert largest_difference(runs, f"{rule}/sgd/jumps") == 0


@pytest.mark.parametrize("rule", ALL)
def test_twenty_steps_of_sgd_on_two_replicas_equal_those_on_one(runs, rule):
    assert largest_difference(runs, f"{rule}/sgd/19/") < 1e-5


@pytest.mark.parametrize("rule", ALL)
def test_the_loss_of_adam_on_two_replicas_stays_with_that_on_one(runs, rule):
    assert largest_difference(runs, f"{rule}/adam/losses") < 1e-3
