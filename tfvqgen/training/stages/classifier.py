"""How localization classifiers are made and trained."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfvqgen.config import ShardStageConfig
from tfvqgen.config_keys import key
from tfvqgen.data.schema import Split, to_unit
from tfvqgen.layers.gated_units import replica_rows_uniform
from tfvqgen.models import LocalizationClassifier
from tfvqgen.training.stages.base import Batch, ShardStage, Sums


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierConfig(ShardStageConfig):
    """A localization classifier; sizes and rates for a few minutes of a CPU."""

    steps: int = key(1500, "training steps", low=1, free=True)
    batch_size: int = key(
        32, "examples a step, over all replicas", low=1, high=1_000_000
    )
    learning_rate: float = key(3e-3, "Adam's learning rate at its peak", low=0.0)
    final_learning_rate: float = key(
        0.01, "share of the peak that the decay ends at", low=0.0, high=1.0
    )
    validate_every: int = key(1500, "steps between validations", low=1, free=True)
    label_balance: float = key(
        1.0,
        "0: examples as they come; 1: every label equally often",
        low=0.0,
        high=1.0,
    )
    width: int = key(16, "filters of the first convolutions", low=1)
    dropout: float = key(
        0.3, "share of features dropped before the last layer", low=0.0, below=1.0
    )


# Shapes: B images of H x W pixels and C channels.


# Share of the side that a cell is moved by at most, up or down and across.
MOVED = 3 / 64
# Logarithms of the largest factors of size, and of a channel's brightness.
SCALED = 0.1
BRIGHTENED = 0.5
# Numbers that are drawn for each image, besides one for each channel.
NUM_PLACEMENTS = 4


def augmented(images: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """Turns, moves, scales and brightens images, each in its own way.

    Cells have no up, and a nucleus found otherwise would have put them elsewhere in
    their crop; stainings differ in strength. What a move uncovers is mirrored.

    Args:
        images: Float32 [B, H, W, C] in [0, 1].
        noise: Uniform in [0, 1), float32 [B, 4 + C].

    Returns:
        Float32 [B, H, W, C] in [0, 1].
    """
    height, width = images.shape[1:3]
    signs = 2 * noise - 1
    gains = tf.exp(BRIGHTENED * signs[:, NUM_PLACEMENTS:])
    images = tf.minimum(images * gains[:, None, None, :], 1.0)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=_transforms(signs, height, width),
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


def _transforms(signs: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Returns where output pixels are taken from, as TensorFlow wants it, [B, 8]."""
    angle = math.pi * signs[:, 0]
    scale = tf.exp(SCALED * signs[:, 1])
    cosine, sine = scale * tf.cos(angle), scale * tf.sin(angle)
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    moved_x, moved_y = MOVED * width * signs[:, 2], MOVED * height * signs[:, 3]
    zero = tf.zeros_like(angle)
    return tf.stack(
        [
            cosine,
            -sine,
            middle_x - cosine * middle_x + sine * middle_y + moved_x,
            sine,
            cosine,
            middle_y - sine * middle_x - cosine * middle_y + moved_y,
            zero,
            zero,
        ],
        axis=1,
    )


# Shapes: B crops of one replica, L labels.


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

    def validation_metrics(self, sums: Mapping[str, np.ndarray]) -> dict[str, float]:
        """See :meth:`Stage.validation_metrics`."""
        examples = max(float(sums["examples"]), 1.0)
        return {
            "loss": float(sums["loss"]) / examples,
            "accuracy": float(sums["right"]) / examples,
        }

    def training_metrics(
        self,
        sums: Mapping[str, np.ndarray],
        steps: int,
        epoch: Mapping[str, np.ndarray],
    ) -> dict[str, float]:
        """See :meth:`Stage.training_metrics`."""
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
