"""A trained localization classifier: what it recognises, and its features."""

# Shapes: B images, H x W pixels, C channels; N images of a set; L labels, F features.

import numpy as np
import tensorflow as tf

from tfvqgen.data.schema import to_unit
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.models import LocalizationClassifier
from tfvqgen.training.trained_models import fingerprint


class TrainedClassifier:
    """A localization classifier with its weights; also an extractor of features.

    Args:
        model: Built.
        labels: The vocabulary in order.
        trained_on: What it has learnt from, for people: ``the split validation``.

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
        self._probabilities = _graph(lambda images: tf.sigmoid(model(images)), model)
        self._features = _graph(model.features, model)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Returns how likely each image has each label, float32 [B, L] in [0, 1].

        Args:
            images: uint8 or uint16 [B, H, W, C].
        """
        return self._probabilities(to_unit(images)).numpy()

    def features(self, images: np.ndarray) -> np.ndarray:
        """Returns what the last layer decides by, float32 [B, F].

        Args:
            images: uint8 or uint16 [B, H, W, C].
        """
        return self._features(to_unit(images)).numpy()

    def recognise(self, images: ImageSet) -> np.ndarray:
        """Returns :meth:`probabilities` of all of a set of images, float32 [N, L].

        Raises:
            DataError: A record is damaged.
        """
        batches = images.batches("recognised")
        empty = np.zeros((0, len(self.labels)), np.float32)
        return np.concatenate([empty, *map(self.probabilities, batches)])


def _graph(function, model: LocalizationClassifier):
    signature = [tf.TensorSpec([None, *model.image_shape], tf.float32)]
    return tf.function(function, input_signature=signature, autograph=False)
