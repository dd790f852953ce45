import json

import pytest

from tests.generators import make_generator
from tfvqgen.errors import DataError
from tfvqgen.generation.model_info import ModelInfo

INFO = make_generator().model_info


def test_a_description_is_read_back_as_it_was_written():
    assert ModelInfo.from_json(json.loads(json.dumps(INFO.to_json()))) == INFO


def test_the_id_depends_on_the_fingerprints_only():
    value = {**INFO.to_json(), "credit": "else", "max_rows": 2}
    assert ModelInfo.from_json(value).id == INFO.id
    others = {**value["fingerprints"], "top": "0" * 64}
    assert ModelInfo.from_json({**value, "fingerprints": others}).id != INFO.id


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": 2},
        {"labels": [1]},
        {"channels": ["red"]},
        {"steps": 3},
        {"max_rows": 0},
        {"dtype": "uint7"},
        {"image_shape": []},
        {"display": {"red": "no such channel", "green": None, "blue": None}},
    ],
    ids=str,
)
def test_a_wrong_description_is_refused(wrong):
    with pytest.raises(DataError, match="expected"):
        ModelInfo.from_json({**INFO.to_json(), **wrong})
