import math

import pytest

from tfvqgen.errors import UserError
from tfvqgen.evaluation.settings import (
    EvaluationSettings,
    FigureSettings,
)

WHERE = {"workdir": "w", "data_dir": "d"}


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (EvaluationSettings, "num_samples", 0),
        (EvaluationSettings, "seed", 2**64),
        (EvaluationSettings, "keep_best", math.nan),
        (FigureSettings, "num_per_label", 0),
    ],
)
def test_numbers_out_of_range_are_refused(kind, name, value):
    with pytest.raises(UserError, match=f"^{name} is out of range.*{name}={value}"):
        kind(**WHERE, **{name: value})
