"""What the training loop asks of a stage."""

import abc
import contextlib
from collections.abc import Mapping
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfvqgen.config import ShardStageConfig, StageConfig
from tfvqgen.data import input_pipeline
from tfvqgen.data.codes import CodeSplit
from tfvqgen.data.schema import Split
from tfvqgen.data.tfrecords import READ_ERRORS
from tfvqgen.training.optimization import WeightAverages
from tfvqgen.training.stages.adversary import Adversary

# Shapes: B examples of one replica.


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
        items_per_example: How many of what :attr:`speed_metric` counts an example has.
        speed_metric: The name of the speed's figure.
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
    speed_metric: str = "images_per_second"

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
                :class:`tfvqgen.data.input_pipeline.Share` but the first.
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
    def validation_metrics(self, sums: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Turns the summed-up sums of a validation into named numbers."""

    @abc.abstractmethod
    def training_metrics(
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


class ShardStage(Stage):
    """A stage whose examples are the records of shards.

    Attributes:
        config: How it is trained.
        training_split: What it is trained on.
        validation_split: What it is judged on.
        augment: Whether images are shown in random symmetries.
    """

    config: ShardStageConfig
    training_split: Split | CodeSplit
    validation_split: Split | CodeSplit
    augment: bool = False

    @property
    def num_training_examples(self) -> int:
        """See :meth:`Stage.num_training_examples`."""
        return self.training_split.num_examples

    def training_data(
        self, *, seed: int, start_step: int, **share: int
    ) -> tf.data.Dataset:
        """See :func:`tfvqgen.data.input_pipeline.training_examples`."""
        return input_pipeline.training_examples(
            self.training_split,
            seed=seed,
            batch_size=self.config.batch_size,
            start_step=start_step,
            augment=self.augment,
            label_balance=self.config.label_balance,
            cache=self.config.cache,
            **share,
        )

    def validation_data(self, **share: int) -> tf.data.Dataset:
        """See :func:`tfvqgen.data.input_pipeline.evaluation_examples`."""
        return input_pipeline.evaluation_examples(
            self.validation_split, batch_size=self.config.batch_size, **share
        )

    def explain(self, error: Exception) -> Exception:
        """Looks for damage in both splits; see :meth:`Stage.explain`."""
        for split in (self.training_split, self.validation_split):
            with contextlib.suppress(*READ_ERRORS):
                return input_pipeline.diagnose(error, split)
        raise error

    def example_names(self, batch: Batch) -> list[str]:
        """Returns the crops' ids."""
        return self.training_split.crop_ids(batch["index"].numpy())
