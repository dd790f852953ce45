from pathlib import Path

import pytest

from tests import support
from tests.replicas import largest_difference, runs_of

RULES = ("ema", "gradient")
PRIORS = ("prior", "accumulating_prior")
ALL = (*RULES, "critic", *PRIORS)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicas")
    data = folder / "data"
    support.make_dataset(data, {"train": 24, "validation": 4}, shape=(16, 16, 3))
    return runs_of(Path(__file__).with_name("replica_run.py"), data, folder)


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
    assert runs["one"][f"{rule}/sgd/jumps"] > 0, "codes were re-seeded"
    assert largest_difference(runs, f"{rule}/sgd/jumps") == 0


@pytest.mark.parametrize("rule", ALL)
def test_twenty_steps_of_sgd_on_two_replicas_equal_those_on_one(runs, rule):
    assert largest_difference(runs, f"{rule}/sgd/19/") < 1e-5


@pytest.mark.parametrize("rule", ALL)
def test_the_loss_of_adam_on_two_replicas_stays_with_that_on_one(runs, rule):
    assert largest_difference(runs, f"{rule}/adam/losses") < 1e-3


# Batch normalization's moving statistics are among the compared variables, and both
# dropout and augmentation are on.
def test_ten_steps_of_a_classifier_on_two_replicas_equal_those_on_one(runs):
    assert largest_difference(runs, "classifier/0/") < 5e-6
    assert largest_difference(runs, "classifier/9/") < 1e-5
    # Sums over labels, of which the loss is about 2: a few units in the last place.
    assert largest_difference(runs, "classifier/losses") < 1e-4
