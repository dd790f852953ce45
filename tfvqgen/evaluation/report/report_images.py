"""The images of a report, embedded as PNG."""

# Shapes: H x W pixels and C channels; L labels.

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from tfvqgen.data.crops import LABEL_SEPARATOR
from tfvqgen.data.images import encode_png
from tfvqgen.data.schema import Split, read_images, to_unit
from tfvqgen.data.sheets import brightening, shown
from tfvqgen.evaluation.cells import (
    GeneratedCells,
    ReferenceSets,
    crops_in_turn,
    examples_of_kinds,
    kind_names,
)
from tfvqgen.evaluation.comparison import Neighbours
from tfvqgen.evaluation.figures import confusion_image
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.generation.generator import Generator
from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.generation.request import set_name
from tfvqgen.generation.samples import DISCLAIMER

_SMALL = 128
_RECONSTRUCTED = 8
_PER_KIND = 4


class ReportImage(NamedTuple):
    """An image of the page as a data URI, its size, its content and its labels."""

    uri: str
    width: int
    height: int
    alt: str
    labels: str


class ReportImages(NamedTuple):
    """All images of cells of a report; each channel is brightened by one factor.

    These are views of crops and of their reconstructions by name, generated and real
    cells by kind, and cells that are near to training crops beside their neighbours.
    """

    reconstructions: Sequence[Mapping[str, ReportImage]]
    by_kind: Mapping[str, Mapping[str, Sequence[ReportImage]]]
    neighbours: Sequence[Mapping[str, ReportImage]]


def reduced(image: np.ndarray) -> np.ndarray:
    """Reduces a large image by a whole factor, to a side of 128 to 255 pixels.

    Many cells of full size would make a page of tens of megabytes.
    """
    factor = max(1, min(image.shape[:2]) // _SMALL)
    return np.asarray(Image.fromarray(image).reduce(factor))


def confusion_images(agreement: Mapping[str, Any]) -> dict[str, ReportImage]:
    """Returns images of the confusion matrices of generated and real cells."""
    if "skipped" in agreement:
        return {}
    images = {}
    for name, rows in (("generated", "requested"), ("real", "label")):
        image = confusion_image(agreement[name]["confusion"], agreement["labels"], rows)
        alt = f"confusions of {name} cells, percent of a row"
        images[name] = _embedded(image, alt)
    return images


def make_images(
    generator: Generator,
    split: Split,
    cells: GeneratedCells,
    references: ReferenceSets,
    neighbours: Sequence[Neighbours],
    seed: int,
) -> ReportImages:
    """Makes the images of crops of the evaluated split and of generated cells."""
    info = generator.model_info
    crops = ImageSet.of_split(split)
    chosen = crops_in_turn(crops.labels, min(_RECONSTRUCTED, len(crops)), seed)
    examples = examples_of_kinds(cells.images.labels, _PER_KIND)
    cells_shown = [cell for some in examples.values() for cell in some]
    order = sorted({*references.crop_numbers[cells_shown].tolist(), *chosen.tolist()})
    real = dict(zip(order, read_images(split, order), strict=True))
    scale = np.iinfo(info.dtype).max
    gain = brightening(np.stack(list(real.values())) / scale)
    used = sorted({*cells_shown, *(one.cell for one in neighbours)})
    made = dict(zip(used, cells.images.take(used).read(), strict=True))

    def show(images: np.ndarray) -> np.ndarray:
        return shown(images, info.display_channels, gain)

    def small(image, labels, name: str, seed: int | None = None) -> ReportImage:
        return _cell_image(reduced(show(image / scale)), labels, name, info, seed)

    def first(images: ImageSet, name: str) -> ReportImage:
        return small(images.read()[0], images.labels[0], name)

    def generated(cell: int) -> ReportImage:
        labels, seed = cells.images.labels[cell], int(cells.seeds[cell])
        return small(made[cell], labels, "generated", seed)

    def real_crop(cell: int) -> ReportImage:
        crop = int(references.crop_numbers[cell])
        return small(real[crop], crops.labels[crop], "real")

    originals = np.stack([real[crop] for crop in chosen.tolist()])
    return ReportImages(
        reconstructions=_reconstructions(
            generator, originals, crops.labels[chosen], show
        ),
        by_kind={
            kind_names(info.labels)[kind]: {
                "generated": [generated(cell) for cell in some],
                f"real ({split.name})": [real_crop(cell) for cell in some],
            }
            for kind, some in examples.items()
        },
        neighbours=[
            {
                "generated": generated(one.cell),
                "nearest in training": first(one.training, "nearest in training"),
                "nearest held out": first(one.held_out, "nearest held out"),
            }
            for one in neighbours
        ],
    )


def _reconstructions(
    generator: Generator, originals: np.ndarray, labels: np.ndarray, show: Callable
) -> list[dict[str, ReportImage]]:
    """Shows crops and their reconstructions from both levels and from each alone."""
    crops = to_unit(originals)
    *levels, _ = generator.autoencoder.reconstruct_levels(crops)
    names = ("original", "reconstruction", "top only", "bottom only")
    views = {k: x.numpy() for k, x in zip(names, [crops, *levels], strict=True)}
    info = generator.model_info
    return [
        {k: _cell_image(show(x[row]), own, k, info) for k, x in views.items()}
        for row, own in enumerate(labels)
    ]


def _cell_image(
    pixels: np.ndarray, labels, name: str, info: ModelInfo, seed: int | None = None
) -> ReportImage:
    """Embeds the image of a cell; a generated one, with a seed, says so in its PNG."""
    text = set_name([x for x, has in zip(info.labels, labels, strict=True) if has])
    readable = text.replace(LABEL_SEPARATOR, " + ")
    alt = f"{name}: {readable}"
    if seed is None:
        return _embedded(pixels, alt, readable)
    metadata = {"Description": DISCLAIMER, "Software": "tfvqgen", "Model": info.id}
    metadata |= {"Labels": text, "Seed": str(seed)}
    return _embedded(pixels, f"{alt}, seed {seed}", readable, metadata)


def _embedded(pixels: np.ndarray, alt: str, labels: str = "", text=None) -> ReportImage:
    data = base64.b64encode(encode_png(pixels, text)).decode()
    height, width = pixels.shape[:2]
    return ReportImage(f"data:image/png;base64,{data}", width, height, alt, labels)
