"""A trained localization classifier: what it recognises, and its features."""

# Shapes: B images, H x W pixels, C channels; N crops of a split; L labels, F features.

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfvqgen.data import input_pipeline
from tfvqgen.data.schema import Split, to_unit
from tfvqgen.models import LocalizationClassifier
from tfvqgen.training.trained_models import fingerprint

BATCH_SIZE = 64


class TrainedClassifier:
    """A localization classifier with its weights; also an extractor of features.

    Args:
        model: Built.
        labels: The vocabulary in order.
        trained_on: What it has learnt from, as people call it: ``the split validation``.

    Attributes:
        name: What a distance between its features is named after.
        size: F.
        labels: The vocabulary in order.
        trained_on: What it has learnt from.
        fingerprint: Hex sha256 of its weights.
    """

    name = "classifier"

    def __init__(
        self, model: LocalizationClassifier, labels: tuple[str, ...], trained_on: str
    ):
        self.size = model.num_features
        self.labels = labels
        self.trained_on = trained_on
        self.fingerprint = fingerprint(model)
        self._model = model
        self._probabilities = tf.function(
            lambda images: tf.sigmoid(model(to_unit(images))), reduce_retracing=True
        )
        self._features = tf.function(
            lambda images: model.features(to_unit(images)), reduce_retracing=True
        )

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Returns how likely each image has each label, float32 [B, L] in [0, 1].

        Args:
            images: uint8 or uint16 [B, H, W, C].
        """
        return self._probabilities(images).numpy()

    def features(self, images: np.ndarray) -> np.ndarray:
        """Returns what the last layer decides by, float32 [B, F].

        Args:
            images: uint8 or uint16 [B, H, W, C].
        """
        return self._features(images).numpy()

    def recognise(self, split: Split) -> np.ndarray:
        """Returns :meth:`probabilities` of all crops of a split, float32 [N, L].

        Raises:
            DataError: A record is damaged.
        """
        parts = []
        examples = input_pipeline.evaluation_examples(split, batch_size=BATCH_SIZE)
        with tqdm(desc="recognised", total=split.num_examples, unit="crop") as progress:
            try:
                for batch in examples:
                    real = int(np.sum(batch["weight"]))
                    parts.append(self.probabilities(batch["image"])[:real])
                    progress.update(real)
            except tf.errors.OpError as error:
                raise input_pipeline.diagnose(error, split) from error
        return np.concatenate(parts)
