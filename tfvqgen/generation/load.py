"""Opens whatever has a model: a workdir or an export."""

import os

from tfvqgen.errors import UserError
from tfvqgen.generation.generator import Generator
from tfvqgen.generation.saved_model import SavedModel, is_export
from tfvqgen.generation.source import Source
from tfvqgen.training.workdir import Workdir


def open_source(path: str | os.PathLike) -> Source:
    """Opens a workdir of train.py, or an export.

    Raises:
        UserError: It is neither, or not trained.
        DataError: It is damaged.
    """
    if is_export(path):
        return SavedModel(path)
    if not Workdir(path).config_file.is_file():
        raise UserError(
            "no model: expected a workdir of train.py, or a folder of export.py. "
            f"Received: {os.fspath(path)}"
        )
    return Generator.of_workdir(path)
