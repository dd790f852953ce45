"""Compares generated cells with real ones in every way that there is."""

# Shapes: M generated cells, N held-out crops, n compared; F features.

from typing import Any, NamedTuple

import numpy as np

from tfvqgen.data.schema import read_groups
from tfvqgen.evaluation.classifier.recognition import label_agreement
from tfvqgen.evaluation.classifier.trained import TrainedClassifier
from tfvqgen.evaluation.extractors.extractor import Extractor
from tfvqgen.evaluation.features import find_features
from tfvqgen.evaluation.generated_cells import channel_means
from tfvqgen.evaluation.image_sets import ImageSet
from tfvqgen.evaluation.material import Material
from tfvqgen.evaluation.real_crops import CropFigures
from tfvqgen.evaluation.sections import biology, generation, memorisation
from tfvqgen.evaluation.sections.generation import GENERATED, REAL, RECONSTRUCTIONS
from tfvqgen.evaluation.settings import Settings
from tfvqgen.generation.model_info import ModelInfo

_NEIGHBOURS_SHOWN = 6
# Why something was not measured.
_NOTHING_HELD_OUT = "no extractor, or no crops that the models have not learnt from"
_NO_JUDGE = "no split of real crops with labels that a judge could learn from"


class Neighbours(NamedTuple):
    """A generated cell that is suspiciously near to a training crop.

    Attributes:
        cell: Its number among the generated cells.
        training: The nearest training crop.
        held_out: The nearest held-out crop.
        ratio: How near the first is by comparison.
    """

    cell: int
    training: ImageSet
    held_out: ImageSet
    ratio: float


class Comparison(NamedTuple):
    """What comes out.

    Attributes:
        sections: Objects of ``metrics.json``: ``generation``, ``memorisation`` and
            ``biology``.
        neighbours: The generated cells that are most like training crops.
    """

    sections: dict[str, Any]
    neighbours: list[Neighbours]


def compare(
    material: Material,
    crops: CropFigures,
    judge: TrainedClassifier | None,
    extractors: list[Extractor],
    about: ModelInfo,
    settings: Settings,
    trained_on: str,
) -> Comparison:
    """Compares generated cells with held-out crops, and both with what was learnt.

    Args:
        material: Sets of images.
        crops: Figures of all crops of the split that is judged.
        judge: Recognises labels; None if there is none.
        extractors: Find features.
        about: Of the models.
        settings: What is asked for.
        trained_on: The split that the models were trained on; where that is judged,
            nothing is held out, and so nothing can be said about memorisation.
    """
    seed, unseen = settings.seed, settings.split != trained_on
    cells = material.generated
    distances, memories, neighbours = {}, {}, []
    for extractor in extractors:
        section, memory = _by_features(extractor, material, unseen, seed)
        distances[extractor.name] = section
        if memory is not None:
            memories[extractor.name] = memory.section
            neighbours = neighbours or _nearest(memory, material)
    section = generation.drawing_section(cells, settings)
    section["mean_intensity"] = generation.intensity_section(
        crops.intensity,
        ImageSet.of_split(material.held_out.split).labels,
        channel_means(cells.images, "intensity of generated cells"),
        cells.images.labels,
        about,
        seed=seed,
    )
    section["distances"] = distances
    section["label_agreement"] = _agreement(material, judge, seed)
    sections = {
        "generation": section,
        "memorisation": memories or _skipped(_NOTHING_HELD_OUT),
        "biology": _biology(material, about, seed),
    }
    return Comparison(sections, neighbours)


def _by_features(
    extractor: Extractor, material: Material, unseen: bool, seed: int
) -> tuple[dict[str, Any], memorisation.Memory | None]:
    """Returns distances, and what is remembered, by what one extractor finds."""
    held_out = find_features(extractor, material.held_out, "held-out crops")
    cells = find_features(extractor, material.generated.images, "generated cells")
    n = material.compared
    others = {GENERATED: cells[:n]}
    memory = None
    if material.training is not None:
        made = find_features(extractor, material.reconstructions, RECONSTRUCTIONS)
        training = find_features(extractor, material.training, "other real crops")
        others |= {RECONSTRUCTIONS: made, REAL: training[:n]}
        if unseen:
            memory = memorisation.memorisation_section(
                cells, training, held_out, _groups(material.held_out), seed=seed
            )
    section = generation.distances_section(extractor, held_out[:n], others, seed=seed)
    return section, memory


def _groups(images: ImageSet) -> np.ndarray:
    return np.array(read_groups(images.split))[images.numbers]


def _nearest(memory: memorisation.Memory, material: Material) -> list[Neighbours]:
    found = memory.generated
    return [
        Neighbours(
            int(cell),
            material.training.take([found.training[cell]]),
            material.held_out.take([found.held_out[cell]]),
            float(found.overall[cell]),
        )
        for cell in np.argsort(found.overall, kind="stable")[:_NEIGHBOURS_SHOWN]
    ]


def _agreement(
    material: Material, judge: TrainedClassifier | None, seed: int
) -> dict[str, Any]:
    if judge is None:
        return _skipped(_NO_JUDGE)
    cells = {GENERATED: material.generated.images, REAL: material.held_out}
    if material.reconstructions is not None:
        cells[RECONSTRUCTIONS] = material.reconstructions
    return label_agreement(judge, cells, seed=seed)


def _biology(material: Material, about: ModelInfo, seed: int) -> dict[str, Any]:
    if reason := biology.missing_channels(about):
        return _skipped(reason)
    sets = {"held-out crops": material.first(material.held_out)}
    sets[GENERATED] = material.first(material.generated.images)
    if material.training is not None:
        sets[RECONSTRUCTIONS] = material.reconstructions
        sets[REAL] = material.first(material.training)
    rows = {
        name: biology.measure_cells(images, about, name)
        for name, images in sets.items()
    }
    held_out = rows.pop("held-out crops")
    return biology.biology_section(held_out, rows, about, seed=seed)


def _skipped(reason: str) -> dict[str, str]:
    return {"skipped": reason}
