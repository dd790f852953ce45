import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.generators import make_generator
from tfvqgen.errors import UserError
from tfvqgen.generation.request import (
    Request,
    check_rows,
    parse_label_sets,
)

VOCABULARY = ("Nucleoli", "Golgi apparatus", "Rods & rings")
INFO = make_generator().model_info
ROWS = {
    "labels": [[0, 1, 0], [1, 1, 0]],
    "seeds": [1, 2],
    "temperature": [1.0, 0.5],
    "top_p": 0.9,
    "guidance": [0.0, 2.0],
}


@pytest.mark.parametrize(
    ("texts", "vocabulary", "expected"),
    [
        (None, VOCABULARY, tuple((x,) for x in VOCABULARY)),
        (None, (), ((),)),
        (
            ["golgi APPARATUS, nucleoli|rods & rings", "any"],
            VOCABULARY,
            (("Golgi apparatus",), ("Nucleoli", "Rods & rings"), ()),
        ),
        (
            ["rods, rings", "Nucleoli,any"],
            ("Rods, rings", "Nucleoli"),
            (("Rods, rings",), ("Nucleoli",), ()),
        ),
    ],
    ids=["all", "no labels", "sets", "a label with a comma"],
)
def test_label_sets_are_parsed(texts, vocabulary, expected):
    assert parse_label_sets(texts, vocabulary) == expected


def test_an_unknown_label_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"did you mean 'Golgi apparatus'.*'Golgi'"):
        parse_label_sets(["Golgi"], VOCABULARY)
    with pytest.raises(UserError, match=r"^unknown label: expected Nucleoli, "):
        parse_label_sets(["xyz"], VOCABULARY)
    with pytest.raises(UserError, match="no labels"):
        parse_label_sets([" , "], VOCABULARY)


def test_values_out_of_range_are_refused():
    for name, value in (
        ("num_per_label", 0),
        ("seed", -1),
        ("seed", 2**63 - 1),
        ("temperature", 0.0),
        ("temperature", float("nan")),
        ("temperature", 1e-50),
        ("top_p", 1.01),
        ("guidance", 1e39),
    ):
        with pytest.raises(UserError, match=f"{name} is out of range"):
            Request(label_sets=(("Nucleoli",),), **{name: value})
    request = Request(label_sets=((),), seed=2**63 - 1, num_per_label=1)
    assert request.samples(VOCABULARY)[0].seed == 2**63 - 1


@given(
    st.lists(
        st.sets(st.sampled_from(range(4)), max_size=4), min_size=1, unique_by=frozenset
    ),
    st.integers(1, 3),
    st.integers(0, 5),
)
def test_every_sample_has_a_unique_name(sets, number, seed):
    vocabulary = ("a b", "a-b", "ä", "x" * 200)
    label_sets = tuple(tuple(vocabulary[i] for i in sorted(chosen)) for chosen in sets)
    request = Request(label_sets=label_sets, num_per_label=number, seed=seed)
    samples = request.samples(vocabulary)
    assert len({sample.name for sample in samples}) == len(sets) * number
    for labels in label_sets:
        seeds = [sample.seed for sample in samples if sample.labels == labels]
        assert seeds == list(range(seed, seed + number))


def test_valid_rows_have_the_types_of_the_signature():
    rows = check_rows(INFO, **ROWS)
    assert rows.pop("seed").dtype == np.int64
    assert {name: (x.dtype.name, x.shape) for name, x in rows.items()} == {
        "labels": ("float32", (2, 3)),
        "temperature": ("float32", (2,)),
        "top_p": ("float32", (2,)),
        "guidance": ("float32", (2,)),
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": [[0, 1], [0, 1]]}, r"labels has a wrong shape: expected \(2, 3\)"),
        ({"labels": [[0, 1, 0], [0, 2, 0]]}, r"labels\[1, 1\]=2"),
        ({"seeds": [1.5, 2]}, "seeds are wrong: expected integers"),
        ({"seeds": np.array([2**63, 1], np.uint64)}, r"seed\[0\]=9223372036854775808"),
        ({"temperature": [1, np.nan]}, r"temperature\[1\]=nan"),
        ({"temperature": [1, 1, 1]}, r"expected \(\) or \(2,\)"),
        ({"top_p": [1, 1.0001]}, r"top_p\[1\]=1.0001"),
    ],
)
def test_a_wrong_row_is_named(change, words):
    with pytest.raises(UserError, match=words):
        check_rows(INFO, **{**ROWS, **change})
