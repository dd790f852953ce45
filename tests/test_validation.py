import dataclasses
from collections.abc import Mapping

import pytest

from tfvqgen.errors import DataError, UserError
from tfvqgen.validation import check, key, read


@dataclasses.dataclass(frozen=True)
class Part:
    size: int = key(low=1, high=9)


@dataclasses.dataclass(frozen=True)
class Whole:
    name: str = key(pattern="[a-z]+")
    shape: tuple[int, int] = key(low=1)
    ratio: float = key(0.5, above=0, below=1)
    color: str | None = key(None, choices=("red", "blue"))
    parts: tuple[Part, ...] = ()
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)


VALUES = {
    "name": "a",
    "shape": [2, 3],
    "ratio": 0.25,
    "color": None,
    "parts": [{"size": 4}],
    "counts": {"x": 1},
}


def test_a_record_is_read_from_json_values():
    record = read(Whole, VALUES)
    assert record == Whole("a", (2, 3), 0.25, None, (Part(4),), {"x": 1})
    assert read(Whole, {"name": "b", "shape": [1, 1]}).ratio == 0.5


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("name", 1, r"name: expected text that matches \[a-z\]\+. Received: 1"),
        ("name", "A", "name: expected text"),
        ("shape", [2], "shape: expected 2 integers"),
        ("shape", [2, 0], r"shape\[1\]: expected an integer, at least 1. Received: 0"),
        ("shape", [2, True], r"shape\[1\]: expected an integer"),
        ("ratio", 1, "ratio: expected a finite number, above 0 and below 1"),
        ("ratio", float("nan"), "ratio: expected a finite number"),
        ("color", "green", "color: expected one of red, blue"),
        ("parts", [{}], r"parts\[0\].size is missing"),
        ("parts", {"size": 4}, "parts: expected a list"),
        ("counts", {"x": "1"}, r"counts\.x: expected an integer"),
        ("counts", [], "counts: expected an object"),
    ],
)
def test_a_wrong_value_is_named_with_file_and_key(name, value, message):
    with pytest.raises(DataError, match=rf"wrong value in a\.json: {message}"):
        read(Whole, {**VALUES, name: value}, "a.json")


def test_unknown_keys_are_ignored_or_refused():
    values = {**VALUES, "other": 1}
    assert read(Whole, values) == read(Whole, VALUES)
    with pytest.raises(UserError, match=r"expected keys among name.*\['other'\]"):
        read(Whole, values, strict=True)


def test_a_record_made_in_python_is_checked():
    check(Whole("a", (1, 1)))
    with pytest.raises(UserError, match="name: expected text"):
        check(Whole("", (1, 1)))
