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
from tfvqgen.generation.model_info import ModelInfo
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
    wanted = {crop for pairs in by_kind.values() for _, crop in pairs}
    real = _images(split, wanted | {int(crop) for crop in reconstructed})
    draw = _Painter(generator.model_info, np.stack(list(real.values())))

    def crop(number: int) -> Picture:
        return draw.picture(real[number], crop_labels[number])

    def cell(number: int) -> Picture:
        return draw.small(cells.images.take([number]), int(cells.seeds[number]))

    names = kind_names(generator.model_info.labels)
    originals = np.stack([real[number] for number in reconstructed])
    return Pictures(
        _reconstructions(
            generator, draw, originals, crop_labels[np.asarray(reconstructed)]
        ),
        {
            names[kind]: (
                [cell(number) for number, _ in pairs],
                [_reduced(crop(number)) for _, number in pairs],
            )
            for kind, pairs in by_kind.items()
        },
        [
            {
                "generated": cell(one.cell),
                "nearest in training": draw.small(one.training),
                "nearest held out": draw.small(one.held_out),
            }
            for one in neighbours
        ],
    )


def _reconstructions(
    generator: Generator, draw: "_Painter", originals: np.ndarray, labels: np.ndarray
) -> list[dict[str, Picture]]:
    """Returns pictures of each crop and of what each level makes of it."""
    levels = generator.autoencoder.reconstruct_levels(to_unit(originals))
    made = {
        "reconstruction": levels.full.numpy(),
        "top only": levels.top_only.numpy(),
        "bottom only": levels.bottom_only.numpy(),
    }
    return [
        {
            "original": draw.picture(original, own),
            **{view: draw.unit_picture(x[row], own) for view, x in made.items()},
        }
        for row, (original, own) in enumerate(zip(originals, labels, strict=True))
    ]


class _Painter:
    """Makes pictures that are all brightened alike.

    Args:
        about: Describes the images.
        reference: Images that should be seen well, uint8 or uint16 [N, H, W, C].
    """

    def __init__(self, about: ModelInfo, reference: np.ndarray):
        self._about = about
        self._scale = np.iinfo(about.dtype).max
        self._gain = brightening(reference / self._scale)

    def picture(self, image, labels, seed: int | None = None) -> Picture:
        """Returns the picture of a stored image, uint8 or uint16 [H, W, C]."""
        return self.unit_picture(image / self._scale, labels, seed)

    def unit_picture(self, image, labels, seed: int | None = None) -> Picture:
        """Returns the picture of an image in [0, 1], [H, W, C], of labels [L]."""
        names = [
            name for name, has in zip(self._about.labels, labels, strict=True) if has
        ]
        composite = shown(image, self._about.display_channels, self._gain)
        return Picture(composite, set_name(names), seed)

    def small(self, one: ImageSet, seed: int | None = None) -> Picture:
        """Returns the picture of a set's only image, in a row of many."""
        (image,) = one.read()
        return _reduced(self.picture(image, one.labels[0], seed))


def _reduced(picture: Picture) -> Picture:
    return dataclasses.replace(picture, image=reduced(picture.image))


def _images(split: Split, numbers: Collection[int]) -> dict[int, np.ndarray]:
    """Returns images by their number."""
    order = sorted(numbers)
    return dict(zip(order, read_images(split, order), strict=True))
