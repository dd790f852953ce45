"""Comparison of generated with real cells: ``generation`` and ``memorisation``."""

# Shapes: M generated cells, N held-out and T training crops, n compared; C channels,
# F features, L labels.

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tfvqgen.data.schema import read_groups
from tfvqgen.evaluation import biology
from tfvqgen.evaluation.cells import (
    GENERATED,
    REAL,
    RECONSTRUCTIONS,
    GeneratedCells,
    ReferenceSets,
)
from tfvqgen.evaluation.classifiers import TrainedClassifier
from tfvqgen.evaluation.extractors import Extractor, extract_features, frechet_name
from tfvqgen.evaluation.image_sets import TRAINED_ON, ImageSet
from tfvqgen.evaluation.metrics import feature_distances, neighbours
from tfvqgen.evaluation.metrics.intervals import (
    distance_metric,
    interval_origin,
    metric,
)
from tfvqgen.evaluation.metrics.neighbours import Nearness, nearness
from tfvqgen.evaluation.recognition import label_agreement
from tfvqgen.evaluation.settings import EvaluationSettings
from tfvqgen.generation.model_info import ModelInfo

# A cell is suspiciously near if it is nearer than this share of real crops.
SUSPICIOUS = 0.05
_SHARES = np.linspace(0, 1, 41)
_NEIGHBOURS_SHOWN = 6
_NEIGHBOUR_METRICS = ("precision", "recall", "density", "coverage")
_HELD_OUT = "held_out"
_NOTHING_HELD_OUT = "no extractor, or no crops that the models were not trained on"
_NO_CLASSIFIER = "no split of real crops with labels to train a classifier on"


class Neighbours(NamedTuple):
    """The index of a generated cell, and its nearest training and held-out crop."""

    cell: int
    training: ImageSet
    held_out: ImageSet


def compare(
    cells: GeneratedCells,
    references: ReferenceSets,
    classifier: TrainedClassifier | None,
    extractors: list[Extractor],
    info: ModelInfo,
    settings: EvaluationSettings,
) -> tuple[dict[str, Any], list[Neighbours]]:
    """Compares generated cells with held-out crops, and both with training crops.

    If the training split is evaluated nothing is held out, and memorisation cannot be
    measured.

    Returns:
        Sections of ``metrics.json``, and the cells nearest to training crops.
    """
    seed, n = settings.seed, references.compared
    sets = {_HELD_OUT: references.held_out, GENERATED: cells.images}
    if references.training is not None:
        sets[RECONSTRUCTIONS] = references.reconstructions
        sets[REAL] = references.training
    distances, memorised, nearest = _compare_features(
        sets, references, extractors, settings
    )
    generation = {
        "num_samples": len(cells.images),
        **interval_origin(seed),
        "settings": {**settings.sampling.to_json(), "keep_best": settings.keep_best},
        "labels": f"those of crops of the split {settings.split}, each label in turn",
        "distances": distances,
        "label_agreement": {"skipped": _NO_CLASSIFIER},
    }
    if classifier is not None:
        labelled = {k: x for k, x in sets.items() if k != _HELD_OUT}
        labelled[REAL] = references.held_out
        generation["label_agreement"] = label_agreement(classifier, labelled, seed=seed)
    if unmeasured := biology.missing_channels(info):
        measured = {"skipped": unmeasured}
    else:
        cells_of = {
            name: biology.measure_cells(images.take(range(n)), info, name)
            for name, images in sets.items()
        }
        measured = biology.biology_section(cells_of, info, seed=seed)
    sections = {
        "generation": generation,
        "memorisation": memorised or {"skipped": _NOTHING_HELD_OUT},
        "biology": measured,
    }
    return sections, nearest


def _compare_features(
    sets: Mapping[str, ImageSet],
    references: ReferenceSets,
    extractors: list[Extractor],
    settings: EvaluationSettings,
) -> tuple[dict[str, Any], dict[str, Any], list[Neighbours]]:
    """Returns distances and memorisation by extractor, and the nearest crops."""
    seed, n = settings.seed, references.compared
    distances, memorised, nearest = {}, {}, []
    for extractor in extractors:
        rows = {k: extract_features(extractor, images, k) for k, images in sets.items()}
        others = {k: some[:n] for k, some in rows.items() if k != _HELD_OUT}
        distances[extractor.name] = distances_section(
            extractor, rows[_HELD_OUT][:n], others, seed=seed
        )
        if REAL in sets and settings.split != TRAINED_ON:
            images = references.held_out
            memorised[extractor.name], found = memorisation_section(
                rows[GENERATED],
                rows[REAL],
                rows[_HELD_OUT],
                np.array(read_groups(images.split))[images.numbers],
                seed=seed,
            )
            if not nearest:
                order = np.argsort(found.overall, kind="stable")
                nearest = [
                    Neighbours(
                        int(cell),
                        references.training.take([found.training[cell]]),
                        images.take([found.held_out[cell]]),
                    )
                    for cell in order[:_NEIGHBOURS_SHOWN]
                ]
    return distances, memorised, nearest


def distances_section(
    extractor: Extractor,
    held_out: np.ndarray,
    others: Mapping[str, np.ndarray],
    *,
    seed: int,
) -> dict[str, Any]:
    """Returns the distances of sets of features from those of held-out crops, [n, F].

    These are the Fréchet distance, the kernel distance, precision, recall, density and
    coverage; for too few rows they are None.
    """
    return {
        "extractor": extractor.name,
        "frechet_name": frechet_name(extractor.name),
        "n": len(held_out),
        "features": extractor.size,
        "neighbours": neighbours.NEIGHBOURS,
        "resamples": {
            "frechet": feature_distances.FRECHET_RESAMPLES,
            "kernel": feature_distances.KERNEL_RESAMPLES,
        },
        "sets": {k: _distances(held_out, rows, seed) for k, rows in others.items()},
    }


def _distances(held_out: np.ndarray, rows: np.ndarray, seed: int) -> dict[str, Any]:
    few = min(len(held_out), len(rows))
    if few < 2:
        return dict.fromkeys(("frechet", "kernel", *_NEIGHBOUR_METRICS))
    frechet = feature_distances.frechet_distance(
        feature_distances.moments(held_out), feature_distances.moments(rows)
    )
    frechets = feature_distances.resampled_frechet(held_out, rows, seed=seed)
    kernel = feature_distances.kernel_distance(held_out, rows)
    kernels = feature_distances.resampled_kernel(held_out, rows, seed=seed)
    found = {
        "frechet": distance_metric(frechet, frechets, least=0),
        "kernel": distance_metric(kernel, kernels),
    }
    if few <= neighbours.NEIGHBOURS:
        return found | dict.fromkeys(_NEIGHBOUR_METRICS)
    values = neighbours.neighbour_rows(held_out, rows)
    return found | {
        name: metric(getattr(values, name), seed) for name in _NEIGHBOUR_METRICS
    }


def halves(groups: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divides crops into two parts that share no group, half of the groups in each.

    The indices of the second part are empty if there is only one group.
    """
    from sklearn.model_selection import GroupShuffleSplit

    if len(np.unique(groups)) == 1:
        return np.arange(len(groups)), np.arange(0)
    shuffle = GroupShuffleSplit(n_splits=1, test_size=0.5, random_state=seed)
    return next(shuffle.split(groups, groups=groups))


def memorisation_section(
    generated: np.ndarray,
    training: np.ndarray,
    held_out: np.ndarray,
    groups: np.ndarray,
    *,
    seed: int,
) -> tuple[dict[str, Any], Nearness]:
    """Compares how near generated cells and unseen real crops are to training crops.

    One half of the held-out crops is compared with the training crops. The other half,
    from other groups, shows the result for real crops that were not trained on. All
    arguments are features of cells, [M, F], [T, F] and [N, F], and groups, [N].
    """
    reference, unseen = halves(groups, seed)
    found = nearness(generated, training, held_out[reference], seed=seed)
    found = found._replace(held_out=reference[found.held_out])
    section = {
        **interval_origin(seed),
        "n": len(generated),
        "n_training": len(training),
        "n_held_out": len(reference),
        "n_unseen": len(unseen),
        "ratio": {"generated": metric(found.ratio, seed), "real": None},
        "suspiciously_near": None,
        "expected_suspiciously_near": SUSPICIOUS,
        "quantiles": {
            "shares": _SHARES.tolist(),
            "generated": np.quantile(found.ratio, _SHARES).tolist(),
            "real": None,
        },
    }
    if len(unseen):
        real = nearness(held_out[unseen], training, held_out[reference], seed=seed)
        near = found.overall < np.quantile(real.overall, SUSPICIOUS)
        section["ratio"]["real"] = metric(real.ratio, seed)
        section["quantiles"]["real"] = np.quantile(real.ratio, _SHARES).tolist()
        section["suspiciously_near"] = metric(near.astype(np.float64), seed)
    return section, found
