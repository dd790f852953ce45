"""What the stages that learn from shards have in common: how they are read."""

import contextlib

import tensorflow as tf

from tfvqgen.config import ShardStageConfig
from tfvqgen.data import input_pipeline
from tfvqgen.data.codes import CodeSplit
from tfvqgen.data.records import READ_ERRORS
from tfvqgen.data.schema import Split
from tfvqgen.training.stage import Batch, Stage


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
