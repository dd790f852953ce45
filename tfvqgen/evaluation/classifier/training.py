"""Trains localization classifiers, each kept where it is found again."""

import hashlib
import json
import os

import keras
import tensorflow as tf

from tfvqgen.config_keys import frozen_values
from tfvqgen.data import schema
from tfvqgen.data.schema import Split
from tfvqgen.evaluation.classifier.config import ClassifierConfig
from tfvqgen.evaluation.classifier.stage import ClassifierStage
from tfvqgen.evaluation.classifier.trained import TrainedClassifier
from tfvqgen.files import write_json
from tfvqgen.training import distribution
from tfvqgen.training.loop import Loop
from tfvqgen.training.workdir import Workdir

# The folder within a workdir.
FOLDER = "classifiers"
JUDGE = "judge"


def train_judge(
    dataset: schema.Dataset,
    workdir: str | os.PathLike,
    *,
    judged: str = "test",
    config: ClassifierConfig | None = None,
    seed: int = 0,
    strategy: tf.distribute.Strategy | None = None,
) -> TrainedClassifier:
    """Returns the judge of a data set: trained once, then found again.

    It learns from groups that the generator never saw: those of the validation split
    (or of the test split, where the validation split's crops are to be judged).

    Args:
        dataset: The shards.
        workdir: Of the generator; the judge is kept in ``classifiers/`` there.
        judged: The split whose crops it is going to judge.
        config: How it is trained.
        seed: Of its weights and the order of the crops.
        strategy: Where it is trained; by default where ``--strategy=auto`` would.

    Raises:
        UserError: There is no split to learn from.
        DataError: A record is damaged.
    """
    raise NotImplementedError


def train_classifier(
    training: Split,
    held_out: Split,
    workdir: str | os.PathLike,
    *,
    what: str,
    config: ClassifierConfig | None = None,
    seed: int = 0,
    strategy: tf.distribute.Strategy | None = None,
) -> TrainedClassifier:
    """Returns a classifier that has learnt from one split: trained, or found again.

    Training that was interrupted goes on.

    Args:
        training: What it learns from, real or generated.
        held_out: What its accuracy is written down on; it decides nothing.
        workdir: It is kept in ``classifiers/<what>-<hash>`` there; the hash is of the
            data, the configuration and the seed.
        what: ``judge``, ``generated``, ...: what people call it.
        config: How it is trained.
        seed: Of its weights and the order of the crops.
        strategy: Where it is trained; by default where ``--strategy=auto`` would.

    Raises:
        DataError: A record is damaged.
    """
    raise NotImplementedError
