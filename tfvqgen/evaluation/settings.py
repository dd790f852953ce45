"""Settings of an evaluation and of the figures."""

import dataclasses
import os
from pathlib import Path
from typing import Any

from tfvqgen.errors import require_in_range, require_package
from tfvqgen.generation.request import (
    MAX_SEED,
    SamplingParameters,
    require_number_of_cells,
)
from tfvqgen.training.stages.classifier import ClassifierConfig

LEAST_KEPT = 0.01
# The largest seed of a first cell, which the seeds of the other cells follow.
LAST_SEED = MAX_SEED // 2
_PACKAGES = ("jinja2", "matplotlib", "scipy", "skimage", "sklearn")


@dataclasses.dataclass(frozen=True, kw_only=True)
class SharedSettings:
    """Settings that an evaluation and the figures share.

    Raises:
        UserError: A number is out of range.
    """

    workdir: str | os.PathLike  # Working directory with trained models.
    data_dir: str | os.PathLike  # The shards that the models were trained on.
    split: str = "test"  # Its crops are compared with generated cells.
    seed: int = 0  # Seed of the first cell and of every random choice.
    sampling: SamplingParameters = dataclasses.field(default_factory=SamplingParameters)
    classifier: ClassifierConfig = dataclasses.field(default_factory=ClassifierConfig)
    # Defaults to the folder `report` or `figures` in the workdir.
    output: str | os.PathLike | None = None

    default_folder = ""

    def __post_init__(self):
        require_in_range(
            "seed", self.seed, 0 <= self.seed <= LAST_SEED, f"0 to {LAST_SEED}"
        )

    @property
    def folder(self) -> Path:
        """The output folder."""
        return Path(self.output or Path(self.workdir) / self.default_folder)


@dataclasses.dataclass(frozen=True, kw_only=True)
class FigureSettings(SharedSettings):
    """Settings of the figures, besides the :class:`SharedSettings`."""

    num_per_label: int = 16  # Cells to generate per label; the first 8 are shown.

    default_folder = "figures"

    def __post_init__(self):
        super().__post_init__()
        require_number_of_cells("num_per_label", self.num_per_label)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationSettings(SharedSettings):
    """Settings of an evaluation, besides the :class:`SharedSettings`.

    An extractor of features is ``classifier``, ``random``, the folder of a SavedModel,
    or ``NAME=FOLDER``. They default to ``random``, and the classifier if there are
    crops to train it on.
    """

    num_samples: int = 256  # Number of cells to generate.
    keep_best: float = 1.0  # Share of the sampled cells to keep; 1 keeps all.
    extractors: tuple[str, ...] = ()
    classification_score: bool = False  # Train classifiers on generated cells too.

    default_folder = "report"

    def __post_init__(self):
        super().__post_init__()
        require_number_of_cells("num_samples", self.num_samples)
        fits = LEAST_KEPT <= self.keep_best <= 1
        require_in_range("keep_best", self.keep_best, fits, f"{LEAST_KEPT} to 1")

    def flags(self) -> dict[str, Any]:
        """Returns the flags of the command; repeated flags are tuples."""
        return {
            "workdir": self.workdir,
            "data_dir": self.data_dir,
            "split": self.split,
            "num_samples": self.num_samples,
            "seed": self.seed,
            **self.sampling.to_json(),
            "keep_best": self.keep_best,
            "extractor": self.extractors,
            "classification_score": self.classification_score,
            "classifier_steps": self.classifier.steps,
            "output": self.folder,
        }


def classifier_config(steps: int | None) -> ClassifierConfig:
    """Returns the training settings of classifiers; None keeps the default steps.

    Raises:
        UserError: The number of steps is not positive.
    """
    if steps is None:
        return ClassifierConfig()
    require_in_range("classifier_steps", steps, steps >= 1, "at least 1")
    return ClassifierConfig(steps=steps)


def require_packages() -> None:
    """Raises UserError if a package of the extra `evaluate` is not installed."""
    for package in _PACKAGES:
        require_package(package, "evaluate")
