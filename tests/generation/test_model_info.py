""""""

import json

import pytest

from tests.generators import make_generator
from tfvqgen.errors import DataError
from tfvqgen.generation.model_info import ModelInfo


def test_a_description_is_read_back_as_it_was_written():
    about = make_generator().model_info
    assert ModelInfo.from_json(json.loads(json.dumps(about.to_json()))) == about


def test_the_id_changes_with_any_weight_and_with_nothing_else():
    about = make_generator().model_info
    value = about.to_json()
    assert (
        ModelInfo.from_json({**value, "credit": "else", "max_rows": 2}).id == about.id
    )
    others = {**value["fingerprints"], "top": "0" * 64}
    assert ModelInfo.from_json({**value, "fingerprints": others}).id != about.id


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        None,
        {},
        {"labels": None},
        {"labels": [1]},
        {"labels": "abc"},
        {"channels": ["red"]},
        {"steps": 3},
        {"max_rows": 0},
        {"dtype": "uint7"},
        {"image_shape": "x"},
        {"image_shape": []},
        {"display": {"red": "nothing like it", "green": None, "blue": None}},
        {"display": {}},
    ],
    ids=str,
)
def test_a_wrong_description_is_refused(wrong):
    value = make_generator().model_info.to_json()
    changed = {**value, **wrong} if isinstance(wrong, dict) and wrong else wrong
    with pytest.raises(DataError, match=r"expected"):
        ModelInfo.from_json(changed)


def test_a_description_of_a_newer_format_is_called_so():
    value = {**make_generator().model_info.to_json(), "format": 2}
    with pytest.raises(DataError, match=r"^a model of another format"):
        ModelInfo.from_json(value)
