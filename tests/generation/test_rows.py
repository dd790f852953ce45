import numpy as np
import pytest

from tests.generators import make_generator
from tfvqgen.errors import UserError
from tfvqgen.generation.rows import check_rows

INFO = make_generator().model_info
VALID = {
    "labels": [[0, 1, 0], [1, 1, 0]],
    "seeds": [1, 2],
    "temperature": [1.0, 0.5],
    "top_p": 0.9,
    "guidance": [0.0, 2.0],
}


def test_valid_rows_have_the_types_of_the_signature():
    rows = check_rows(INFO, **VALID)
    assert {name: x.dtype.name for name, x in rows.items()} == {
        "labels": "float32",
        "seed": "int64",
        "temperature": "float32",
        "top_p": "float32",
        "guidance": "float32",
    }
    assert [x.shape for x in rows.values()] == [(2, 3), *[(2,)] * 4]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": [[0, 1], [0, 1]]}, r"labels has a wrong shape: expected \(2, 3\)"),
        ({"labels": [[0, 1, 0], [0, 2, 0]]}, r"labels\[1, 1\]=2"),
        ({"labels": [["a", "b", "c"]] * 2}, "labels: expected numbers"),
        ({"seeds": [1.5, 2]}, "seeds are wrong: expected integers"),
        ({"seeds": []}, "seeds are wrong"),
        ({"seeds": np.array([2**63, 1], np.uint64)}, r"seed\[0\]=9223372036854775808"),
        ({"temperature": [1, 0]}, r"temperature\[1\]=0"),
        ({"temperature": [1, np.nan]}, r"temperature\[1\]=nan"),
        ({"temperature": [1e60, 1]}, r"temperature\[0\]=inf"),
        ({"temperature": [1, 1, 1]}, r"expected \(\) or \(2,\)"),
        ({"top_p": [1, 1.0001]}, r"top_p\[1\]=1.0001"),
        ({"guidance": [-0.1, 0]}, r"guidance\[0\]=-0.1"),
    ],
)
def test_a_wrong_row_is_named(change, words):
    with pytest.raises(UserError, match=words):
        check_rows(INFO, **{**VALID, **change})
