"""The training of a localization classifier, as the training loop wants it."""

# Shapes: B crops of one replica, L labels.

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfvqgen.data.schema import Split, to_unit
from tfvqgen.evaluation.classifier.augmentation import NUM_PLACEMENTS, augmented
from tfvqgen.evaluation.classifier.config import ClassifierConfig
from tfvqgen.layers.row_dropout import replica_rows_uniform
from tfvqgen.models import LocalizationClassifier
from tfvqgen.training.shard_stage import ShardStage
from tfvqgen.training.stage import Batch, Sums


class ClassifierStage(ShardStage):
    """Trains a :class:`~tfvqgen.models.LocalizationClassifier` on crops with labels.

    Args:
        name: Its folder in the workdir, and what is said of it in messages.
        config: How it is trained.
        training_split: What it learns from.
        validation_split: What its accuracy is written down on.
        seed: Of dropout and of how crops are shown.
    """

    augment = True

    def __init__(
        self,
        name: str,
        config: ClassifierConfig,
        training_split: Split,
        validation_split: Split,
        seed: int,
    ):
        self.name = name
        self.config = config
        self.training_split = training_split
        self.validation_split = validation_split
        self.model = make_model(config, training_split, seed)
        self.sum_shapes = {"loss": ()}
        self._seed = seed

    def loss(self, batch: Batch) -> tuple[tf.Tensor, Sums]:
        """See :meth:`Stage.loss`; nats per crop, over all its labels."""
        images = to_unit(batch["image"])
        shape = [tf.shape(images)[0], NUM_PLACEMENTS + images.shape[-1]]
        # As dropout, a function of the step, but not the same one.
        seed = tf.stack([tf.constant(~self._seed, tf.int64), self.model.steps.value])
        images = augmented(images, replica_rows_uniform(tf.stack(shape), seed))
        losses = _losses(self.model(images, training=True), batch["labels"])
        loss = tf.reduce_mean(losses)
        return loss, {"loss": loss}

    def validation_sums(self, batch: Batch) -> Sums:
        """See :meth:`Stage.validation_sums`; crops without labels do not count."""
        logits, labels = self.model(to_unit(batch["image"])), batch["labels"]
        labelled = batch["weight"] * tf.reduce_max(labels, axis=1)
        top = tf.argmax(logits, axis=1, output_type=tf.int32)
        right = tf.gather(labels, top, batch_dims=1)
        return {
            "loss": tf.reduce_sum(labelled * _losses(logits, labels)),
            "right": tf.reduce_sum(labelled * right),
            "examples": tf.reduce_sum(labelled),
        }

    def validation_figures(self, sums: Mapping[str, np.ndarray]) -> dict[str, float]:
        """See :meth:`Stage.validation_figures`."""
        examples = max(float(sums["examples"]), 1.0)
        return {
            "loss": float(sums["loss"]) / examples,
            "accuracy": float(sums["right"]) / examples,
        }

    def training_figures(
        self,
        sums: Mapping[str, np.ndarray],
        steps: int,
        epoch: Mapping[str, np.ndarray],
    ) -> dict[str, float]:
        """See :meth:`Stage.training_figures`."""
        del epoch
        return {name: float(value) / steps for name, value in sums.items()}


def make_model(
    config: ClassifierConfig, split: Split, seed: int
) -> LocalizationClassifier:
    """Returns an untrained classifier of a split's images and labels, built."""
    info = split.dataset_info
    model = LocalizationClassifier(
        len(info.labels),
        info.image_shape,
        width=config.width,
        dropout=config.dropout,
        precision=config.precision,
        seed=seed,
    )
    model.build()
    return model


def _losses(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns what each crop's labels cost, float32 [B]."""
    costs = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
    return tf.reduce_sum(costs, axis=1)
