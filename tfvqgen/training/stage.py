"""What the training loop asks of a stage."""

# Shapes: B examples of one replica.

import abc
from collections.abc import Mapping
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfvqgen.config import StageConfig
from tfvqgen.data.codes import CodeSplit
from tfvqgen.data.schema import Split
from tfvqgen.training.averages import WeightAverages

Batch = Mapping[str, tf.Tensor]
Sums = dict[str, tf.Tensor]


class Stage(abc.ABC):
    """A model, its loss, and what is written down about it.

    A stage is made inside the strategy's scope, with its model built. Its figures are
    *sums*: named tensors of fixed shapes that add up over replicas and steps (or
    batches of a validation), from which named numbers are computed once at the end.

    Attributes:
        name: ``vqvae``, ``top``, ...; also its folder in the workdir.
        config: How it is trained.
        model: What is trained.
        training_split: What it is trained on.
        validation_split: What it is judged on.
        sum_shapes: Shapes of the sums that :meth:`loss` returns.
        augment: Whether images are shown in random symmetries.
        averages: Averages of the weights that validations use, if it has any.
        accumulation: Parts that a replica's batch is taken in, one after another, to
            save memory.
        patience: Validations without a lower loss after which training stops; 0: none.
        items_per_example: How many of what :attr:`speed_figure` counts an example has.
        speed_figure: The name of the speed's figure.
    """

    name: ClassVar[str]
    config: StageConfig
    model: keras.Model
    training_split: Split | CodeSplit
    validation_split: Split | CodeSplit
    sum_shapes: dict[str, tuple[int, ...]]
    augment: bool = False
    averages: WeightAverages | None = None
    accumulation: int = 1
    patience: int = 0
    items_per_example: int = 1
    speed_figure: str = "images_per_second"

    @abc.abstractmethod
    def loss(self, batch: Batch) -> tuple[tf.Tensor, Sums]:
        """Returns the loss of a replica's batch and the sums to log.

        Args:
            batch: What :func:`tfvqgen.data.input_pipeline.training_examples` yields.

        Returns:
            The mean loss over the batch, float32 scalar; and the sums, of which
            ``loss`` is the loss.
        """

    @abc.abstractmethod
    def validation_sums(self, batch: Batch) -> Sums:
        """Returns a replica's share of the validation sums; ``weight`` rows count."""

    @abc.abstractmethod
    def validation_figures(self, sums: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Turns the summed-up sums of a validation into named numbers."""

    @abc.abstractmethod
    def training_figures(
        self,
        sums: Mapping[str, np.ndarray],
        steps: int,
        epoch: Mapping[str, np.ndarray],
    ) -> dict[str, float]:
        """Turns sums over some steps into named numbers.

        Args:
            sums: Summed over replicas (mean losses are averaged over them) and steps.
            steps: How many steps.
            epoch: The sums over the last whole epoch, or what there is of the first.
        """

    def pictures(self) -> dict[str, np.ndarray]:
        """Returns pictures to look at, uint8 [height, width, 3], by name."""
        return {}

    def warnings(self, figures: Mapping[str, float]) -> list[str]:
        """Returns what a person should be told about a validation's figures."""
        del figures
        return []
