"""What cells are asked for: sets of labels, and seeds."""

import dataclasses
import difflib
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tfvqgen.data.crop import LABEL_SEPARATOR
from tfvqgen.errors import UserError

UNCONDITIONAL = "any"
MAX_SEED = 2**63 - 1


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
class Request:
    """What cells are asked for.

    Attributes:
        label_sets: Each a set of labels; the empty one is unconditional.
        num_per_label: Cells for each set; the first has the seed, and so on.
        seed: Of the first cell of each set.
        temperature: Above 0.
        top_p: Above 0, at most 1 (off).
        guidance: At least 0 (off).

    Raises:
        UserError: A value is out of range.
    """

    label_sets: tuple[tuple[str, ...], ...]
    num_per_label: int = 8
    seed: int = 0
    temperature: float = 1.0
    top_p: float = 1.0
    guidance: float = 0.0

    def __post_init__(self):
        last = MAX_SEED - self.num_per_label + 1
        # In this form so that what is not a number is refused as well.
        for name, fits, expected in (
            ("num_per_label", self.num_per_label >= 1, "at least 1"),
            ("seed", 0 <= self.seed <= last, f"0 to {last}"),
            ("temperature", 0 < self.temperature < np.inf, "a number above 0"),
            ("top_p", 0 < self.top_p <= 1, "above 0, at most 1"),
            ("guidance", 0 <= self.guidance < np.inf, "a number from 0 on"),
        ):
            if not fits:
                raise UserError(
                    f"{name} is out of range: expected {expected}. "
                    f"Received: {name}={getattr(self, name)}"
                )

    def samples(self, vocabulary: Sequence[str]) -> list[Sample]:
        """Returns the cells one by one, those of a set of labels together.

        All sets have the same seeds, so that cells of one seed can be compared.
        """
        return [
            Sample(f"{_slug(labels, vocabulary)}_seed{seed}", labels, seed)
            for labels in self.label_sets
            for seed in range(self.seed, self.seed + self.num_per_label)
        ]


def parse_label_sets(
    texts: Sequence[str] | None, vocabulary: Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    """Reads what localizations are asked for.

    Args:
        texts: Each a label, several joined by ``|``, or ``any`` for no label; several
            of these may be joined by commas. None is every label of the vocabulary.
        vocabulary: The model's labels. Case does not matter.

    Raises:
        UserError: A label is not in the vocabulary; the message has the nearest.
    """
    if texts is None:
        return tuple((label,) for label in vocabulary)
    words = [word.strip() for text in texts for word in text.split(",")]
    sets = [_parse_label_set(word, vocabulary) for word in words if word]
    if not sets:
        raise UserError(
            f"no labels: expected names of the model's vocabulary, or "
            f"{UNCONDITIONAL}. Received: {' '.join(texts)!r}"
        )
    return tuple(dict.fromkeys(sets))


def _parse_label_set(word: str, vocabulary: Sequence[str]) -> tuple[str, ...]:
    by_key = {label.casefold(): label for label in vocabulary}
    if word.casefold() == UNCONDITIONAL and UNCONDITIONAL not in by_key:
        return ()
    found = []
    for name in word.split(LABEL_SEPARATOR):
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
