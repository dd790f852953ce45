"""What is asked of an evaluation."""

import dataclasses
import os
from pathlib import Path
from typing import Any

from tfvqgen.errors import require_in_range
from tfvqgen.generation.request import (
    MAX_SEED,
    SamplingParameters,
    require_number_of_cells,
)
from tfvqgen.training.stages.classifier import ClassifierConfig

LEAST_KEPT = 0.01
# The first cell's; those of all others follow it.
LAST_SEED = MAX_SEED // 2


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
        keep_best: The share of the cells drawn that a classifier lets pass; 1: all.
        extractors: What finds features of images: ``classifier``, ``random``, the
            folder of a SavedModel, or ``NAME=FOLDER``; of none, the classifier, where
            there are crops that it may learn from, and ``random``.
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
    drawing: SamplingParameters = dataclasses.field(default_factory=SamplingParameters)
    keep_best: float = 1.0
    extractors: tuple[str, ...] = ()
    classification_score: bool = False
    classifier: ClassifierConfig = dataclasses.field(default_factory=ClassifierConfig)
    output: str | os.PathLike | None = None

    def __post_init__(self):
        require_number_of_cells("num_samples", self.num_samples)
        fits = LEAST_KEPT <= self.keep_best <= 1
        require_in_range("keep_best", self.keep_best, fits, f"{LEAST_KEPT} to 1")
        require_seed(self.seed)

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


def require_seed(seed: int) -> None:
    """Raises UserError if the seed of the first cell leaves none for the others."""
    require_in_range("seed", seed, 0 <= seed <= LAST_SEED, f"0 to {LAST_SEED}")


def classifier_config(steps: int | None) -> ClassifierConfig:
    """Returns how classifiers are trained.

    Args:
        steps: Training steps; None: as many as usual.

    Raises:
        UserError: There are none.
    """
    if steps is None:
        return ClassifierConfig()
    require_in_range("classifier_steps", steps, steps >= 1, "at least 1")
    return ClassifierConfig(steps=steps)
