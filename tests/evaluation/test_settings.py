import math

import pytest

from tfvqgen.errors import UserError
from tfvqgen.evaluation.settings import (
    EvaluationSettings,
    FigureSettings,
    classifier_config,
)
from tfvqgen.training.stages.classifier import ClassifierConfig

WHERE = {"workdir": "w", "data_dir": "d"}


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (EvaluationSettings, "num_samples", 0),
        (EvaluationSettings, "num_samples", 10**12),
        (EvaluationSettings, "seed", 2**64),
        (EvaluationSettings, "keep_best", 1e-320),
        (EvaluationSettings, "keep_best", math.nan),
        (FigureSettings, "num_per_label", 0),
        (FigureSettings, "seed", -1),
    ],
)
def test_numbers_out_of_range_are_refused(kind, name, value):
    with pytest.raises(UserError, match=f"^{name} is out of range.*{name}={value}"):
        kind(**WHERE, **{name: value})


def test_classifier_steps_are_positive_or_the_default():
    assert classifier_config(None) == ClassifierConfig()
    assert classifier_config(3).steps == 3
    with pytest.raises(UserError, match="classifier_steps is out of range"):
        classifier_config(0)
