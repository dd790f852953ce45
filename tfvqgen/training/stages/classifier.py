"""Training of the localization classifiers that evaluation uses."""

# Shapes: B crops of one replica, H x W pixels, C channels; L labels.

import dataclasses
import math

import tensorflow as tf

from tfvqgen.config import ShardStageConfig
from tfvqgen.data.schema import Split, to_unit
from tfvqgen.layers.gated_units import replica_rows_uniform
from tfvqgen.models import LocalizationClassifier
from tfvqgen.training.stages.base import Batch, Metrics, ShardStage, Sums, Totals
from tfvqgen.validation import key

# Largest shift of a cell, up or down and across, as a share of the side.
LARGEST_SHIFT = 3 / 64
# Logarithms of the largest changes of size, and of a channel's brightness.
LOG_SCALE = 0.1
LOG_BRIGHTNESS = 0.5
# Random numbers of an image besides one for each channel: angle, scale and shift.
NUM_PLACEMENTS = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierConfig(ShardStageConfig):
    """A localization classifier; the defaults train in a few minutes on a CPU."""

    steps: int = key(1500, "number of training steps", low=1, free=True)
    batch_size: int = key(
        32, "examples in a step, over all replicas", low=1, high=1_000_000
    )
    learning_rate: float = key(3e-3, "peak learning rate of Adam", low=0.0)
    final_learning_rate: float = key(
        0.01, "final learning rate, as a fraction of the peak", low=0, high=1
    )
    validate_every: int = key(1500, "steps between validations", low=1, free=True)
    label_balance: float = key(
        1.0, "sampling of labels; 0: natural, 1: equal frequency", low=0, high=1
    )
    width: int = key(16, "filters of the first convolution", low=1)
    dropout: float = key(0.3, "dropout rate before the last layer", low=0.0, below=1.0)


class ClassifierStage(ShardStage):
    """Trains a :class:`~tfvqgen.models.LocalizationClassifier` on labelled crops.

    `seed` is that of the weights, dropout and augmentation.
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
        self._seed = seed

    def loss(self, batch: Batch) -> tuple[tf.Tensor, Sums]:
        """Returns nats per crop, summed over all labels."""
        images = to_unit(batch["image"])
        shape = [tf.shape(images)[0], NUM_PLACEMENTS + images.shape[-1]]
        # A function of the step, as dropout is, but with another seed.
        seed = tf.stack([tf.constant(~self._seed, tf.int64), self.model.steps.value])
        images = augmented(images, replica_rows_uniform(tf.stack(shape), seed))
        losses = _losses(self.model(images, training=True), batch["labels"])
        loss = tf.reduce_mean(losses)
        return loss, {"loss": loss}

    def validation_sums(self, batch: Batch) -> Sums:
        """Crops without labels do not count."""
        logits, labels = self.model(to_unit(batch["image"])), batch["labels"]
        labelled = batch["weight"] * tf.reduce_max(labels, axis=1)
        best = tf.argmax(logits, axis=1, output_type=tf.int32)
        correct = tf.gather(labels, best, batch_dims=1)
        return {
            "loss": tf.reduce_sum(labelled * _losses(logits, labels)),
            "accuracy": tf.reduce_sum(labelled * correct),
            "examples": tf.reduce_sum(labelled),
        }

    def validation_metrics(self, sums: Totals) -> Metrics:
        examples = max(float(sums["examples"]), 1.0)
        return {name: float(sums[name]) / examples for name in ("loss", "accuracy")}


def make_model(
    config: ClassifierConfig, split: Split, seed: int
) -> LocalizationClassifier:
    """Returns an untrained classifier for a split's images and labels, built."""
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


def augmented(images: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """Rotates, shifts, scales and brightens images, each in its own way.

    Cells have no orientation, the place of a nucleus in its crop depends on how it was
    found, and stainings differ in brightness. Outside, the image is mirrored.

    Args:
        images: Float32 [B, H, W, C] in [0, 1].
        noise: Uniform in [0, 1), float32 [B, 4 + C].

    Returns:
        Float32 [B, H, W, C] in [0, 1].
    """
    height, width = images.shape[1:3]
    signs = 2 * noise - 1
    gains = tf.exp(LOG_BRIGHTNESS * signs[:, NUM_PLACEMENTS:])
    images = tf.minimum(images * gains[:, None, None, :], 1.0)
    # From output to input pixels: about the centre of the image, then a shift.
    angle = math.pi * signs[:, 0]
    scale = tf.exp(LOG_SCALE * signs[:, 1])
    cosine, sine = scale * tf.cos(angle), scale * tf.sin(angle)
    x, y = (width - 1) / 2, (height - 1) / 2
    x_shift = LARGEST_SHIFT * width * signs[:, 2]
    y_shift = LARGEST_SHIFT * height * signs[:, 3]
    x_row = [cosine, -sine, x - cosine * x + sine * y + x_shift]
    y_row = [sine, cosine, y - sine * x - cosine * y + y_shift]
    transforms = tf.stack([*x_row, *y_row, *[tf.zeros_like(angle)] * 2], axis=1)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )


def _losses(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Returns the cross entropy of each crop, summed over labels, float32 [B]."""
    costs = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)
    return tf.reduce_sum(costs, axis=1)
