"""Evaluates the models of a workdir and writes the report."""

import functools
import importlib.metadata
import math
import platform
import shlex
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from tfvqgen.data import codes
from tfvqgen.data.schema import Dataset
from tfvqgen.errors import UserError
from tfvqgen.evaluation.cells import (
    GENERATED,
    REAL,
    RECONSTRUCTIONS,
    reference_sets,
    sample_cells,
)
from tfvqgen.evaluation.classifiers import (
    TrainedClassifier,
    classifier_split,
    evaluation_classifier,
)
from tfvqgen.evaluation.comparison import compare
from tfvqgen.evaluation.crop_metrics import (
    CropEvaluator,
    codes_section,
    priors_section,
    reconstruction_section,
)
from tfvqgen.evaluation.extractors import (
    CLASSIFIER,
    RANDOM,
    Extractor,
    choose_extractors,
)
from tfvqgen.evaluation.image_sets import TRAINED_ON, open_data
from tfvqgen.evaluation.recognition import score_generator
from tfvqgen.evaluation.report.charts import STATISTICS, learning_charts, metric_charts
from tfvqgen.evaluation.report.report_images import (
    ReportImages,
    confusion_images,
    make_images,
)
from tfvqgen.evaluation.report.verdicts import all_verdicts
from tfvqgen.evaluation.settings import EvaluationSettings, require_packages
from tfvqgen.files import exclusive, whole_file, write_json
from tfvqgen.generation.generator import Generator
from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.models import LEVELS
from tfvqgen.training.metrics_log import read_metrics
from tfvqgen.training.workdir import Workdir

FORMAT = "tfvqgen-metrics-1"
METRICS = "metrics.json"
PAGE = "index.html"
_VERSIONS = "tfvqgen tensorflow keras numpy scipy scikit-image scikit-learn"


def evaluate(settings: EvaluationSettings) -> Path:
    """Writes ``metrics.json`` and the page; returns the path of the page.

    Raises:
        UserError: A stage is not trained, the split does not exist, or a package is
            not installed.
        DataError: The data are not those of the workdir, or a file is missing or
            damaged.
    """
    require_packages()
    workdir = Workdir(settings.workdir)
    dataset = open_data(workdir, settings.data_dir)
    split = dataset.split(settings.split)
    _require_data(dataset, settings)
    generator = Generator.of_workdir(settings.workdir)
    info = generator.model_info
    evaluator = CropEvaluator(generator, _training_codes(workdir, info))
    stages = {stage: workdir.stage(stage) for stage in ("vqvae", *LEVELS)}
    curves = learning_charts(
        {stage: read_metrics(x / "metrics.jsonl") for stage, x in stages.items()}
    )
    with exclusive(settings.folder, "the report's folder"):
        classifier, extractors = _classifier_and_extractors(dataset, info, settings)
        sections = _evaluate_models(evaluator, dataset, info, settings)
        references = reference_sets(generator, dataset, settings)
        folder = settings.folder / "cells"
        cells = sample_cells(generator, dataset, settings, references.requested, folder)
        compared, neighbours = compare(
            cells, references, classifier, extractors, info, settings
        )
        if settings.classification_score:
            score = score_generator(generator, dataset, settings)
            compared["generation"]["classification_score"] = score
        metrics = {
            "format": FORMAT,
            **sections,
            **compared,
            "provenance": _provenance(info, settings),
        }
        images = make_images(
            generator, split, cells, references, neighbours, settings.seed
        )
        page = _page(metrics, images, curves, split.name)
        write_json(settings.folder / METRICS, metrics)
        with whole_file(settings.folder / PAGE, "w") as file:
            file.write(page)
    return settings.folder / PAGE


def _require_data(dataset: Dataset, settings: EvaluationSettings) -> None:
    """Raises UserError if the settings require crops that do not exist."""
    no_classifier = classifier_split(dataset, settings.split) is None
    no_score = settings.split == TRAINED_ON or not any(
        dataset.split(TRAINED_ON).info.label_counts.values()
    )
    for setting, missing in {
        f"keep_best={settings.keep_best}": settings.keep_best < 1 and no_classifier,
        f"extractor={CLASSIFIER}": CLASSIFIER in settings.extractors and no_classifier,
        "classification_score": settings.classification_score and no_score,
    }.items():
        if missing:
            raise UserError(
                "there are no crops to train or test a classifier on: expected crops "
                f"with labels in {TRAINED_ON}, in another split to evaluate and in a "
                f"third split. Received: {setting} with split={settings.split}"
            )


def _classifier_and_extractors(
    dataset: Dataset, info: ModelInfo, settings: EvaluationSettings
) -> tuple[TrainedClassifier | None, list[Extractor]]:
    """Returns the evaluation classifier, if there are crops for it, and extractors."""

    @functools.cache
    def classifier() -> TrainedClassifier:
        return evaluation_classifier(
            dataset,
            settings.workdir,
            evaluated=settings.split,
            config=settings.classifier,
        )

    trainable = classifier_split(dataset, settings.split) is not None
    default = (CLASSIFIER, RANDOM) if trainable else (RANDOM,)
    # Wrong names are reported before the classifier is trained.
    extractors = choose_extractors(settings.extractors or default, info, classifier)
    return classifier() if trainable else None, extractors


def _evaluate_models(
    evaluator: CropEvaluator,
    dataset: Dataset,
    info: ModelInfo,
    settings: EvaluationSettings,
) -> dict[str, Any]:
    """Returns the sections about the models on real crops."""
    split, seed = dataset.split(settings.split), settings.seed
    crops = evaluator.evaluate(split)
    likelihoods = {split.name: crops.likelihoods}
    if split.name != TRAINED_ON:
        training = dataset.split(TRAINED_ON)
        order = np.random.default_rng(seed).permutation(training.num_examples)
        some = np.sort(order[: split.num_examples])
        trained = evaluator.likelihoods(training, some)
        likelihoods = {TRAINED_ON: trained, **likelihoods}
    where = {"split": split.name, "seed": seed}
    return {
        "reconstruction": reconstruction_section(crops, info, **where),
        "codes": codes_section(crops, info, **where),
        "priors": priors_section(likelihoods, info, seed=seed),
    }


def _training_codes(workdir: Workdir, info: ModelInfo) -> codes.CodeSplit:
    folder = workdir.stage("codes")
    codes_info = codes.read_codes_info(folder)
    codes.require_current(
        codes_info,
        dataset_fingerprint=info.fingerprints["dataset"],
        autoencoder_fingerprint=info.fingerprints["vqvae"],
    )
    return codes.CodeSplit(folder, TRAINED_ON, codes_info)


def _provenance(info: ModelInfo, settings: EvaluationSettings) -> dict[str, Any]:
    words = []
    for name, value in settings.flags().items():
        for one in value if isinstance(value, tuple) else (value,):
            if one is not False:
                words += [f"--{name}"] if one is True else [f"--{name}", str(one)]
    versions = {"python": platform.python_version()}
    for name in _VERSIONS.split():
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "model": info.to_json(),
        "command": f"python -m tfvqgen evaluate {shlex.join(words)}",
        "seed": settings.seed,
        "versions": versions,
    }


def _page(
    metrics: Mapping[str, Any],
    images: ReportImages,
    curves: Mapping[str, str],
    held_out: str,
) -> str:
    """Returns the page, which needs no other files; `held_out` is a split."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tfvqgen.evaluation.report", "."),
        autoescape=True,
        extensions=["jinja2.ext.do"],
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["number"] = _number
    style = resources.files("tfvqgen.evaluation.report").joinpath("report.css")
    return environment.get_template("report.html.j2").render(
        metrics,
        info=metrics["provenance"]["model"],
        style=style.read_text("utf-8"),
        images=images,
        confusions=confusion_images(metrics["generation"]["label_agreement"]),
        charts={**metric_charts(metrics), "curves": curves},
        verdicts=all_verdicts(metrics, held_out),
        held_out=held_out,
        levels=LEVELS,
        sets={
            GENERATED: "generated cells",
            RECONSTRUCTIONS: "reconstructions",
            REAL: "other real crops",
        },
        statistics=STATISTICS,
    )


def _number(value: float | None, style: str = "number") -> str:
    """Returns a number as text, with three digits by default; None gives a dash."""
    if value is None:
        return "\N{EN DASH}"
    if style != "number":
        styles = {"percent": ".1%", "decibels": ".2f", "count": ",.0f"}
        return format(value, styles[style])
    if value and abs(value) < 1:
        digits = 2 - math.floor(math.log10(abs(value)))
        return f"{value:.{min(digits, 6)}f}"
    if abs(value) < 100:
        return f"{value:.2f}"
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"
