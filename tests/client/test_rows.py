""""""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.export.tiny_model import make_about
from tfvqgen.client.rows import Rows, check_rows, rows_per_request
from tfvqgen.errors import UserError

ABOUT = make_about()
GOOD = {
    "labels": [[0, 1, 0], [1, 1, 0]],
    "seeds": [1, 2],
    "temperature": [1.0, 0.5],
    "top_p": [1.0, 0.9],
    "guidance": [0.0, 2.0],
}


def test_good_rows_have_the_types_of_the_signature():
    rows = check_rows(ABOUT, **GOOD)
    assert [x.dtype.name for x in rows] == ["float32", "int64", *["float32"] * 3]
    assert [x.shape for x in rows] == [(2, 3), *[(2,)] * 4]


@pytest.mark.parametrize(
    "change, words",
    [
        ({"labels": [[0, 1, 0]]}, r"labels have a wrong shape: expected \(2, 3\)"),
        ({"labels": [[0, 1], [0, 1]]}, "labels have a wrong shape"),
        ({"labels": [0, 1]}, "labels have a wrong shape"),
        ({"labels": [[0, 1, 0], [0, 2, 0]]}, r"labels\[1, 1\]=2"),
        ({"labels": [[0, 1, 0], [0, np.nan, 0]]}, r"labels\[1, 1\]=nan"),
        ({"labels": [["a", "b", "c"]] * 2}, "wrong labels: expected numbers"),
        ({"seeds": [1.5, 2]}, "wrong seeds: expected whole numbers"),
        ({"seeds": [[1], [2]]}, r"wrong seeds: .* shape=\(2, 1\)"),
        ({"seeds": np.array([2**63, 1], np.uint64)}, r"seed\[0\]=9223372036854775808"),
        ({"seeds": [2**64, 1]}, "wrong seeds"),
        ({"temperature": [1, 0]}, r"temperature\[1\]=0"),
        ({"temperature": [1, -1]}, r"temperature\[1\]=-1"),
        ({"temperature": [1, np.nan]}, r"temperature\[1\]=nan"),
        ({"temperature": [np.inf, 1]}, r"temperature\[0\]=inf"),
        ({"temperature": [1e-60, 1]}, r"temperature\[0\]=0"),
        ({"temperature": [1e60, 1]}, r"temperature\[0\]=inf"),
        ({"temperature": [1, 1, 1]}, "temperature has a wrong shape"),
        ({"top_p": [0, 1]}, r"top_p\[0\]=0"),
        ({"top_p": [1, 1.0001]}, r"top_p\[1\]=1.0001"),
        ({"guidance": [-0.1, 0]}, r"guidance\[0\]=-0.1"),
        ({"guidance": [np.inf, 0]}, r"guidance\[0\]=inf"),
    ],
)
def test_bad_rows_are_refused_by_name_and_place(change, words):
    with pytest.raises(UserError, match=words):
        check_rows(ABOUT, **{**GOOD, **change})


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 100), st.integers(1, 40))
def test_batches_put_together_are_the_rows(count, size):
    rows = check_rows(ABOUT, np.ones((count, 3)), np.arange(count), 1.0, 1.0, 0.0)
    batches = list(rows.batches(size))
    assert all(len(batch.seed) == size for batch in batches[:-1])
    assert all(1 <= len(batch.seed) <= size for batch in batches)
    if batches:
        parts = [np.concatenate(x) for x in zip(*batches, strict=True)]
        for name, part, whole in zip(Rows._fields, parts, rows, strict=True):
            np.testing.assert_array_equal(part, whole, name)


@pytest.mark.parametrize(
    "shape, max_rows, expected",
    [
        ((64, 64, 3), 256, 16),
        ((256, 256, 4), 256, 16),
        ((64, 64, 3), 5, 5),
        # 1024 * 1024 * 8 numbers of 5 bytes at most: one is 42 MB.
        ((1024, 1024, 8), 256, 1),
        ((4096, 4096, 8), 256, 1),
        # Two codes and eight besides: (2e6 + 10) * 5 bytes, six times in 64 MiB.
        ((1000, 1000, 2), 256, 6),
    ],
)
def test_so_many_rows_are_sent_that_the_reply_is_not_too_large(
    shape, max_rows, expected
):
    about = dataclasses.replace(ABOUT, image_shape=shape, max_rows=max_rows)
    assert rows_per_request(about, None) == expected


def test_as_many_rows_are_sent_as_are_wanted():
    assert rows_per_request(ABOUT, 40) == 40
    for wrong in (0, 41):
        with pytest.raises(UserError, match="expected 1 to 40"):
            rows_per_request(ABOUT, wrong)
