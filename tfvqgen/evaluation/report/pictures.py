"""The pictures of a report: real cells, their reconstructions, generated cells."""

# Shapes: H x W pixels and C channels; L labels.

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from PIL import Image

from tfvqgen.data.schema import Split, read_images, to_unit
from tfvqgen.data.sheets import brightening, shown
from tfvqgen.evaluation.comparison import Neighbours
from tfvqgen.evaluation.generated_cells import GeneratedCells, kind_names
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.generation.generator import Generator
from tfvqgen.generation.request import set_name

_SMALL = 128


@dataclasses.dataclass(frozen=True)
class Picture:
    """A cell as people look at it.

    Attributes:
        image: The composite, uint8 [H, W, 3]; smaller in a row of many cells.
        labels: Its set of labels.
        seed: Of its noise if it is generated.
    """

    image: np.ndarray
    labels: str
    seed: int | None = None


@dataclasses.dataclass(frozen=True)
class Pictures:
    """All pictures of a report, every channel brightened by one factor.

    Attributes:
        reconstructions: Of each crop ``original``, ``reconstruction``, ``top only`` and
            ``bottom only``.
        by_kind: By the kind's name, generated cells and real ones.
        neighbours: Of each generated cell that is suspiciously near to a training crop
            ``generated``, ``nearest in training`` and ``nearest held out``.
    """

    reconstructions: Sequence[Mapping[str, Picture]]
    by_kind: Mapping[str, tuple[Sequence[Picture], Sequence[Picture]]]
    neighbours: Sequence[Mapping[str, Picture]]


def reduced(image: np.ndarray) -> np.ndarray:
    """Shrinks a picture by a whole factor, to 128 to 255 pixels if it is larger.

    Many cells at full size would make a page of tens of megabytes.

    Args:
        image: uint8 [H, W, 3].
    """
    factor = max(1, min(image.shape[:2]) // _SMALL)
    return np.asarray(Image.fromarray(image).reduce(factor))


def make_pictures(
    generator: Generator,
    split: Split,
    crop_labels: np.ndarray,
    cells: GeneratedCells,
    *,
    reconstructed: Sequence[int],
    by_kind: Mapping[int, Sequence[tuple[int, int]]],
    neighbours: Sequence[Neighbours],
) -> Pictures:
    """Makes the pictures of a report.

    Args:
        generator: The models.
        split: Where real crops are.
        crop_labels: Theirs, [N, L].
        cells: Generated cells.
        reconstructed: Numbers of the crops to reconstruct.
        by_kind: By kind, numbers of generated cells and of real crops.
        neighbours: Generated cells with the real crops that are nearest to them.
    """
    about = generator.about
    wanted = {crop for pairs in by_kind.values() for _, crop in pairs}
    real = _images(split, wanted | {int(crop) for crop in reconstructed})
    wanted = {cell for pairs in by_kind.values() for cell, _ in pairs}
    wanted |= {one.cell for one in neighbours}
    places = {cell: int(cells.images.numbers[cell]) for cell in wanted}
    made = _images(cells.images.split, set(places.values()))
    scale = np.iinfo(about.dtype).max
    gain = brightening(np.stack(list(real.values())) / scale)

    def pictured(image, labels, seed=None) -> Picture:
        names = tuple(np.array(about.labels)[np.asarray(labels) > 0].tolist())
        composite = shown(image, about.display_channels, gain)
        return Picture(composite, set_name(names), seed)

    def generated(cell: int) -> Picture:
        image, labels = made[places[cell]] / scale, cells.images.labels[cell]
        return small(pictured(image, labels, int(cells.seeds[cell])))

    def of_crop(crop: int) -> Picture:
        return pictured(real[crop] / scale, crop_labels[crop])

    def of_set(images: ImageSet) -> Picture:
        (image,) = read_images(images.split, images.numbers)
        return small(pictured(image / scale, images.labels[0]))

    def small(picture: Picture) -> Picture:
        return dataclasses.replace(picture, image=reduced(picture.image))

    levels = generator.autoencoder.reconstruct_levels(
        to_unit(np.stack([real[crop] for crop in reconstructed]))
    )
    reconstructions = [
        {
            "original": of_crop(crop),
            "reconstruction": pictured(levels.full[row].numpy(), crop_labels[crop]),
            "top only": pictured(levels.top_only[row].numpy(), crop_labels[crop]),
            "bottom only": pictured(levels.bottom_only[row].numpy(), crop_labels[crop]),
        }
        for row, crop in enumerate(reconstructed)
    ]
    return Pictures(
        reconstructions,
        {
            kind_names(about.labels)[kind]: (
                [generated(cell) for cell, _ in pairs],
                [small(of_crop(crop)) for _, crop in pairs],
            )
            for kind, pairs in by_kind.items()
        },
        [
            {
                "generated": generated(one.cell),
                "nearest in training": of_set(one.training),
                "nearest held out": of_set(one.held_out),
            }
            for one in neighbours
        ],
    )


def _images(split: Split, numbers: Collection[int]) -> dict[int, np.ndarray]:
    """Returns images by their number."""
    order = sorted(numbers)
    return dict(zip(order, read_images(split, order), strict=True))
