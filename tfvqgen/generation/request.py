"""Requests for cells: labels, sampling parameters and their checks; and the cells.

Nothing here needs TensorFlow. The ranges of sampling parameters are checked twice: here
with numpy, and in the graphs of an export with TensorFlow.
"""

# Shapes: N cells of H x W pixels and C channels; h x w top codes, 2h x 2w bottom codes;
# L labels.

import dataclasses
import difflib
import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from tfvqgen.data.crops import LABEL_SEPARATOR
from tfvqgen.errors import UserError, require_in_range
from tfvqgen.generation.model_info import ModelInfo

UNCONDITIONAL = "any"
MAX_SEED = 2**63 - 1
# A larger number is a typing error.
MAX_CELLS = 1_000_000
# By the name of an input: the valid values in words, and as a function of an array or a
# tensor. NaN fails every comparison.
RANGES = {
    "labels": ("0 or 1", lambda x: (x == 0) | (x == 1)),
    "temperature": ("a finite number above 0", lambda x: (x > 0) & (x < np.inf)),
    "top_p": ("above 0, at most 1", lambda x: (x > 0) & (x <= 1)),
    "guidance": ("a finite number, 0 or more", lambda x: (x >= 0) & (x < np.inf)),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SamplingParameters:
    """How codes are sampled.

    Raises:
        UserError: A number is out of range.
    """

    temperature: float = 1.0  # Above 0.
    top_p: float = 1.0  # Above 0, at most 1 (off).
    guidance: float = 0.0  # 0 (off) or more.

    def __post_init__(self):
        for name, value in self.to_json().items():
            expected, is_valid = RANGES[name]
            # The graphs compute in float32, in which 1e-50 is 0 and 1e50 is infinite.
            valid = is_valid(_as_float32(value))
            require_in_range(name, value, bool(valid), expected)

    def to_json(self) -> dict[str, float]:
        """Returns the numbers by name."""
        names = (field.name for field in dataclasses.fields(SamplingParameters))
        return {name: getattr(self, name) for name in names}

    def rows(self, number: int) -> list[np.ndarray]:
        """Returns each number for `number` cells, float32 [N], in the order above."""
        return [np.full(number, x, np.float32) for x in self.to_json().values()]


class Sample(NamedTuple):
    """One requested cell."""

    name: str  # Unique within a request; files have it.
    labels: tuple[str, ...]  # A set of labels; empty for unconditional.
    seed: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request(SamplingParameters):
    """The cells that are requested.

    Raises:
        UserError: A value is out of range.
    """

    label_sets: tuple[tuple[str, ...], ...]  # An empty set is unconditional.
    num_per_label: int = 8  # Number of cells for each set.
    seed: int = 0  # Seed of the first cell of each set; the next has the next seed.

    def __post_init__(self):
        super().__post_init__()
        require_number_of_cells("num_per_label", self.num_per_label)
        last = MAX_SEED - self.num_per_label + 1
        require_in_range("seed", self.seed, 0 <= self.seed <= last, f"0 to {last}")

    def samples(self, vocabulary: Sequence[str]) -> list[Sample]:
        """Returns all cells, set by set.

        All sets have the same seeds, so that cells of one seed can be compared.
        """
        return [
            Sample(f"{_slug(labels, vocabulary)}_seed{seed}", labels, seed)
            for labels in self.label_sets
            for seed in range(self.seed, self.seed + self.num_per_label)
        ]


class Cells(NamedTuple):
    """Generated cells, as arrays or tensors."""

    image: np.ndarray  # uint8 or uint16 [N, H, W, C].
    top_codes: np.ndarray  # int32 [N, h, w].
    bottom_codes: np.ndarray  # int32 [N, 2h, 2w].


class Source(Protocol):
    """A source of cells: a workdir, a SavedModel or a server."""

    model_info: ModelInfo

    def generate(self, labels, seeds, temperature, top_p, guidance) -> Cells:
        """Returns a cell for each row.

        Args:
            labels: Multi-hot, float32 [N, L]; a row of zeros is unconditional.
            seeds: int64 [N].
            temperature: Float32 [N], above 0.
            top_p: Float32 [N], above 0, at most 1 (off).
            guidance: Float32 [N], 0 (off) or more.
        """
        ...


def require_number_of_cells(name: str, value: int) -> None:
    """Raises UserError if a number of cells is not between 1 and the maximum."""
    require_in_range(name, value, 1 <= value <= MAX_CELLS, f"1 to {MAX_CELLS}")


def parse_label_sets(
    texts: Sequence[str] | None, vocabulary: Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    """Parses the requested labels; case does not matter.

    Each text has sets of labels separated by commas: a label, several labels joined by
    ``|``, or ``any`` for no label. A label that contains a comma must be a text of its
    own. None stands for every label of the vocabulary, or for no label if it is empty.

    Raises:
        UserError: A label is not in the vocabulary; the message has the nearest.
    """
    if texts is None:
        return tuple((label,) for label in vocabulary) or ((),)
    keys = {label.casefold() for label in vocabulary}
    words = []
    for text in texts:
        words += [text] if text.strip().casefold() in keys else text.split(",")
    sets = []
    for word in filter(None, map(str.strip, words)):
        key = word.casefold()
        is_any = key == UNCONDITIONAL and UNCONDITIONAL not in keys
        names = [] if is_any else word.split(LABEL_SEPARATOR)
        sets.append(label_set(names, vocabulary))
    if not sets:
        raise UserError(
            f"no labels: expected names of the model's vocabulary, or "
            f"{UNCONDITIONAL}. Received: {' '.join(texts)!r}"
        )
    return tuple(dict.fromkeys(sets))


def label_set(names: Sequence[str], vocabulary: Sequence[str]) -> tuple[str, ...]:
    """Returns names in the order of the vocabulary; case does not matter.

    Raises:
        UserError: A label is not in the vocabulary; the message has the nearest.
    """
    by_key = {label.casefold(): label for label in vocabulary}
    found = []
    for name in names:
        key = name.strip().casefold()
        if key not in by_key:
            near = [x for x in by_key if key and key in x]
            near = near or difflib.get_close_matches(key, by_key, 1)
            hint = f" (did you mean {by_key[near[0]]!r}?)" if near else ""
            raise UserError(
                f"unknown label{hint}: expected {', '.join(vocabulary)}, or "
                f"{UNCONDITIONAL}. Received: {name.strip()!r}"
            )
        found.append(by_key[key])
    return tuple(label for label in vocabulary if label in found)


def set_name(labels: Sequence[str]) -> str:
    """Returns the name of a set of labels."""
    return LABEL_SEPARATOR.join(labels) or UNCONDITIONAL


def check_rows(
    model_info: ModelInfo, labels, seeds, temperature, top_p, guidance
) -> dict[str, np.ndarray]:
    """Converts the inputs of a request, and refuses those that no model accepts.

    A server that merges the requests of several users into one batch refuses the whole
    batch because of one wrong row; therefore a wrong row is never sent. Temperature,
    top_p and guidance may be one number for all rows.

    Returns:
        The inputs of ``generate_multilabel`` by name: ``seed`` is int64 [N], the others
        are float32 [N] or [N, L].

    Raises:
        UserError: A shape or a value is wrong; the message names the first such row.
    """
    seed = np.asarray(seeds)
    if seed.ndim != 1 or seed.size == 0 or seed.dtype.kind not in "iu":
        raise UserError(
            "seeds are wrong: expected integers, one for each row. "
            f"Received: shape={seed.shape}, dtype={seed.dtype}"
        )
    _check("seed", seed, seed <= MAX_SEED, "integers of 64 bits")
    shape = (*seed.shape, len(model_info.labels))
    rows = {"labels": _floats("labels", labels, [shape])}
    rows["seed"] = seed.astype(np.int64)
    parameters = {"temperature": temperature, "top_p": top_p, "guidance": guidance}
    for name, value in parameters.items():
        value = _floats(name, value, [(), seed.shape])
        rows[name] = np.broadcast_to(value, seed.shape)
    for name, (expected, is_valid) in RANGES.items():
        _check(name, rows[name], is_valid(rows[name]), expected)
    return rows


def _as_float32(value) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(value, np.float32)


def _floats(name: str, value, shapes: list[tuple[int, ...]]) -> np.ndarray:
    try:
        value = _as_float32(value)
    except (TypeError, ValueError):
        raise UserError(f"{name}: expected numbers. Received: {value!r}") from None
    if value.shape not in shapes:
        raise UserError(
            f"{name} has a wrong shape: expected {' or '.join(map(str, shapes))}. "
            f"Received: shape={value.shape}"
        )
    return value


def _check(name: str, value: np.ndarray, valid: np.ndarray, expected: str) -> None:
    if not valid.all():
        index = tuple(int(i) for i in np.argwhere(~valid)[0])
        raise UserError(
            f"{name} is out of range: expected {expected}. "
            f"Received: {name}{list(index)}={value[index]}"
        )


def _slug(labels: Sequence[str], vocabulary: Sequence[str]) -> str:
    """Returns a unique file name for a set of labels: class ids and words."""
    if not labels:
        return UNCONDITIONAL
    ids = "+".join(f"{vocabulary.index(label):02d}" for label in labels)
    words = re.findall(r"[a-z0-9]+", " ".join(labels).lower())
    return "_".join([ids, *words])[:80]
