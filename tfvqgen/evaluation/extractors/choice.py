"""From what the user names to extractors of features."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from tfvqgen.errors import UserError
from tfvqgen.evaluation.extractors.extractor import INCEPTION, Extractor
from tfvqgen.evaluation.extractors.random_network import RandomNetwork
from tfvqgen.evaluation.extractors.saved_model import SavedModelExtractor
from tfvqgen.generation.model_info import ModelInfo

CLASSIFIER = "classifier"
_RESERVED = (CLASSIFIER, RandomNetwork.name, INCEPTION)


def choose_extractors(
    wanted: Sequence[str], about: ModelInfo, classifier: Callable[[], Extractor]
) -> list[Extractor]:
    """Returns the extractors that the user named, in order.

    Args:
        wanted: Each ``classifier``, ``random``, the folder of a SavedModel, or
            ``NAME=FOLDER``; ``inception=FOLDER`` for the network of FID.
        about: Describes the images.
        classifier: Returns the localization classifier; asked only if it is wanted,
            and only when nothing else is wrong.

    Raises:
        UserError: A name is given twice or means something else.
        DataError: A SavedModel is none, or not one of features.
    """
    paths: dict[str, str | None] = {}
    for text in wanted:
        name, path = _parse(text)
        if name in paths:
            raise UserError(
                "two extractors of one name: expected --extractor NAME=FOLDER with "
                f"names of their own. Received: extractor={text}"
            )
        paths[name] = path
    found: dict[str, Extractor] = {}
    # The classifier comes last: it may have to be trained first.
    for name in sorted(paths, key=lambda name: name == CLASSIFIER):
        if (path := paths[name]) is not None:
            found[name] = SavedModelExtractor(path, name, about)
        elif name == CLASSIFIER:
            found[name] = classifier()
        else:
            found[name] = RandomNetwork(about.image_shape[-1])
    return [found[name] for name in paths]


def _parse(text: str) -> tuple[str, str | None]:
    """Returns an extractor's name and its folder, if it has one."""
    name, equals, path = text.partition("=")
    if not equals:
        if text in (CLASSIFIER, RandomNetwork.name):
            return text, None
        name, path = Path(os.path.abspath(text)).name, text
        reserved = _RESERVED
    else:
        reserved = _RESERVED[:2]
    # What is no folder is more likely a slip in one of the two words.
    slip = not equals and not os.path.isdir(text)
    if slip or not name or not path or name in reserved:
        raise UserError(
            f"no extractor: expected {CLASSIFIER}, {RandomNetwork.name}, or a folder "
            f"as NAME=FOLDER with a name that is neither of these. "
            f"Received: extractor={text}"
        )
    return name, path
