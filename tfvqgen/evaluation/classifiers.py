"""Training and predictions of localization classifiers.

Classifiers are stored in ``<workdir>/classifiers`` and are trained only once.
"""

# Shapes: B images, H x W pixels, C channels; N images of a set; L labels, F features.

import dataclasses
import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvqgen.data.schema import Dataset, Split, to_unit
from tfvqgen.errors import UserError
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.files import exclusive, write_json
from tfvqgen.models import LocalizationClassifier
from tfvqgen.training import distribution
from tfvqgen.training.checkpoints import restore_model, saved_checkpoints
from tfvqgen.training.loop import Loop
from tfvqgen.training.stages.classifier import (
    ClassifierConfig,
    ClassifierStage,
    make_model,
)
from tfvqgen.training.trained_models import fingerprint
from tfvqgen.training.workdir import Workdir

FORMAT = 1
DESCRIPTION = "about.json"
FOLDER = "classifiers"
# The classifier that evaluates cells, and the one that rejects cells beforehand.
EVALUATION, REJECTION = "evaluation", "rejection"
_SEEDS = {EVALUATION: 0, REJECTION: 1}
# The names of their folders in version 0.1.
_FORMER = {EVALUATION: "judge", REJECTION: "chooser"}
# Decoded images that take less memory than this are cached during training.
_CACHED_BYTES = 1 << 30
# Settings that do not change the trained weights.
_FREE = (
    "cache",
    "log_every",
    "validate_every",
    "validation_examples",
    "checkpoint_every",
    "keep_checkpoints",
)


class TrainedClassifier:
    """A trained localization classifier; also an extractor of features.

    Attributes:
        labels: The vocabulary in order.
        trained_on: A description of its training data: ``the split validation``.
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
        signature = [tf.TensorSpec([None, *model.image_shape], tf.float32)]
        graph = tf.function(input_signature=signature, autograph=False)
        self._probabilities = graph(lambda images: tf.sigmoid(model(images)))
        self._features = graph(lambda images: model.features(images))

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Returns the label probabilities of uint8 or uint16 images, float32 [B, L]."""
        return self._probabilities(to_unit(images)).numpy()

    def features(self, images: np.ndarray) -> np.ndarray:
        """Returns the input of the last layer, float32 [B, F]."""
        return self._features(to_unit(images)).numpy()

    def predict(self, images: ImageSet) -> np.ndarray:
        """Returns the :meth:`probabilities` of a set of images, float32 [N, L]."""
        batches = images.batches("classified")
        empty = np.zeros((0, len(self.labels)), np.float32)
        return np.concatenate([empty, *map(self.probabilities, batches)])


def classifier_split(dataset: Dataset, evaluated: str) -> str | None:
    """Returns the split that the classifier for another split is trained on.

    The generator was not trained on its groups, and it shares none with the evaluated
    split. None if there is no such split with labels.
    """
    name = "test" if evaluated == "validation" else "validation"
    info = dataset.info.splits.get(name)
    return name if info and any(info.label_counts.values()) else None


def evaluation_classifier(
    dataset: Dataset,
    workdir: str | os.PathLike,
    *,
    evaluated: str = "test",
    config: ClassifierConfig | None = None,
    role: str = EVALUATION,
) -> TrainedClassifier:
    """Returns the classifier that evaluates cells; it is trained if it is not stored.

    The role ``rejection`` has other initial weights and another order of crops than
    ``evaluation``, so that no classifier evaluates its own selection.

    Raises:
        UserError: There is no split to train it on.
    """
    name = classifier_split(dataset, evaluated)
    if name is None:
        raise UserError(
            "there is no data to train the classifier on: expected crops with labels "
            "in a split other than train and the evaluated one. Received: "
            f"split={evaluated}"
        )
    splits = dataset.split(name), dataset.split(evaluated)
    seed = _SEEDS[role]
    return train_classifier(*splits, workdir, role=role, config=config, seed=seed)


def train_classifier(
    training: Split,
    held_out: Split,
    workdir: str | os.PathLike,
    *,
    role: str,
    config: ClassifierConfig | None = None,
    seed: int = 0,
) -> TrainedClassifier:
    """Returns a classifier trained on one split; interrupted training is resumed.

    It is stored in ``classifiers/<role>-<hash>`` of the workdir; the hash is of the
    training data, the configuration and the seed. The seed determines the initial
    weights and the order of the crops. The logged accuracy is that of held-out crops.
    """
    config = config or ClassifierConfig()
    info = training.dataset_info
    description = _description(training, config, seed)
    stored = Workdir(Path(workdir) / FOLDER)
    text = json.dumps(description, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    name, former = f"{role}-{digest}", f"{_FORMER.get(role, role)}-{digest}"
    if stored.stage(former).is_dir():
        name = former
    saved = saved_checkpoints(stored.checkpoints(name))
    if saved and saved[-1][0] >= config.steps:
        model = make_model(config, training, seed)
        restore_model(model, stored.checkpoints(name))
    else:
        with exclusive(stored.stage(name), "the classifier's folder"):
            write_json(stored.stage(name) / DESCRIPTION, description)
            size = training.num_examples * math.prod(info.image_shape)
            size *= np.dtype(info.dtype).itemsize
            config = dataclasses.replace(config, cache=size < _CACHED_BYTES)
            strategy = distribution.make_strategy()
            keras.utils.set_random_seed(seed)
            with strategy.scope():
                stage = ClassifierStage(name, config, training, held_out, seed)
            Loop(stage, strategy, stored, seed).run()
        model = stage.model
    return TrainedClassifier(model, info.labels, f"the split {training.name}")


def _description(
    training: Split, config: ClassifierConfig, seed: int
) -> dict[str, Any]:
    """Returns everything that the trained weights depend on."""
    info = training.dataset_info
    settings = dataclasses.asdict(config)
    return {
        "format": FORMAT,
        "config": {k: v for k, v in settings.items() if k not in _FREE},
        "seed": seed,
        "learnt_from": {
            "split": training.name,
            "num_examples": training.num_examples,
            "shards": [shard.sha256 for shard in training.shards],
            "image_shape": list(info.image_shape),
            "dtype": info.dtype,
            "channels": list(info.channels),
            "labels": list(info.labels),
        },
    }
