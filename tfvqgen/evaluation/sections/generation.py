"""How cells were drawn, and how near they come to real ones: ``generation``."""

# Shapes: N held-out crops, M generated cells, n compared; C channels; F features.

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfvqgen.evaluation.extractors.extractor import Extractor, frechet_name
from tfvqgen.evaluation.generated_cells import GeneratedCells, kind_names, kinds
from tfvqgen.evaluation.metrics import frechet, kernel_distance
from tfvqgen.evaluation.metrics.neighbours import NEIGHBOURS, neighbour_rows
from tfvqgen.evaluation.sections.figures import (
    figure,
    figures,
    finite,
    interval_origin,
    spread_figure,
)
from tfvqgen.evaluation.settings import Settings
from tfvqgen.generation.model_info import ModelInfo

# What is compared with held-out crops, as it is called in figures.
GENERATED, RECONSTRUCTIONS, REAL = "generated", "reconstructions", "real"


def drawing_section(cells: GeneratedCells, settings: Settings) -> dict[str, Any]:
    """Returns how cells were drawn."""
    return {
        "num_samples": len(cells),
        **interval_origin(settings.seed),
        "settings": {**settings.drawing.to_json(), "keep_best": settings.keep_best},
        "labels": (
            f"those of crops of the split {settings.split}, every label in its turn"
        ),
    }


def intensity_section(
    real: np.ndarray,
    real_labels: np.ndarray,
    generated: np.ndarray,
    generated_labels: np.ndarray,
    about: ModelInfo,
    *,
    seed: int,
) -> dict[str, Any]:
    """Returns the mean of each channel, by label.

    Args:
        real: Means of real crops, [N, C].
        real_labels: Theirs, [N, L].
        generated: Means of generated cells, [M, C].
        generated_labels: Asked for, [M, L].
        about: Of the models.
        seed: Of the bootstrap.
    """

    def by_kind(means: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        members = zip(kind_names(about.labels), kinds(labels).T, strict=True)
        rows = {name: means[member] for name, member in members}
        return {
            name: {"n": len(some), "channels": figures(some, about.channels, seed)}
            for name, some in rows.items()
            if len(some)
        }

    return {
        "real": by_kind(real, real_labels),
        "generated": by_kind(generated, generated_labels),
    }


def distances_section(
    extractor: Extractor,
    held_out: np.ndarray,
    others: Mapping[str, np.ndarray],
    *,
    seed: int,
) -> dict[str, Any]:
    """Returns how far sets of images are from held-out crops, by what was found.

    Args:
        extractor: What found the features.
        held_out: Of real crops, [n, F].
        others: By what they are of, features [n, F].
        seed: Of the drawings.

    Returns:
        For each of the others the Fréchet distance, the kernel distance, and the
        neighbours' measures. The latter are None with too few rows for neighbours.
    """
    found = {name: _distances(held_out, rows, seed) for name, rows in others.items()}
    return {
        "extractor": extractor.name,
        "frechet_name": frechet_name(extractor.name),
        "n": len(held_out),
        "features": extractor.size,
        "neighbours": NEIGHBOURS,
        "resamples": {
            "frechet": frechet.RESAMPLES,
            "kernel": kernel_distance.RESAMPLES,
        },
        "kernel_subsets": {
            "number": kernel_distance.SUBSETS,
            "n": min(kernel_distance.SUBSET_SIZE, len(held_out)),
        },
        "sets": found,
    }


def _distances(held_out: np.ndarray, rows: np.ndarray, seed: int) -> dict[str, Any]:
    few = min(len(held_out), len(rows))
    if few < 2:
        return dict.fromkeys(
            ("frechet", "kernel", "precision", "recall", "density", "coverage")
        )
    distance = frechet.frechet_distance(
        frechet.moments(held_out), frechet.moments(rows)
    )
    spread = frechet.resampled_distances(held_out, rows, seed=seed)
    kernel = kernel_distance.kernel_distance(held_out, rows)
    kernel_spread = kernel_distance.resampled_distances(held_out, rows, seed=seed)
    subsets = kernel_distance.subset_distances(held_out, rows, seed=seed)
    # Where a subset is all there is, every other one is the same.
    vary = max(len(held_out), len(rows)) > kernel_distance.SUBSET_SIZE
    neighbours = neighbour_rows(held_out, rows)._asdict() if few > NEIGHBOURS else {}
    return {
        "frechet": spread_figure(distance, spread, least=0),
        "kernel": {
            **spread_figure(kernel, kernel_spread),
            "subsets": {
                "mean": finite(subsets.mean()),
                "deviation": finite(subsets.std(ddof=1)) if vary else None,
            },
        },
        **{
            name: figure(neighbours[name], seed) if neighbours else None
            for name in ("precision", "recall", "density", "coverage")
        },
    }
