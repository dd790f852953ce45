"""Labels of localizations: vocabularies, aliases and label policies."""

import collections
import dataclasses
import difflib
import functools
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

from tfvqgen.errors import UserError

DEFAULT_VOCABULARY = "hpa24"
_FOLDER = Path(__file__).parent / "vocabularies"

# Other spellings and former names, in lower case; names of the vocabulary come first.
_ALIASES = {
    "lipid droplet": "lipid droplets",
    "nucleus": "nucleoplasm",
    "cytoplasm": "cytosol",
    "focal adhesions": "focal adhesion sites",
    "focal adhesion": "focal adhesion sites",
    "cell junction": "cell junctions",
    "rods and rings": "rods & rings",
}


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """Labels in order; the position of a label is its class id.

    Names are compared without regard to case, and by known aliases.
    """

    name: str  # The name of the shipped vocabulary, or the path of the file.
    labels: tuple[str, ...]
    # For a shipped vocabulary, labels that are in no shipped vocabulary are errors.
    shipped: bool = False

    def find(self, label: str) -> int | None:
        """Returns the class id of a label, or None if it is outside the vocabulary."""
        key = _key(label)
        return self._ids.get(key, self._ids.get(_ALIASES.get(key, "")))

    def without(self, labels: Iterable[str]) -> "Vocabulary":
        """Returns the vocabulary without some of its labels."""
        gone = set(labels)
        kept = tuple(label for label in self.labels if label not in gone)
        return dataclasses.replace(self, labels=kept)

    @functools.cached_property
    def _ids(self) -> dict[str, int]:
        return {_key(label): index for index, label in enumerate(self.labels)}


def vocabulary_names() -> list[str]:
    """Returns the names of the shipped vocabularies."""
    return sorted(path.stem for path in _FOLDER.glob("*.txt"))


def load_vocabulary(name: str) -> Vocabulary:
    """Loads a shipped vocabulary by name, or a file with one label on each line.

    Raises:
        UserError: There is no such vocabulary, or it is empty or ambiguous.
    """
    shipped = name in vocabulary_names()
    path = _FOLDER / f"{name}.txt" if shipped else Path(name)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError):
        raise UserError(
            f"no such vocabulary: expected {', '.join(vocabulary_names())}, or a text "
            f"file with one label on each line. Received: {name}"
        ) from None
    labels = tuple(line.strip() for line in lines if line.strip())
    repeated = [k for k, n in collections.Counter(map(_key, labels)).items() if n > 1]
    if not labels or repeated or any("|" in label for label in labels):
        raise UserError(
            f"wrong vocabulary {path}: expected one label on each line, each once and "
            f"without '|'. Received: {', '.join(repeated or labels) or 'no label'}"
        )
    return Vocabulary(name=name, labels=labels, shipped=shipped)


def resolve(labels: Iterable[str], vocabulary: Vocabulary) -> list[int | None]:
    """Returns the class ids of a crop's labels, None for those outside the vocabulary.

    Labels with the same meaning count once.

    Raises:
        UserError: The vocabulary is shipped and the label is in no shipped vocabulary,
            so that it is probably misspelt.
    """
    found: dict[object, int | None] = {}
    for label in labels:
        class_id = vocabulary.find(label)
        if class_id is None and vocabulary.shipped and not known_anywhere(label):
            names = _names_by_key()
            near = difflib.get_close_matches(_key(label), sorted(names), n=1)
            hint = f" (did you mean {names[near[0]]!r}?)" if near else ""
            raise UserError(
                f"unknown label: expected one of {', '.join(vocabulary_names())}"
                f"{hint}, or a file with your own vocabulary. "
                f"Received: {label!r}"
            )
        found[_key(label) if class_id is None else class_id] = class_id
    return list(found.values())


def records_of(ids: Sequence[int | None], policy: str) -> list[list[int]]:
    """Returns the class ids of each record of a crop; without records it is left out.

    A crop without labels becomes one record without labels, except for ``single_only``.

    Args:
        ids: The class ids from :func:`resolve`; empty means that they are unknown.
        policy: ``multi_hot``: one record with all labels of the vocabulary;
            ``single_only``: one record if the crop has exactly one label; ``primary``:
            one record with the first label; ``duplicate``: one record for each label.
    """
    inside = [class_id for class_id in ids if class_id is not None]
    if policy == "single_only":
        # A second label outside the vocabulary is in the image nevertheless.
        return [inside] if len(ids) == len(inside) == 1 else []
    if not ids:
        return [[]]
    if policy == "duplicate":
        return [[class_id] for class_id in inside]
    chosen = [ids[0]] if policy == "primary" else sorted(inside)
    return [chosen] if chosen and None not in chosen else []


def known_anywhere(label: str) -> bool:
    """Returns whether a shipped vocabulary has a label or an alias of it."""
    return _key(label) in _names_by_key() or _key(label) in _ALIASES


def _key(label: str) -> str:
    return " ".join(label.casefold().split())


@functools.cache
def _names_by_key() -> dict[str, str]:
    shipped = [load_vocabulary(name).labels for name in vocabulary_names()]
    return {_key(label): label for label in itertools.chain(*shipped)}


def pick_examples(labels_of: Sequence[Sequence[str]], per_label: int) -> dict:
    """Returns label -> indices of at most `per_label` crops, single labels first."""
    order = sorted(range(len(labels_of)), key=lambda i: len(labels_of[i]))
    places: dict[str, list[int]] = {}
    for place in order:
        for label in labels_of[place]:
            places.setdefault(label, []).append(place)
    return {
        # Evenly spaced, so that they come from several wells.
        label: found[:: max(len(found) // per_label, 1)][:per_label]
        for label, found in places.items()
    }
