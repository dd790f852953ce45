"""Names of localizations: vocabularies, aliases, and crops with several labels."""

import collections
import dataclasses
import difflib
import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tfvqgen.data.dataset_info import LABEL_POLICIES
from tfvqgen.errors import UserError

DEFAULT_VOCABULARY = "hpa24"
_FOLDER = Path(__file__).parent / "vocabularies"

# Other spellings and retired names, in lower case; they count only where the vocabulary
# does not have the name itself.
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
    """Labels in order; a label's place is its class id.

    Names are matched without regard to case, and by their known aliases.

    Attributes:
        name: The shipped vocabulary's name, or the file's path.
        labels: The names in order.
        shipped: Whether it is one of ours, so that a name in none of ours is a mistake.
    """

    name: str
    labels: tuple[str, ...]
    shipped: bool = False

    def find(self, label: str) -> int | None:
        """Returns a label's class id, or None if the vocabulary has no such label."""
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
    """Loads a shipped vocabulary by name, or a file with one label a line.

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
            f"file with one label a line. Received: {name}"
        ) from None
    labels = tuple(line.strip() for line in lines if line.strip())
    repeated = [k for k, n in collections.Counter(map(_key, labels)).items() if n > 1]
    if not labels or repeated or any("|" in label for label in labels):
        raise UserError(
            f"wrong vocabulary {path}: expected one label a line, each once and "
            f"without '|'. Received: {', '.join(repeated or labels) or 'no label'}"
        )
    return Vocabulary(name=name, labels=labels, shipped=shipped)


def resolve(labels: Iterable[str], vocabulary: Vocabulary) -> list[int | None]:
    """Returns the class ids of a crop's labels, None for those outside the vocabulary.

    Labels that mean the same are one.

    Raises:
        UserError: The vocabulary is one of ours and the label is in none of ours: it is
            probably misspelt, and would otherwise be lost in silence.
    """
    found: dict[object, int | None] = {}
    for label in labels:
        class_id = vocabulary.find(label)
        if class_id is None and vocabulary.shipped and not known_anywhere(label):
            raise UserError(
                f"unknown label: expected one of {', '.join(vocabulary_names())}"
                f"{_nearest(label, sorted(_all_labels()))}; a vocabulary of your own "
                f"may be given as a file. Received: {label!r}"
            )
        found[_key(label) if class_id is None else class_id] = class_id
    return list(found.values())


def _multi_hot(ids: Sequence[int | None]) -> list[list[int]]:
    inside = sorted(class_id for class_id in ids if class_id is not None)
    return [inside] if inside or not ids else []


def _single_only(ids: Sequence[int | None]) -> list[list[int]]:
    # A second label outside the vocabulary is in the picture all the same.
    return [[ids[0]]] if len(ids) == 1 and ids[0] is not None else []


def _primary(ids: Sequence[int | None]) -> list[list[int]]:
    return [] if ids and ids[0] is None else [list(ids[:1])]


def _duplicate(ids: Sequence[int | None]) -> list[list[int]]:
    if not ids:
        return [[]]
    return [[class_id] for class_id in ids if class_id is not None]


_POLICIES: dict[str, Callable[[Sequence[int | None]], list[list[int]]]] = dict(
    zip(LABEL_POLICIES, (_multi_hot, _single_only, _primary, _duplicate), strict=True)
)


def records_of(ids: Sequence[int | None], policy: str) -> list[list[int]]:
    """Returns the label lists of the records that a crop becomes.

    Args:
        ids: What :func:`resolve` returned. Empty: the crop's labels are unknown.
        policy: ``multi_hot``: one record with all labels of the vocabulary;
            ``single_only``: one record if the crop has exactly one label; ``primary``:
            one record with the first label; ``duplicate``: one record a label. A crop
            without labels is one record without labels, except for ``single_only``.

    Returns:
        A list of class ids for each record; no record means the crop is left out.
    """
    return _POLICIES[policy](ids)


def known_anywhere(label: str) -> bool:
    """Whether a label, or an alias of it, is in one of the shipped vocabularies."""
    known = {_key(name) for name in _all_labels()}
    return _key(label) in known or _key(label) in _ALIASES


def _key(label: str) -> str:
    return " ".join(label.casefold().split())


@functools.cache
def _all_labels() -> frozenset[str]:
    return frozenset(
        label for name in vocabulary_names() for label in load_vocabulary(name).labels
    )


def _nearest(label: str, names: Sequence[str]) -> str:
    by_key = {_key(name): name for name in names}
    near = difflib.get_close_matches(_key(label), list(by_key), n=1)
    return f" (did you mean {by_key[near[0]]!r}?)" if near else ""
