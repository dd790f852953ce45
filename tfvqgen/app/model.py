"""What the page asks, whether the model is an export or still a workdir."""

import os
from typing import Protocol

import numpy as np
import tensorflow as tf

from tfvqgen.generation import open_source
from tfvqgen.generation.generator import Generator
from tfvqgen.generation.model_info import ModelInfo


class Model(Protocol):
    """Answers the signatures ``generate_multilabel``, ``reconstruct``, ``complete``."""

    model_info: ModelInfo

    def ask(self, signature: str, **inputs) -> dict[str, np.ndarray]:
        """Returns a signature's outputs by name; inputs have a row a cell."""
        ...


def open_model(path: str | os.PathLike) -> Model:
    """Opens an export, or a workdir of train.py.

    Raises:
        UserError: It is neither, or not trained.
        DataError: It is damaged.
    """
    source = open_source(path)
    return WorkdirModel(source) if isinstance(source, Generator) else source


class WorkdirModel:
    """A :class:`Model` that has not been exported.

    Args:
        generator: Its models.

    Attributes:
        about: Describes the model.
    """

    def __init__(self, generator: Generator):
        self.model_info = generator.model_info
        self._generator = generator
        # Traced for any number of rows, when they are first asked.
        self._signatures = {
            name: tf.function(function, autograph=False, reduce_retracing=True)
            for name, function in (
                ("generate_multilabel", self._generate),
                ("reconstruct", self._reconstruct),
                ("complete", self._complete),
            )
        }

    def ask(self, signature: str, **inputs) -> dict[str, np.ndarray]:
        """Returns a signature's outputs by name."""
        tensors = {name: tf.constant(value) for name, value in inputs.items()}
        made = self._signatures[signature](**tensors)
        return {name: tensor.numpy() for name, tensor in made.items()}

    def _generate(self, labels, seed, temperature, top_p, guidance):
        cells = self._generator.generate(labels, seed, temperature, top_p, guidance)
        return cells._asdict()

    def _reconstruct(self, image):
        return {"image": self._generator.reconstruct(image)}

    def _complete(self, image, mask, class_id, seed, temperature, top_p, guidance):
        labels = tf.one_hot(class_id, len(self.model_info.labels))
        how = (labels, seed, temperature, top_p, guidance)
        return self._generator.complete(image, mask, *how)._asdict()
