"""An exported model as a source of cells, and of whatever else it can be asked."""

import os
from typing import Any

import numpy as np
import tensorflow as tf

from tfvqgen.errors import DataError, UserError
from tfvqgen.files import read_json
from tfvqgen.generation.about import About
from tfvqgen.generation.source import Cells
from tfvqgen.serving.signatures import INPUTS
from tfvqgen.serving.verification.behaviour import refusal
from tfvqgen.serving.verification.loaded import Loaded
from tfvqgen.serving.versions import ABOUT, version_folder

# What loading raises for files that are missing, cut or flipped.
_DAMAGE = (tf.errors.OpError, OSError, ValueError, RuntimeError, KeyError)


class SavedModel:
    """A model that export.py wrote. A :class:`~tfvqgen.generation.source.Source`.

    Args:
        path: A version's folder, or the folder of versions: then the newest.

    Attributes:
        about: Describes the model.
        path: The version's folder.

    Raises:
        UserError: There is no export.
        DataError: It is damaged, or not one of this project.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = version_folder(path)
        self.about = About.from_json(read_json(self.path / ABOUT))
        try:
            self._loaded = Loaded(self.path)
        except _DAMAGE as error:
            line = (str(error).strip() or repr(error)).splitlines()[0]
            raise DataError(
                "damaged export: expected the files that export.py wrote. "
                f"Received: {self.path} ({line})"
            ) from error
        missing = sorted(INPUTS.keys() - self._loaded.signatures.keys())
        if missing:
            raise DataError(
                "an export without all signatures: expected one of this version's "
                f"export.py. Received: {self.path} without {', '.join(missing)}"
            )

    def generate(self, labels, seeds, temperature, top_p, guidance) -> Cells:
        """Returns cells; see :class:`~tfvqgen.generation.source.Source`."""
        made = self.ask(
            "generate_multilabel",
            labels=labels,
            seed=seeds,
            temperature=temperature,
            top_p=top_p,
            guidance=guidance,
        )
        return Cells(made["image"], made["top_codes"], made["bottom_codes"])

    def ask(self, signature: str, **inputs: Any) -> dict[str, np.ndarray]:
        """Asks a signature, and returns its outputs by name.

        Args:
            signature: Its name.
            **inputs: Arrays with a row a cell.

        Raises:
            UserError: The graph refuses a row; its sentence.
        """
        try:
            return self._loaded(signature, inputs)
        except tf.errors.InvalidArgumentError as error:
            if not (sentence := refusal(error)):
                raise
            raise UserError(sentence) from error
