"""The figures of a workdir: four pictures with captions."""

# Shapes: H x W pixels and C channels; L labels.

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tfvqgen.data import schema
from tfvqgen.data.images import encode_png
from tfvqgen.data.sheets import brightening, sheet_of_rows, shown
from tfvqgen.evaluation.classifier.recognition import label_agreement
from tfvqgen.evaluation.classifier.training import judge_split, train_judge
from tfvqgen.evaluation.figures.confusions import confusion_picture
from tfvqgen.evaluation.figures.plates import beside, plate
from tfvqgen.evaluation.figures.settings import Settings
from tfvqgen.evaluation.generated_cells import (
    crops_in_turn,
    examples_of_kinds,
    kind_names,
    kinds,
)
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.evaluation.image_store import store_cells
from tfvqgen.evaluation.trained_data import TRAINED_ON, open_data
from tfvqgen.files import exclusive, whole_file
from tfvqgen.generation.generator import Generator
from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.training.stages.classifier import ClassifierConfig
from tfvqgen.training.workdir import Workdir

RECONSTRUCTIONS = "figure1_reconstructions.png"
GENERATED = "figure2_generated.png"
ORIGINALS = "figure3_originals.png"
CONFUSIONS = "figure4_confusions.png"
# Where the cells drawn for the figures are kept.
CELLS = "cells"
_COLUMNS = 8
_RECONSTRUCTED_ROWS = 3


def write_figures(
    settings: Settings, classifier: ClassifierConfig | None = None
) -> list[Path]:
    """Draws cells and writes the figures; the fourth if a classifier can learn labels.

    Args:
        settings: What is asked for.
        classifier: How the judge is trained, if it is not there yet.

    Returns:
        Their paths.

    Raises:
        UserError: A stage is not trained, or the split does not exist.
        DataError: A file is missing or damaged.
    """
    dataset = open_data(Workdir(settings.workdir), settings.data_dir)
    crops = ImageSet.of_split(dataset.split(settings.split))
    generator = Generator.of_workdir(settings.workdir)
    # Crops of no label have their row only where there are no others.
    names = kind_names(generator.model_info.labels)
    names = names[:-1] if crops.labels.any() else names
    with exclusive(settings.folder, "the folder of the figures"):
        one_each = np.eye(len(names), len(generator.model_info.labels), dtype=bool)
        cells = store_cells(
            generator,
            np.repeat(one_each, settings.num_per_label, axis=0),
            seed=settings.seed,
            drawing=settings.drawing,
            folder=settings.folder / CELLS,
        )
        pictures = _cell_figures(generator, crops, cells, names, settings)
        if judge_split(dataset, settings.split) is not None:
            pictures[CONFUSIONS] = _confusions(
                dataset, crops, cells, settings, classifier
            )
        return _write(pictures, generator.model_info, settings)


def _cell_figures(
    generator: Generator,
    crops: ImageSet,
    cells: ImageSet,
    names: Sequence[str],
    settings: Settings,
) -> dict[str, np.ndarray]:
    """Returns figures 1 to 3, all brightened by the same factors."""
    about, split = generator.model_info, settings.split
    turns = crops_in_turn(crops.labels, len(crops), settings.seed)
    examples = examples_of_kinds(crops.labels[turns], _COLUMNS)
    originals = {
        name: crops.take(turns[examples.get(kind, [])]).read()
        for kind, name in enumerate(names)
    }
    gain = brightening(
        np.concatenate([x for x in originals.values() if len(x)])
        / np.iinfo(about.dtype).max
    )
    drawn = {
        name: cells.take(np.flatnonzero(kind)[:_COLUMNS]).read()
        for name, kind in zip(names, kinds(cells.labels).T, strict=False)
    }
    some = crops.take(turns[: _COLUMNS * _RECONSTRUCTED_ROWS]).read()

    def sheet(rows) -> np.ndarray:
        shown_rows = [(name, _shown(images, about, gain)) for name, images in rows]
        return sheet_of_rows(shown_rows)

    unseen = "" if split == TRAINED_ON else ", which the model was not trained on,"
    how = _how(settings)
    colours = f"{_colours(about)} All cells are brightened by the same factors."
    return {
        RECONSTRUCTIONS: plate(
            sheet(_reconstructed(generator, some)),
            "Figure 1. Reconstructions",
            f"Crops of the split {split}{unseen} above what comes back from their "
            f"codes. {colours}",
        ),
        GENERATED: plate(
            sheet(drawn.items()),
            "Figure 2. Generated cells by localization",
            f"Drawn by model {about.id}, not observed: {how}. {colours}",
        ),
        ORIGINALS: plate(
            sheet(originals.items()),
            "Figure 3. Real cells by localization",
            f"Crops of the split {split} with the fewest other labels; rows without "
            f"cells: the split has none. {colours} {about.credit}",
        ),
    }


def _reconstructed(
    generator: Generator, images: np.ndarray
) -> list[tuple[str, np.ndarray]]:
    """Returns rows of images, each above a row of what comes back from their codes."""
    rows = []
    for first in range(0, len(images), _COLUMNS):
        some = images[first : first + _COLUMNS]
        rows.append(("original", some))
        rows.append(("reconstruction", generator.reconstruct(some).numpy()))
    return rows


def _confusions(
    dataset: schema.Dataset,
    crops: ImageSet,
    cells: ImageSet,
    settings: Settings,
    classifier: ClassifierConfig | None,
) -> np.ndarray:
    """Returns figure 4."""
    judge = train_judge(
        dataset, settings.workdir, judged=settings.split, config=classifier
    )
    sets = {"generated": cells, "real": crops}
    found = label_agreement(judge, sets, seed=settings.seed)
    pictures = [
        confusion_picture(
            found[name]["confusion"], found["labels"], rows, "recognised as"
        )
        for name, rows in (("generated", "asked for"), ("real", "real label"))
    ]
    shares = {name: found[name]["accuracy"]["value"] for name in sets}
    counts = {name: found[name]["n"] for name in sets}
    caption = (
        f"Left: {counts['generated']} generated cells ({_how(settings)}), of which a "
        f"classifier recognises {_percent(shares['generated'])} as what was asked for. "
        f"Right: the same classifier on {counts['real']} real crops of the split "
        f"{settings.split}: {_percent(shares['real'])}. It has learnt from "
        f"{judge.trained_on}. Numbers are percent of a row."
    )
    return plate(beside(pictures), "Figure 4. Asked for and recognised", caption)


def _write(
    pictures: Mapping[str, np.ndarray], about: ModelInfo, settings: Settings
) -> list[Path]:
    paths = []
    for name, picture in pictures.items():
        text = {"Software": "tfvqgen", "Model": about.id}
        if name != ORIGINALS:
            text["Description"] = (
                "Made by a model, in whole or in part; no picture of real cells alone."
            )
        path = settings.folder / name
        with whole_file(path) as file:
            file.write(encode_png(picture, text))
        paths.append(path)
    return paths


def _shown(images: np.ndarray, about: ModelInfo, gain: np.ndarray) -> np.ndarray:
    scale = np.iinfo(about.dtype).max
    return shown(images / scale, about.display_channels, gain)


def _colours(about: ModelInfo) -> str:
    stained = ", ".join(
        f"{colour}: {channel}" if colour != channel else colour
        for colour, channel in about.display.items()
        if channel
    )
    return f"Channels shown: {stained}."


def _how(settings: Settings) -> str:
    drawing = settings.drawing
    return (
        f"temperature {drawing.temperature:g}, top_p {drawing.top_p:g}, guidance "
        f"{drawing.guidance:g}, seeds from {settings.seed} on"
    )


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{share:.0%}"
