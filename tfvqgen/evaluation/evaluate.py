"""Measures the models of a workdir and writes the report."""

# Shapes: N crops of a split; L labels.

import functools
import importlib.metadata
import platform
import shlex
from pathlib import Path
from typing import Any

import numpy as np

from tfvqgen.data import codes, schema
from tfvqgen.evaluation.classifier.trained import TrainedClassifier
from tfvqgen.evaluation.classifier.training import judge_split, train_judge
from tfvqgen.evaluation.comparison import Comparison, compare
from tfvqgen.evaluation.extractors.choice import CLASSIFIER, choose_extractors
from tfvqgen.evaluation.extractors.extractor import Extractor
from tfvqgen.evaluation.extractors.random_network import RandomNetwork
from tfvqgen.evaluation.generated_cells import crops_in_turn, examples_of_kinds
from tfvqgen.evaluation.learning import learn, require_learnable
from tfvqgen.evaluation.material import Material, gather
from tfvqgen.evaluation.metrics.pixels import require_scikit_image
from tfvqgen.evaluation.real_crops import CropFigures, Examiner
from tfvqgen.evaluation.report.curves import learning_curves
from tfvqgen.evaluation.report.page import render
from tfvqgen.evaluation.report.pictures import Pictures, make_pictures
from tfvqgen.evaluation.sections import models
from tfvqgen.evaluation.settings import Settings
from tfvqgen.evaluation.trained_data import TRAINED_ON, open_data
from tfvqgen.files import exclusive, whole_file, write_json
from tfvqgen.generation.generator import Generator
from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.training.workdir import Workdir

FORMAT = "tfvqgen-metrics-1"
METRICS = "metrics.json"
PAGE = "index.html"
_RECONSTRUCTED = 8
_SHOWN_PER_KIND = 4
_VERSIONS = ("tfvqgen", "tensorflow", "keras", "numpy", "scipy", "scikit-image")


def evaluate(settings: Settings) -> Path:
    """Measures the models of a workdir and writes ``metrics.json`` and the page.

    Returns:
        The page's path.

    Raises:
        UserError: A stage is not trained, the split does not exist, the data are not
            those of the workdir, or an extra is not installed.
        DataError: A file is missing or damaged.
    """
    require_scikit_image()
    workdir = Workdir(settings.workdir)
    dataset = open_data(workdir, settings.data_dir)
    split = dataset.split(settings.split)
    require_learnable(dataset, settings, TRAINED_ON)
    generator = Generator.of_workdir(settings.workdir)
    about = generator.model_info
    examiner = Examiner(generator, _training_codes(workdir, about))
    curves = learning_curves(workdir)
    with exclusive(settings.folder, "the report's folder"):
        judge, extractors = _viewers(dataset, about, settings)
        crops, sections = _of_models(examiner, dataset, about, settings)
        material = gather(generator, dataset, settings, TRAINED_ON)
        found = compare(material, crops, judge, extractors, about, settings, TRAINED_ON)
        if settings.classification_score:
            found.sections["generation"]["classification_score"] = learn(
                generator, dataset, settings, TRAINED_ON
            )
        metrics = {
            "format": FORMAT,
            **sections,
            **found.sections,
            "provenance": _provenance(about, settings),
        }
        pictures = _pictures(generator, split, material, found, settings)
        page = render(
            metrics, pictures, curves, trained_on=TRAINED_ON, held_out=split.name
        )
        write_json(settings.folder / METRICS, metrics)
        with whole_file(settings.folder / PAGE, "w") as file:
            file.write(page)
    return settings.folder / PAGE


def _viewers(
    dataset: schema.Dataset, about: ModelInfo, settings: Settings
) -> tuple[TrainedClassifier | None, list[Extractor]]:
    """Returns the judge, if there are crops that it may learn from, and extractors."""

    @functools.cache
    def judge() -> TrainedClassifier:
        return train_judge(
            dataset,
            settings.workdir,
            judged=settings.split,
            config=settings.classifier,
        )

    can_judge = judge_split(dataset, settings.split) is not None
    usual = (CLASSIFIER, RandomNetwork.name) if can_judge else (RandomNetwork.name,)
    # What the user got wrong with them is said before the judge is trained.
    extractors = choose_extractors(settings.extractors or usual, about, judge)
    return judge() if can_judge else None, extractors


def _of_models(
    examiner: Examiner, dataset: schema.Dataset, about: ModelInfo, settings: Settings
) -> tuple[CropFigures, dict[str, Any]]:
    """Returns what the models make of real crops, and its objects."""
    split, seed = dataset.split(settings.split), settings.seed
    training_split = dataset.split(TRAINED_ON)
    crops = examiner.crop_figures(split)
    likelihoods = {split.name: crops.likelihoods}
    if split.name != TRAINED_ON:
        some = _some(training_split.num_examples, split.num_examples, seed)
        trained = examiner.likelihoods(training_split, some)
        likelihoods = {TRAINED_ON: trained, **likelihoods}
    where = {"split": split.name, "seed": seed}
    return crops, {
        "reconstruction": models.reconstruction_section(crops, about, **where),
        "codes": models.codes_section(crops, about, **where),
        "priors": models.priors_section(likelihoods, about, seed=seed),
    }


def _pictures(
    generator: Generator,
    split: schema.Split,
    material: Material,
    found: Comparison,
    settings: Settings,
) -> Pictures:
    cells, turns = material.generated, material.turns
    shown = examples_of_kinds(cells.images.labels, _SHOWN_PER_KIND)
    number = min(_RECONSTRUCTED, split.num_examples)
    labels = split.read_labels()
    return make_pictures(
        generator,
        split,
        labels,
        cells,
        reconstructed=crops_in_turn(labels, number, settings.seed),
        by_kind={
            kind: [(cell, int(turns[cell])) for cell in some]
            for kind, some in shown.items()
        },
        neighbours=found.neighbours,
    )


def _training_codes(workdir: Workdir, about: ModelInfo) -> codes.CodeSplit:
    folder = workdir.stage("codes")
    info = codes.read_codes_info(folder)
    codes.require_current(
        info,
        dataset_fingerprint=about.fingerprints["dataset"],
        autoencoder_fingerprint=about.fingerprints["vqvae"],
    )
    return codes.CodeSplit(folder, TRAINED_ON, info)


def _some(number: int, most: int, seed: int) -> np.ndarray:
    """Returns at most so many different numbers from 0 on, in order."""
    drawn = np.random.default_rng(seed).permutation(number)
    return np.sort(drawn[:most])


def _provenance(about: ModelInfo, settings: Settings) -> dict[str, Any]:
    words = []
    for name, value in settings.flags().items():
        for one in value if isinstance(value, tuple) else (value,):
            if one is not False:
                words += [f"--{name}"] if one is True else [f"--{name}", str(one)]
    return {
        "model": about.to_json(),
        "command": f"python -m tfvqgen evaluate {shlex.join(words)}",
        "seed": settings.seed,
        "versions": {"python": platform.python_version(), **_versions()},
    }


def _versions() -> dict[str, str]:
    versions = {}
    for name in _VERSIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            # As this project is when it runs from its tree.
            versions[name] = "not installed"
    return versions
