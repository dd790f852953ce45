"""Finds the versions of an export, and runs the signatures of one."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfvqgen.errors import DataError, UserError
from tfvqgen.files import read_json, require_plain_path
from tfvqgen.generation.loaded_graph import LoadedGraph
from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.generation.request import Cells

ABOUT = "assets/about.json"
GRAPH = "saved_model.pb"
# Loading raises these for files that are missing, truncated or corrupt.
LOAD_ERRORS = (tf.errors.OpError, OSError, ValueError, RuntimeError, KeyError)

# The inputs of every signature; `serving_default` is `generate`.
SAMPLING_INPUTS = ("seed", "temperature", "top_p", "guidance")
INPUTS = {
    "generate": ("class_id", *SAMPLING_INPUTS),
    "generate_png": ("class_id", *SAMPLING_INPUTS),
    "generate_multilabel": ("labels", *SAMPLING_INPUTS),
    "generate_multilabel_raw": ("labels", *SAMPLING_INPUTS),
    "encode": ("image",),
    "decode": ("top_codes", "bottom_codes"),
    "reconstruct": ("image",),
    "score": ("image", "labels"),
    "complete": ("image", "mask", "class_id", *SAMPLING_INPUTS),
    "class_names": ("class_id",),
    "about": ("row",),
}


def version_folder(path: str | os.PathLike) -> Path:
    """Returns the folder of a version: the path itself, or its newest version.

    Raises:
        UserError: There is no export, or TensorFlow cannot read from such a path.
        DataError: The SavedModel is not one of this project.
    """
    require_plain_path(path)
    path = Path(path)
    if not (path / GRAPH).is_file():
        if not (numbers := versions(path)):
            raise UserError(
                f"no export: expected a folder that export.py made, with {GRAPH}, or "
                f"one of versions. Received: {path}"
            )
        path /= str(numbers[-1])
    if not (path / ABOUT).is_file():
        raise DataError(
            f"a SavedModel of something else: expected one with {ABOUT}, as export.py "
            f"writes it. Received: {path}"
        )
    return path


def versions(folder: str | os.PathLike) -> list[int]:
    """Returns the numbers of the versions in a folder, in order."""
    path = Path(folder)
    return [x for x in version_names(path) if (path / str(x) / GRAPH).is_file()]


def version_names(folder: str | os.PathLike) -> list[int]:
    """Returns the names of versions in a folder, complete or not, in order."""
    path = Path(folder)
    names = [x.name for x in path.iterdir()] if path.is_dir() else []
    return sorted(int(x) for x in names if x.isascii() and x.isdigit())


def is_export(path: str | os.PathLike) -> bool:
    """Returns whether a path has a SavedModel, or versions of one."""
    return (Path(path) / GRAPH).is_file() or bool(versions(path))


class SavedModel:
    """An exported model, a :class:`~tfvqgen.generation.request.Source` of cells.

    Args:
        path: The folder of a version, or the folder of versions for the newest one.

    Attributes:
        model_info: Describes the model.
        path: The folder of the version.

    Raises:
        UserError: There is no export.
        DataError: The export is damaged, or not one of this project.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = version_folder(path)
        self.model_info = ModelInfo.from_json(read_json(self.path / ABOUT))
        try:
            self._loaded = LoadedGraph(self.path)
        except LOAD_ERRORS as error:
            line = (str(error).strip() or repr(error)).splitlines()[0]
            raise DataError(
                "damaged export: expected the files that export.py wrote. "
                f"Received: {self.path} ({line})"
            ) from error

    def generate(self, labels, seeds, temperature, top_p, guidance) -> Cells:
        """Returns cells; see :class:`~tfvqgen.generation.request.Source`."""
        values = (labels, seeds, temperature, top_p, guidance)
        inputs = dict(zip(INPUTS["generate_multilabel"], values, strict=True))
        return Cells(**self.ask("generate_multilabel", **inputs))

    def reconstruct(self, image) -> np.ndarray:
        """Encodes and decodes images, uint8 or uint16 [B, H, W, C]."""
        return self.ask("reconstruct", image=image)["image"]

    def complete(
        self, image, mask, labels, seeds, temperature, top_p, guidance
    ) -> Cells:
        """Keeps a part of images and samples the rest; see ``Generator.complete``.

        Raises:
            UserError: A row has several labels, which the signature does not accept.
        """
        labels = np.asarray(labels)
        if (labels.sum(1) > 1).any():
            raise UserError(
                "too many labels: expected at most one for each completed image. "
                f"Received: {int(labels.sum(1).max())}"
            )
        class_id = np.where(labels.any(1), labels.argmax(1), -1)
        values = (image, mask, class_id, seeds, temperature, top_p, guidance)
        inputs = dict(zip(INPUTS["complete"], values, strict=True))
        return Cells(**self.ask("complete", **inputs))

    def ask(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        """Runs a signature on arrays and returns its outputs by name.

        Raises:
            UserError: The graph refuses a row; the message says why.
        """
        try:
            return self._loaded(signature, inputs)
        except tf.errors.InvalidArgumentError as error:
            _, found, rest = error.message.partition("assertion failed: [")
            if not found:
                raise
            raise UserError(rest.split("]\n")[0].strip()) from error
