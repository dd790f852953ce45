"""What is asked of an evaluation."""

import dataclasses
import math
import os
from pathlib import Path
from typing import Any

from tfvqgen.errors import UserError
from tfvqgen.evaluation.classifier.config import ClassifierConfig
from tfvqgen.generation.request import MAX_SEED

# What finds features where nothing else is asked for.
EXTRACTORS = ("classifier", "random")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawing:
    """How cells are drawn.

    Attributes:
        temperature: Above 0.
        top_p: Above 0, at most 1 (off).
        guidance: At least 0 (off).

    Raises:
        UserError: A number is out of range.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    guidance: float = 0.0

    def __post_init__(self):
        # In this form so that what is not a number is refused as well.
        _require(self, "temperature", 0 < self.temperature < math.inf, "above 0")
        _require(self, "top_p", 0 < self.top_p <= 1, "above 0, at most 1")
        _require(self, "guidance", 0 <= self.guidance < math.inf, "a number from 0 on")

    def to_json(self) -> dict[str, float]:
        """Returns the settings by name."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What is asked for.

    Attributes:
        workdir: Of trained models.
        data_dir: The shards that they were trained on.
        split: Whose crops the models are judged on.
        num_samples: How many cells are measured.
        seed: Of the first cell and of every other choice.
        drawing: How cells are drawn.
        keep_best: The share of the cells drawn that the judge lets pass; 1: all.
        extractors: What finds features of images: ``classifier``, ``random``, the
            folder of a SavedModel, or ``NAME=FOLDER``.
        classification_score: Whether classifiers are trained on generated cells too.
        classifier: How the localization classifiers are trained.
        output: Where the report goes; ``report`` in the workdir if None.

    Raises:
        UserError: A number is out of range.
    """

    workdir: str | os.PathLike
    data_dir: str | os.PathLike
    split: str = "test"
    num_samples: int = 256
    seed: int = 0
    drawing: Drawing = dataclasses.field(default_factory=Drawing)
    keep_best: float = 1.0
    extractors: tuple[str, ...] = EXTRACTORS
    classification_score: bool = False
    classifier: ClassifierConfig = dataclasses.field(default_factory=ClassifierConfig)
    output: str | os.PathLike | None = None

    def __post_init__(self):
        _require(self, "num_samples", self.num_samples >= 1, "at least 1")
        _require(self, "keep_best", 0 < self.keep_best <= 1, "above 0, at most 1")
        last = MAX_SEED - math.ceil(self.num_samples / self.keep_best) + 1
        _require(self, "seed", 0 <= self.seed <= last, f"0 to {last}")

    @property
    def folder(self) -> Path:
        """Where the report goes."""
        return Path(self.output or Path(self.workdir) / "report")

    def flags(self) -> dict[str, Any]:
        """Returns the command's flags, those that are repeated as tuples."""
        return {
            "workdir": self.workdir,
            "data_dir": self.data_dir,
            "split": self.split,
            "num_samples": self.num_samples,
            "seed": self.seed,
            **self.drawing.to_json(),
            "keep_best": self.keep_best,
            "extractor": self.extractors,
            "classification_score": self.classification_score,
            "classifier_steps": self.classifier.steps,
            "output": self.folder,
        }


def classifier_config(steps: int | None) -> ClassifierConfig:
    """Returns how classifiers are trained.

    Args:
        steps: Training steps; None: as many as usual.

    Raises:
        UserError: There are none.
    """
    return ClassifierConfig() if steps is None else ClassifierConfig(steps=steps)


def _require(settings: Any, name: str, fits: bool, expected: str) -> None:
    if not fits:
        raise UserError(
            f"{name} is out of range: expected {expected}. "
            f"Received: {name}={getattr(settings, name)}"
        )
