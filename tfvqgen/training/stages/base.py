"""The interface between a stage and the training loop."""

# Shapes: B examples of one replica.

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

Batch = Mapping[str, tf.Tensor]
Batches = tf.data.Dataset
Sums = dict[str, tf.Tensor]
Totals = Mapping[str, np.ndarray]
Metrics = dict[str, float]


class Stage(abc.ABC):
    """A model with its data, its loss and its metrics: what a ``Loop`` trains.

    A stage is created inside the scope of the strategy, with its model built. It
    reports *sums*: named tensors of fixed shapes that are added up over replicas and
    over steps (or the batches of a validation). Metrics are computed from the totals,
    so that they do not depend on the number of replicas or on where a run was
    interrupted.

    Attributes:
        name: ``vqvae``, ``top``, ...; also the name of its folder in the workdir.
        num_training_examples: Number of examples in an epoch.
        sum_shapes: Shapes of the sums of :meth:`loss`. Defaults to the loss alone.
        adversary: A critic that learns from the same loss with an optimizer of its own,
            or None.
        averages: Averages of the weights, used for validation and sampling, or None.
        accumulation: Number of parts into which the batch of a replica is split, to
            save memory. Defaults to 1.
        patience: Training stops after so many validations without a lower loss.
            Defaults to 0, which disables this.
        items_per_example: Number of the items that `speed_metric` counts.
    """

    name: ClassVar[str]
    config: StageConfig
    model: keras.Model
    num_training_examples: int
    sum_shapes: Mapping[str, tuple[int, ...]] = {"loss": ()}
    adversary: Adversary | None = None
    averages: WeightAverages | None = None
    accumulation: int = 1
    patience: int = 0
    items_per_example: int = 1
    speed_metric: str = "images_per_second"

    @abc.abstractmethod
    def training_data(self, *, seed: int, start_step: int, **share: int) -> Batches:
        """Returns the endless batches of one worker, each for one replica.

        Args:
            seed: Seed; a batch is a function of the seed and the step alone.
            start_step: Number of global batches that were already used.
            **share: The part of this worker: the arguments of
                :class:`tfvqgen.data.input_pipeline.Share` except for the first.
        """

    @abc.abstractmethod
    def validation_data(self, **share: int) -> Batches:
        """Returns one worker's batches of one pass over the validation examples.

        All batches have the same shape; ``weight`` float32 [B] is 0 for rows that only
        fill up the last batch.
        """

    @abc.abstractmethod
    def explain(self, error: Exception) -> Exception:
        """Returns an error that names file and record, for an error of reading data.

        Raises:
            Exception: `error` itself, if no file explains it.
        """

    @abc.abstractmethod
    def example_names(self, batch: Batch) -> list[str]:
        """Returns the names of the examples in a batch, for messages."""

    @abc.abstractmethod
    def loss(self, batch: Batch) -> tuple[tf.Tensor, Sums]:
        """Returns the mean loss over a replica's batch, and the sums to log.

        The sum ``loss`` is the same float32 scalar.
        """

    @abc.abstractmethod
    def validation_sums(self, batch: Batch) -> Sums:
        """Returns a replica's part of the validation sums, each row by its weight."""

    @abc.abstractmethod
    def validation_metrics(self, sums: Totals) -> Metrics:
        """Computes the metrics from the total sums of a validation."""

    def training_metrics(self, sums: Totals, steps: int, epoch: Totals) -> Metrics:
        """Computes the metrics of some training steps; by default means of scalars.

        `sums` are totals over these steps; `epoch` are those of the last complete
        epoch, or of the first one so far. Mean losses are means over replicas.
        """
        return {name: float(x) / steps for name, x in sums.items() if x.ndim == 0}

    def images(self) -> dict[str, np.ndarray]:
        """Returns images for people to look at, uint8 [height, width, 3], by name."""
        return {}

    def warnings(self, metrics: Mapping[str, float]) -> list[str]:
        """Returns warnings for the user about the metrics of a validation."""
        return []


class ShardStage(Stage):
    """A stage whose examples are the records of shards.

    With `augment` images are shown in random symmetries of the square.
    """

    config: ShardStageConfig
    training_split: Split | CodeSplit
    validation_split: Split | CodeSplit
    augment: bool = False

    @property
    def num_training_examples(self) -> int:
        return self.training_split.num_examples

    def training_data(self, *, seed: int, start_step: int, **share: int) -> Batches:
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

    def validation_data(self, **share: int) -> Batches:
        return input_pipeline.evaluation_examples(
            self.validation_split, batch_size=self.config.batch_size, **share
        )

    def explain(self, error: Exception) -> Exception:
        for split in (self.training_split, self.validation_split):
            with contextlib.suppress(*READ_ERRORS):
                return input_pipeline.diagnose(error, split)
        raise error

    def example_names(self, batch: Batch) -> list[str]:
        return self.training_split.crop_ids(batch["index"].numpy())
