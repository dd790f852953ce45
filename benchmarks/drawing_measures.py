"""What `benchmarks.drawing` measures: cells drawn in one way, beside real crops."""

# Shapes: M cells that are asked for, n compared; F features.

import contextlib
import functools
import sys
from pathlib import Path
from typing import Any

from benchmarks.drawing_grid import Setting
from tfvqgen.data.schema import Dataset
from tfvqgen.errors import UserError
from tfvqgen.evaluation.classifier.recognition import recognition
from tfvqgen.evaluation.classifier.selection import cells_to_draw
from tfvqgen.evaluation.classifier.trained import TrainedClassifier
from tfvqgen.evaluation.classifier.training import train_judge
from tfvqgen.evaluation.extractors.choice import choose_extractors
from tfvqgen.evaluation.features import find_features
from tfvqgen.evaluation.generated_cells import draw_cells
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.evaluation.material import Standards, gather_standards, train_chooser
from tfvqgen.evaluation.metrics.neighbours import NEIGHBOURS
from tfvqgen.evaluation.sections.generation import (
    GENERATED,
    REAL,
    RECONSTRUCTIONS,
    distances_section,
)
from tfvqgen.evaluation.settings import Settings
from tfvqgen.evaluation.trained_data import TRAINED_ON, open_data
from tfvqgen.generation.generator import Generator
from tfvqgen.training.workdir import Workdir

MEASURES = ("precision", "recall", "density", "coverage", "frechet")


class Bench:
    """Models, and the real crops that their cells are measured against.

    Args:
        settings: What is asked for besides how cells are drawn; cells go to its folder.

    Attributes:
        origin: What decides all figures besides what is measured.
        marks: Images to compare all cells' figures with, by what they are: ``real``
            crops of another split and their ``reconstructions``; empty if there is no
            other split.

    Raises:
        UserError: A stage is not trained, or there are too few crops, or none with
            labels, or none that a judge can learn from.
        DataError: The data are not those of the workdir, or damaged.
    """

    def __init__(self, settings: Settings):
        self._settings = settings
        self._generator, dataset = open_models(settings)
        self._dataset = dataset
        # What it prints is for people; here lines are cases.
        with contextlib.redirect_stdout(sys.stderr):
            self._judge = train_judge(
                dataset,
                settings.workdir,
                judged=settings.split,
                config=settings.classifier,
            )
        about = self._generator.model_info
        self._extractors = choose_extractors(
            settings.extractors, about, lambda: self._judge
        )
        standards = gather_standards(self._generator, dataset, settings, TRAINED_ON)
        _require_measurable(standards)
        self._standards = standards
        held_out = standards.first(standards.held_out)
        self._held_out = [
            find_features(one, held_out, "held-out crops") for one in self._extractors
        ]
        self.marks: dict[str, ImageSet] = {}
        if standards.training is not None:
            self.marks[RECONSTRUCTIONS] = standards.reconstructions
            self.marks[REAL] = standards.first(standards.training)
        self.origin = {
            "split": settings.split,
            "num_samples": settings.num_samples,
            "n": standards.compared,
            "seed": settings.seed,
            "model": about.id,
            "judge": self._judge.fingerprint,
        }

    def draw(self, setting: Setting) -> ImageSet:
        """Returns cells drawn in one way, M; those on disk are not drawn again."""
        return draw_cells(
            self._generator,
            self._standards.asked,
            seed=self._settings.seed,
            drawing=setting.drawing,
            keep_best=setting.keep_best,
            chooser=None if setting.keep_best == 1 else self._chooser,
            folder=Path(self._settings.folder) / "cells" / setting.name,
        ).images

    @functools.cached_property
    def _chooser(self) -> TrainedClassifier:
        with contextlib.redirect_stdout(sys.stderr):
            return train_chooser(self._dataset, self._settings)

    def passes(self, setting: Setting) -> int:
        """Returns how often the priors go over a map to draw these cells."""
        drawn = len(cells_to_draw(self._standards.asked, setting.keep_best))
        return drawn * (2 if setting.drawing.guidance else 1)

    def measure(self, images: ImageSet) -> dict[str, Any]:
        """Returns figures of a set of images, in the order of those asked for.

        Returns:
            ``label_agreement`` of all; in ``features`` by extractor the MEASURES of the
            compared ones. Each is an object of ``value`` and ``interval`` (95 %).
        """
        seed = self._settings.seed
        probabilities = self._judge.recognise(images)
        found = recognition(probabilities, images.labels, self._judge.labels, seed=seed)
        features = {}
        compared = self._standards.first(images)
        for one, held_out in zip(self._extractors, self._held_out, strict=True):
            rows = {GENERATED: find_features(one, compared, "these")}
            section = distances_section(one, held_out, rows, seed=seed)
            distances = section["sets"][GENERATED]
            features[one.name] = {name: distances[name] for name in MEASURES}
        return {"label_agreement": found["accuracy"], "features": features}


def open_models(settings: Settings) -> tuple[Generator, Dataset]:
    """Returns the models of a workdir and the crops that they were trained on.

    Raises:
        UserError: A stage is not trained, or there is no such split.
        DataError: The data are not those of the workdir, or damaged.
    """
    workdir = Workdir(settings.workdir)
    dataset = open_data(workdir, settings.data_dir)
    dataset.split(settings.split)  # Before a judge is trained for it.
    return Generator.of_workdir(settings.workdir), dataset


def _require_measurable(standards: Standards) -> None:
    if standards.compared <= NEIGHBOURS:
        raise UserError(
            "too few cells or crops to measure: expected more than "
            f"{NEIGHBOURS}. Received: {standards.compared}"
        )
    if not standards.asked.any():
        raise UserError(
            "the judge has no label to recognise: expected crops with labels. "
            f"Received: split={standards.held_out.split.name} without any"
        )
