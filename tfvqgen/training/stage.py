"""What the training loop asks of a stage."""

# Shapes: B examples of one replica.

import abc
from collections.abc import Mapping
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfvqgen.config import StageConfig
from tfvqgen.training.adversary import Adversary
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
        sum_shapes: Shapes of the sums that :meth:`loss` returns.
        adversary: What judges the model while it learns, if anything does; its critic
            learns from the same loss with an optimizer of its own.
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
    sum_shapes: dict[str, tuple[int, ...]]
    adversary: Adversary | None = None
    averages: WeightAverages | None = None
    accumulation: int = 1
    patience: int = 0
    items_per_example: int = 1
    speed_figure: str = "images_per_second"

    @property
    @abc.abstractmethod
    def num_training_examples(self) -> int:
        """How many examples an epoch has."""

    @abc.abstractmethod
    def training_data(
        self, *, seed: int, start_step: int, **share: int
    ) -> tf.data.Dataset:
        """Returns one worker's endless batches of one replica each.

        A batch is a function of the seed and the step alone.

        Args:
            seed: Decides what is drawn.
            start_step: The global batches that were already seen.
            **share: Which part is this worker's; the arguments of
                :class:`tfvqgen.data.stream.Share` but the first.
        """

    @abc.abstractmethod
    def validation_data(self, **share: int) -> tf.data.Dataset:
        """Returns one worker's batches of a pass over the held-out examples.

        All have the same shape; ``weight`` float32 [B] is 0 where one is filled up.
        """

    @abc.abstractmethod
    def explain(self, error: Exception) -> Exception:
        """Returns an error that names file and record, for one of reading data.

        Raises:
            Exception: `error` itself, if nothing on disk explains it.
        """

    @abc.abstractmethod
    def example_names(self, batch: Batch) -> list[str]:
        """Returns what people call the examples of a batch."""

    @abc.abstractmethod
    def loss(self, batch: Batch) -> tuple[tf.Tensor, Sums]:
        """Returns the loss of a replica's batch and the sums to log.

        Args:
            batch: What :meth:`training_data` yields.

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
