"""From what the user names to extractors of features."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from tfvqgen.errors import UserError
from tfvqgen.evaluation.extractors.extractor import INCEPTION, Extractor
from tfvqgen.evaluation.extractors.random_network import RandomNetwork
from tfvqgen.evaluation.extractors.saved_model import SavedModelExtractor
from tfvqgen.generation.about import About

CLASSIFIER = "classifier"
_RESERVED = (CLASSIFIER, RandomNetwork.name, INCEPTION)


def choose_extractors(
    wanted: Sequence[str], about: About, classifier: Callable[[], Extractor]
) -> list[Extractor]:
    """Returns the extractors that the user named, in order.

    Args:
        wanted: Each ``classifier``, ``random``, the folder of a SavedModel, or
            ``NAME=FOLDER``; ``inception=FOLDER`` for the network of FID.
        about: Describes the images.
        classifier: Returns the localization classifier; asked only if it is wanted.

    Raises:
        UserError: A name is given twice or means something else.
        DataError: A SavedModel is none, or not one of features.
    """
    found: list[Extractor] = []
    for text in wanted:
        name, path = _parse(text)
        if name in [one.name for one in found]:
            raise UserError(
                "two extractors of one name: expected --extractor NAME=FOLDER with "
                f"names of their own. Received: extractor={text}"
            )
        if path is not None:
            found.append(SavedModelExtractor(path, name, about))
        elif name == CLASSIFIER:
            found.append(classifier())
        else:
            found.append(RandomNetwork(about.image_shape[-1]))
    return found


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
    if not name or not path or name in reserved:
        raise UserError(
            f"no extractor: expected {CLASSIFIER}, {RandomNetwork.name}, or a folder "
            f"as NAME=FOLDER with a name that is neither of these. "
            f"Received: extractor={text}"
        )
    return name, path
