"""Trains localization classifiers, each kept where it is found again."""

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import keras

from tfvqgen.data import schema
from tfvqgen.data.schema import Split
from tfvqgen.errors import UserError
from tfvqgen.evaluation.classifier.trained import TrainedClassifier
from tfvqgen.files import exclusive, write_json
from tfvqgen.training import distribution
from tfvqgen.training.checkpoints import restore_model, saved_checkpoints
from tfvqgen.training.loop import Loop
from tfvqgen.training.stages.classifier import (
    ClassifierConfig,
    ClassifierStage,
    make_model,
)
from tfvqgen.training.workdir import Workdir

FORMAT = 1
ABOUT = "about.json"
# Where classifiers are kept within a workdir.
FOLDER = "classifiers"
JUDGE = "judge"
CHOOSER = "chooser"
_SEEDS = {JUDGE: 0, CHOOSER: 1}
# Images that take less than this are kept decoded while a classifier learns from them.
_CACHED_BYTES = 1 << 30
# What changes how it is trained, but not what comes out.
_FREE = (
    "cache",
    "log_every",
    "validate_every",
    "validation_examples",
    "checkpoint_every",
    "keep_checkpoints",
)


def judge_split(dataset: schema.Dataset, judged: str) -> str | None:
    """Returns the split that the judge of a split's crops learns from.

    The generator has not learnt from its groups, and the judged crops are of others;
    None if there is no such split that has labels.

    Args:
        dataset: The shards.
        judged: The split whose crops are going to be judged.
    """
    name = "test" if judged == "validation" else "validation"
    info = dataset.info.splits.get(name)
    return name if info and any(info.label_counts.values()) else None


def train_judge(
    dataset: schema.Dataset,
    workdir: str | os.PathLike,
    *,
    judged: str = "test",
    config: ClassifierConfig | None = None,
    what: str = JUDGE,
) -> TrainedClassifier:
    """Returns the judge of a data set: trained once, then found again.

    It learns from the split that :func:`judge_split` says.

    Args:
        dataset: The shards.
        workdir: Of the generator; the judge is kept in ``classifiers/`` there.
        judged: The split whose crops it is going to judge.
        config: How it is trained.
        what: ``judge``, or ``chooser`` for one of other weights that has seen the crops
            in another order, and chooses cells so that no judge judges its own choice.

    Raises:
        UserError: There is no split to learn from.
        DataError: A record is damaged.
    """
    learnt_from = judge_split(dataset, judged)
    if learnt_from is None:
        raise UserError(
            "nothing to teach a judge: expected crops with labels in a split besides "
            f"train and that which is judged. Received: split={judged}"
        )
    return train_classifier(
        dataset.split(learnt_from),
        dataset.split(judged),
        workdir,
        what=what,
        config=config,
        seed=_SEEDS[what],
    )


def train_classifier(
    training: Split,
    held_out: Split,
    workdir: str | os.PathLike,
    *,
    what: str,
    config: ClassifierConfig | None = None,
    seed: int = 0,
) -> TrainedClassifier:
    """Returns a classifier that has learnt from one split: trained, or found again.

    Training that was interrupted goes on.

    Args:
        training: What it learns from, real or generated.
        held_out: What its accuracy is written down on; it decides nothing.
        workdir: It is kept in ``classifiers/<what>-<hash>`` there; the hash is of what
            it learns from, the configuration and the seed.
        what: ``judge``, ``generated``, ...: what people call it.
        config: How it is trained.
        seed: Of its weights and the order of the crops.

    Raises:
        DataError: A record is damaged.
        SystemExit: Ctrl-C or SIGTERM came; what is learnt so far was saved.
    """
    config = config or ClassifierConfig()
    about = _about(training, config, seed)
    kept = Workdir(Path(workdir) / FOLDER)
    name = f"{what}-{_hash(about)[:12]}"
    if _is_trained(kept, name, config):
        model = make_model(config, training, seed)
        restore_model(model, kept.checkpoints(name))
    else:
        with exclusive(kept.stage(name), "the classifier's folder"):
            write_json(kept.stage(name) / ABOUT, about)
            config = _cached_if_small(config, training)
            strategy = distribution.make_strategy()
            keras.utils.set_random_seed(seed)
            with strategy.scope():
                stage = ClassifierStage(name, config, training, held_out, seed)
            Loop(stage, strategy, kept, seed).run()
        model = stage.model
    return TrainedClassifier(
        model, training.dataset_info.labels, f"the split {training.name}"
    )


def _is_trained(kept: Workdir, name: str, config: ClassifierConfig) -> bool:
    saved = saved_checkpoints(kept.checkpoints(name))
    return bool(saved) and saved[-1][0] >= config.steps


def _about(training: Split, config: ClassifierConfig, seed: int) -> dict[str, Any]:
    """Returns everything that decides which classifier comes out."""
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


def _hash(about: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _cached_if_small(config: ClassifierConfig, training: Split) -> ClassifierConfig:
    height, width, channels = training.dataset_info.image_shape
    depth = 1 + (training.dataset_info.dtype == "uint16")
    size = training.num_examples * height * width * channels * depth
    return dataclasses.replace(config, cache=size < _CACHED_BYTES)
