"""Measures the models of a workdir and writes the report."""

# Shapes: N crops of a split; L labels.

import dataclasses
import importlib.metadata
import os
import platform
import shlex
from pathlib import Path
from typing import Any

import numpy as np

from tfvqgen.data import codes, schema
from tfvqgen.errors import DataError, UserError
from tfvqgen.evaluation import sections
from tfvqgen.evaluation.generated_cells import (
    crops_in_turn,
    draw_cells,
    examples_of_kinds,
)
from tfvqgen.evaluation.metrics.pixels import require_scikit_image
from tfvqgen.evaluation.real_crops import Judge
from tfvqgen.evaluation.report.curves import learning_curves
from tfvqgen.evaluation.report.page import render
from tfvqgen.evaluation.report.pictures import Pictures, make_pictures
from tfvqgen.files import exclusive, whole_file, write_json
from tfvqgen.generation.about import About
from tfvqgen.generation.generator import Generator
from tfvqgen.generation.request import MAX_SEED
from tfvqgen.training.workdir import Workdir

FORMAT = "tfvqgen-metrics-1"
METRICS = "metrics.json"
PAGE = "index.html"
TRAINED_ON = "train"
_RECONSTRUCTED = 8
_SHOWN_PER_KIND = 4
_VERSIONS = ("tfvqgen", "tensorflow", "keras", "numpy", "scikit-image")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What is asked for.

    Attributes:
        workdir: Of trained models.
        data_dir: The shards that they were trained on.
        split: Whose crops the models are judged on.
        num_samples: How many cells are drawn.
        seed: Of the first cell and of every other choice.
        output: Where the report goes; ``report`` in the workdir if None.

    Raises:
        UserError: A number is out of range.
    """

    workdir: str | os.PathLike
    data_dir: str | os.PathLike
    split: str = "test"
    num_samples: int = 256
    seed: int = 0
    output: str | os.PathLike | None = None

    def __post_init__(self):
        last = MAX_SEED - self.num_samples + 1
        for name, fits, expected in (
            ("num_samples", self.num_samples >= 1, "at least 1"),
            ("seed", 0 <= self.seed <= last, f"0 to {last}"),
        ):
            if not fits:
                raise UserError(
                    f"{name} is out of range: expected {expected}. "
                    f"Received: {name}={getattr(self, name)}"
                )

    @property
    def folder(self) -> Path:
        """Where the report goes."""
        return Path(self.output or Path(self.workdir) / "report")


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
    workdir.load_config()  # Says so if this is no workdir.
    dataset = open_data(workdir, settings.data_dir)
    split = dataset.split(settings.split)
    training_split = dataset.split(TRAINED_ON)
    generator = Generator.of_workdir(settings.workdir)
    judge = Judge(generator, _training_codes(workdir, generator.about))
    curves = learning_curves(workdir)
    with exclusive(settings.folder, "the report's folder"):
        metrics, pictures = _measure(generator, judge, split, training_split, settings)
        page = render(
            metrics, pictures, curves, trained_on=TRAINED_ON, held_out=split.name
        )
        write_json(settings.folder / METRICS, metrics)
        with whole_file(settings.folder / PAGE, "w") as file:
            file.write(page)
    return settings.folder / PAGE


def _measure(
    generator: Generator,
    judge: Judge,
    split: schema.Split,
    training_split: schema.Split,
    settings: Settings,
) -> tuple[dict[str, Any], Pictures]:
    """Returns the contents of ``metrics.json``, and the pictures."""
    about, seed = generator.about, settings.seed
    crops = judge.crop_figures(split)
    likelihoods = {split.name: crops.likelihoods}
    if split.name != TRAINED_ON:
        some = _some(training_split.num_examples, split.num_examples, seed)
        trained = judge.likelihoods(training_split, some)
        likelihoods = {TRAINED_ON: trained, **likelihoods}
    labels = split.read_labels()
    turns = crops_in_turn(labels, settings.num_samples, seed)
    shown = examples_of_kinds(labels[turns], _SHOWN_PER_KIND)
    pictured = {cell for some in shown.values() for cell in some}
    cells = draw_cells(generator, labels[turns], seed=seed, pictured=pictured)
    where = {"split": split.name, "seed": seed}
    metrics = {
        "format": FORMAT,
        "reconstruction": sections.reconstruction_section(crops, about, **where),
        "codes": sections.codes_section(crops, about, **where),
        "priors": sections.priors_section(likelihoods, about, seed=seed),
        "generation": sections.generation_section(cells, crops, labels, about, **where),
        "provenance": _provenance(about, settings),
    }
    number = min(_RECONSTRUCTED, split.num_examples)
    pictures = make_pictures(
        generator,
        split,
        labels,
        cells,
        reconstructed=crops_in_turn(labels, number, seed),
        by_kind={
            kind: [(cell, int(turns[cell])) for cell in some]
            for kind, some in shown.items()
        },
    )
    return metrics, pictures


def open_data(workdir: Workdir, data_dir: str | os.PathLike) -> schema.Dataset:
    """Opens the shards, if they are those that the workdir was trained on."""
    expected = workdir.load_dataset_info().fingerprint()
    dataset = schema.open_dataset(data_dir)
    if dataset.fingerprint() != expected:
        raise DataError(
            "the data are not those that the models were trained on: expected shards "
            f"of fingerprint {expected[:12]}, as {workdir.path} says. Received: "
            f"{data_dir} of fingerprint {dataset.fingerprint()[:12]}"
        )
    return dataset


def _training_codes(workdir: Workdir, about: About) -> codes.CodeSplit:
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


def _provenance(about: About, settings: Settings) -> dict[str, Any]:
    flags = {
        "workdir": settings.workdir,
        "data_dir": settings.data_dir,
        "split": settings.split,
        "num_samples": settings.num_samples,
        "seed": settings.seed,
        "output": settings.folder,
    }
    words = shlex.join(
        word for name, value in flags.items() for word in (f"--{name}", str(value))
    )
    return {
        "model": about.to_json(),
        "command": f"python -m tfvqgen evaluate {words}",
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
