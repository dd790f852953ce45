"""The command ``figures``: four images with captions."""

# Shapes: H x W pixels and C channels; L labels.

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfvqgen.data.images import encode_png
from tfvqgen.data.schema import Dataset
from tfvqgen.data.sheets import BACKGROUND, brightening, sheet_of_rows, shown, wrapped
from tfvqgen.evaluation.cells import crops_in_turn, examples_of_kinds, kind_names, kinds
from tfvqgen.evaluation.classifiers import classifier_split, evaluation_classifier
from tfvqgen.evaluation.generated_images import store_cells
from tfvqgen.evaluation.image_sets import TRAINED_ON, ImageSet, open_data
from tfvqgen.evaluation.recognition import label_agreement
from tfvqgen.evaluation.settings import FigureSettings, require_packages
from tfvqgen.files import exclusive, whole_file
from tfvqgen.generation.generator import Generator
from tfvqgen.training.workdir import Workdir

RECONSTRUCTIONS = "figure1_reconstructions.png"
GENERATED = "figure2_generated.png"
ORIGINALS = "figure3_originals.png"
CONFUSIONS = "figure4_confusions.png"
_DESCRIPTION = "Made by a model, in whole or in part; not only an image of real cells."
_COLUMNS = 8
_RECONSTRUCTED_ROWS = 3
_MARGIN = 12
_LINE = 20


def write_figures(settings: FigureSettings) -> list[Path]:
    """Generates cells, writes the figures and returns their paths.

    The fourth figure is left out if there are no crops to train a classifier on.

    Raises:
        UserError: A stage is not trained, the split does not exist, or a package is not
            installed.
        DataError: A file is missing or damaged.
    """
    require_packages()
    dataset = open_data(Workdir(settings.workdir), settings.data_dir)
    crops = ImageSet.of_split(dataset.split(settings.split))
    generator = Generator.of_workdir(settings.workdir)
    info = generator.model_info
    # The row of cells without labels is shown only if there are no labels.
    names = kind_names(info.labels)
    names = names[:-1] if crops.labels.any() else names
    with exclusive(settings.folder, "the folder of the figures"):
        one_each = np.eye(len(names), len(info.labels), dtype=bool)
        cells = store_cells(
            generator,
            np.repeat(one_each, settings.num_per_label, axis=0),
            seed=settings.seed,
            sampling=settings.sampling,
            folder=settings.folder / "cells",
        )
        figures = _cell_figures(generator, crops, cells, names, settings)
        if classifier_split(dataset, settings.split) is not None:
            figures[CONFUSIONS] = _confusions(dataset, crops, cells, settings)
        for name, image in figures.items():
            text = {"Software": "tfvqgen", "Model": info.id}
            if name != ORIGINALS:
                text["Description"] = _DESCRIPTION
            with whole_file(settings.folder / name) as file:
                file.write(encode_png(image, text))
    return [settings.folder / name for name in figures]


def confusion_image(
    confusion: np.ndarray, names: Sequence[str], rows: str
) -> np.ndarray:
    """Draws a confusion matrix [L, L] as percent of each row, uint8 [height, width, 3].

    `rows` is the label of the vertical axis.
    """
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    confusion = np.asarray(confusion, np.float64)
    totals = confusion.sum(axis=1, keepdims=True)
    shares = np.where(totals, confusion / np.maximum(totals, 1e-12), np.nan)
    side = (26 * len(names) + 7 * max(map(len, names)) + 60) / 100
    with style.context(["dark_background", {"font.size": 8.5}]):
        figure = Figure(
            (side, side), facecolor=np.divide(BACKGROUND, 255), layout="constrained"
        )
        canvas = FigureCanvasAgg(figure)
        axes = figure.subplots()
        axes.imshow(shares, cmap="viridis", vmin=0, vmax=1)
        axes.set_facecolor("dimgrey")  # Rows without cells.
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(length=0, labeltop=True, labelbottom=False)
        axes.set(xlabel="recognized as", ylabel=rows)
        for row, column in np.argwhere(shares >= 0.005):
            share = shares[row, column]
            centred = {"size": 7, "ha": "center", "va": "center"}
            ink = "black" if share > 0.5 else "white"
            axes.text(column, row, f"{100 * share:.0f}", color=ink, **centred)
        canvas.draw()
        return np.array(canvas.buffer_rgba())[..., :3]


def captioned(image: np.ndarray, title: str, caption: str) -> np.ndarray:
    """Puts an image uint8 [height, width, 3] between its title and its caption."""
    height, width = image.shape[:2]
    across = max(width, 480)
    font = ImageFont.load_default(14)
    lines = wrapped(caption, font, across)
    top = 2 * _MARGIN + 18
    below = top + height + _MARGIN
    size = (across + 2 * _MARGIN, below + _LINE * len(lines) + _MARGIN)
    made = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(made)
    draw.text((_MARGIN, _MARGIN - 2), title, "white", ImageFont.load_default(18))
    made.paste(Image.fromarray(image), (_MARGIN, top))
    for number, line in enumerate(lines):
        draw.text((_MARGIN, below + _LINE * number), line, (190, 190, 190), font)
    return np.asarray(made)


def _cell_figures(
    generator: Generator,
    crops: ImageSet,
    cells: ImageSet,
    names: Sequence[str],
    settings: FigureSettings,
) -> dict[str, np.ndarray]:
    """Returns figures 1 to 3, all brightened by the same factors."""
    info, split = generator.model_info, settings.split
    scale = np.iinfo(info.dtype).max
    order = crops_in_turn(crops.labels, len(crops), settings.seed)
    examples = examples_of_kinds(crops.labels[order], _COLUMNS)
    originals = [
        (name, crops.take(order[examples.get(kind, [])]).read())
        for kind, name in enumerate(names)
    ]
    generated = [
        (name, cells.take(np.flatnonzero(kind)[:_COLUMNS]).read())
        for name, kind in zip(names, kinds(cells.labels).T, strict=False)
    ]
    some = crops.take(order[: _COLUMNS * _RECONSTRUCTED_ROWS]).read()
    reconstructed = []
    for first in range(0, len(some), _COLUMNS):
        part = some[first : first + _COLUMNS]
        reconstructed.append(("original", part))
        reconstructed.append(("reconstruction", generator.reconstruct(part).numpy()))
    gain = brightening(np.concatenate([x for _, x in originals if len(x)]) / scale)

    def sheet(rows) -> np.ndarray:
        return sheet_of_rows(
            [(name, shown(x / scale, info.display_channels, gain)) for name, x in rows]
        )

    colours = _colours(info.display)
    unseen = "" if split == TRAINED_ON else ", which the model was not trained on,"
    return {
        RECONSTRUCTIONS: captioned(
            sheet(reconstructed),
            "Figure 1. Reconstructions",
            f"Crops of the split {split}{unseen} above the reconstructions from their "
            f"codes. {colours}",
        ),
        GENERATED: captioned(
            sheet(generated),
            "Figure 2. Generated cells by localization",
            f"Generated by model {info.id}, not observed: {_parameters(settings)}. "
            f"{colours}",
        ),
        ORIGINALS: captioned(
            sheet(originals),
            "Figure 3. Real cells by localization",
            f"Crops of the split {split} with the fewest other labels; the split has "
            f"no crops for empty rows. {colours} {info.credit}",
        ),
    }


def _colours(display: Mapping[str, str | None]) -> str:
    names = ", ".join(
        f"{colour}: {channel}" if colour != channel else colour
        for colour, channel in display.items()
        if channel
    )
    return f"Channels shown: {names}. All cells are brightened by the same factors."


def _confusions(
    dataset: Dataset, crops: ImageSet, cells: ImageSet, settings: FigureSettings
) -> np.ndarray:
    """Returns figure 4."""
    classifier = evaluation_classifier(
        dataset, settings.workdir, evaluated=settings.split, config=settings.classifier
    )
    sets = {"generated": cells, "real": crops}
    found = label_agreement(classifier, sets, seed=settings.seed)
    images = [
        confusion_image(found[name]["confusion"], found["labels"], rows)
        for name, rows in (("generated", "requested"), ("real", "label"))
    ]
    gap = np.full((len(images[0]), _MARGIN, 3), BACKGROUND, np.uint8)
    shares = {name: found[name]["accuracy"]["value"] for name in sets}
    percent = {k: "none" if x is None else f"{x:.0%}" for k, x in shares.items()}
    caption = (
        f"Left: {found['generated']['n']} generated cells ({_parameters(settings)}); a "
        f"classifier recognizes the requested label in {percent['generated']}. Right: "
        f"the same classifier on {found['real']['n']} real crops of the split "
        f"{settings.split}: {percent['real']}. It was trained on "
        f"{classifier.trained_on}. Numbers are percent of a row."
    )
    both = np.concatenate([images[0], gap, images[1]], axis=1)
    return captioned(both, "Figure 4. Requested and recognized labels", caption)


def _parameters(settings: FigureSettings) -> str:
    sampling = settings.sampling
    return (
        f"temperature {sampling.temperature:g}, top_p {sampling.top_p:g}, guidance "
        f"{sampling.guidance:g}, seeds from {settings.seed}"
    )
