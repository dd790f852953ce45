import math

import pytest

from tfvqgen.errors import UserError
from tfvqgen.evaluation.figures.settings import Settings as FigureSettings
from tfvqgen.evaluation.settings import Settings, classifier_config
from tfvqgen.training.stages.classifier import ClassifierConfig

WHERE = {"workdir": "w", "data_dir": "d"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_samples": 0},
        {"num_samples": 10**12},
        {"seed": -1},
        {"seed": 2**64},
        {"keep_best": 0},
        {"keep_best": 1e-320},
        {"keep_best": math.nan},
        {"keep_best": 1.1},
    ],
    ids=str,
)
def test_numbers_out_of_range_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(UserError, match=f"^{name} is out of range.*{name}={value}"):
        Settings(**WHERE, **wrong)


@pytest.mark.parametrize(
    "wrong",
    [{"num_per_label": 0}, {"num_per_label": 10**12}, {"seed": -1}, {"seed": 2**64}],
    ids=str,
)
def test_numbers_out_of_range_are_refused_for_figures(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(UserError, match=f"^{name} is out of range.*{name}={value}"):
        FigureSettings(**WHERE, **wrong)


def test_the_flag_of_no_steps_is_named():
    assert classifier_config(None) == ClassifierConfig()
    assert classifier_config(3).steps == 3
    with pytest.raises(UserError, match="classifier_steps is out of range"):
        classifier_config(0)
