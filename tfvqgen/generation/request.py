"""How cells are drawn from what the priors say."""

import dataclasses
import difflib
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfvqgen.data.crops import LABEL_SEPARATOR
from tfvqgen.errors import UserError, require_in_range

# Shapes: N cells.


# What graphs compute with is float32, in which smaller numbers are 0, larger infinite.
_LEAST, _MOST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SamplingParameters:
    """How cells are drawn.

    Attributes:
        temperature: Above 0.
        top_p: Above 0, at most 1 (off).
        guidance: At least 0 (off).

    Raises:
        UserError: A number is out of range.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    guidance: float = 0.0

    def __post_init__(self):
        for name, low, high, expected in (
            ("temperature", _LEAST, _MOST, "a number above 0"),
            ("top_p", _LEAST, 1, "above 0, at most 1"),
            ("guidance", 0, _MOST, "a number from 0 on"),
        ):
            value = getattr(self, name)
            require_in_range(name, value, low <= value <= high, expected)

    def to_json(self) -> dict[str, float]:
        """Returns the numbers by name."""
        names = (field.name for field in dataclasses.fields(SamplingParameters))
        return {name: getattr(self, name) for name in names}

    def rows(self, number: int) -> list[np.ndarray]:
        """Returns the numbers in order, each for so many cells, float32 [N]."""
        return [np.full(number, x, np.float32) for x in self.to_json().values()]


UNCONDITIONAL = "any"
MAX_SEED = 2**63 - 1
# More than anybody waits for: of a slip of the finger nothing else would be heard.
MOST_CELLS = 1_000_000


class Sample(NamedTuple):
    """One cell that is asked for.

    Attributes:
        name: Its own among the samples of a request.
        labels: A set of labels; none is unconditional.
        seed: Of its noise.
    """

    name: str
    labels: tuple[str, ...]
    seed: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request(SamplingParameters):
    """What cells are asked for, and how they are drawn.

    Attributes:
        label_sets: Each a set of labels; the empty one is unconditional.
        num_per_label: Cells for each set; the first has the seed, and so on.
        seed: Of the first cell of each set.

    Raises:
        UserError: A value is out of range.
    """

    label_sets: tuple[tuple[str, ...], ...]
    num_per_label: int = 8
    seed: int = 0

    def __post_init__(self):
        super().__post_init__()
        require_number_of_cells("num_per_label", self.num_per_label)
        last = MAX_SEED - self.num_per_label + 1
        require_in_range("seed", self.seed, 0 <= self.seed <= last, f"0 to {last}")

    def samples(self, vocabulary: Sequence[str]) -> list[Sample]:
        """Returns the cells one by one, those of a set of labels together.

        All sets have the same seeds, so that cells of one seed can be compared.
        """
        return [
            Sample(f"{_slug(labels, vocabulary)}_seed{seed}", labels, seed)
            for labels in self.label_sets
            for seed in range(self.seed, self.seed + self.num_per_label)
        ]


def require_number_of_cells(name: str, value: int) -> None:
    """Raises UserError if so many cells cannot be drawn."""
    require_in_range(name, value, 1 <= value <= MOST_CELLS, f"1 to {MOST_CELLS}")


def parse_label_sets(
    texts: Sequence[str] | None, vocabulary: Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    """Reads what localizations are asked for.

    Args:
        texts: Each a label, several joined by ``|``, or ``any`` for no label; several
            of these may be joined by commas. A label with a comma of its own is a text
            of its own. None is every label of the vocabulary, and no label where that
            has none.
        vocabulary: The model's labels. Case does not matter.

    Raises:
        UserError: A label is not in the vocabulary; the message has the nearest.
    """
    if texts is None:
        return tuple((label,) for label in vocabulary) or ((),)
    keys = {label.casefold() for label in vocabulary}
    words = []
    for text in texts:
        words += [text] if text.strip().casefold() in keys else text.split(",")
    words = [word.strip() for word in words]
    sets = [_parse_label_set(word, vocabulary) for word in words if word]
    if not sets:
        raise UserError(
            f"no labels: expected names of the model's vocabulary, or "
            f"{UNCONDITIONAL}. Received: {' '.join(texts)!r}"
        )
    return tuple(dict.fromkeys(sets))


def _parse_label_set(word: str, vocabulary: Sequence[str]) -> tuple[str, ...]:
    keys = {label.casefold() for label in vocabulary}
    if word.casefold() == UNCONDITIONAL and UNCONDITIONAL not in keys:
        return ()
    return label_set(word.split(LABEL_SEPARATOR), vocabulary)


def label_set(names: Sequence[str], vocabulary: Sequence[str]) -> tuple[str, ...]:
    """Returns a set of labels in the order of the vocabulary.

    Args:
        names: Of the labels; case does not matter. None is unconditional.
        vocabulary: The model's labels.

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
    """Returns how a set of labels is called."""
    return LABEL_SEPARATOR.join(labels) or UNCONDITIONAL


def _slug(labels: Sequence[str], vocabulary: Sequence[str]) -> str:
    """Returns a set's name as a file may have it; the class ids make it its own."""
    if not labels:
        return UNCONDITIONAL
    ids = "+".join(f"{vocabulary.index(label):02d}" for label in labels)
    words = re.findall(r"[a-z0-9]+", " ".join(labels).lower())
    return "_".join([ids, *words])[:80]
