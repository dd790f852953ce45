"""Generates cells with trained models: load a model, sample cells, write them."""

import os

from tfvqgen.errors import UserError


def open_source(path: str | os.PathLike):
    """Opens a workdir of train.py or a folder of export.py.

    Returns:
        A :class:`~tfvqgen.generation.generator.Generator` or a
        :class:`~tfvqgen.generation.saved_model.SavedModel`; both are a
        :class:`~tfvqgen.generation.request.Source` of cells.

    Raises:
        UserError: The path is neither, or the models are not trained.
        DataError: A file is damaged.
    """
    # The other modules of this package must not wait for TensorFlow.
    from tfvqgen.generation.generator import Generator
    from tfvqgen.generation.saved_model import SavedModel, is_export
    from tfvqgen.training.workdir import Workdir

    if is_export(path):
        return SavedModel(path)
    if not Workdir(path).config_file.is_file():
        raise UserError(
            "no model: expected a workdir of train.py, or a folder of export.py. "
            f"Received: {os.fspath(path)}"
        )
    return Generator.of_workdir(path)
