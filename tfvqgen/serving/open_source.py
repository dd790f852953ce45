"""Opens whatever has a model: a workdir or an export."""

import os

from tfvqgen.generation.generator import Generator
from tfvqgen.generation.source import Source
from tfvqgen.serving.saved_model import SavedModel
from tfvqgen.serving.versions import is_export


def open_source(path: str | os.PathLike) -> Source:
    """Opens a workdir of train.py, or an export.

    Raises:
        UserError: It is neither, or not trained.
        DataError: It is damaged.
    """
    return SavedModel(path) if is_export(path) else Generator.of_workdir(path)
