"""From measured rows to the objects of ``metrics.json``.

A figure that is a mean over crops, or made of such means, is an object of ``value`` and
``interval`` (95 %, bootstrap over crops); n and seed stand in the object around it.
What is not a finite number (the power kept of a channel that is black) is null.
"""

# Shapes: N crops, M generated cells, C channels; L labels.

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfvqgen.evaluation.generated_cells import GeneratedCells, kind_names, kinds
from tfvqgen.evaluation.metrics.intervals import (
    CONFIDENCE,
    RESAMPLES,
    bootstrap_interval,
)
from tfvqgen.evaluation.metrics.pixels import psnr
from tfvqgen.evaluation.metrics.spectrum import BANDS, radial_profile
from tfvqgen.evaluation.real_crops import LEVELS, CropFigures, Likelihoods
from tfvqgen.generation.about import About
from tfvqgen.losses import to_bits
from tfvqgen.training import health

_Statistic = Callable[[np.ndarray], np.ndarray]


def reconstruction_section(
    crops: CropFigures, about: About, *, split: str, seed: int
) -> dict[str, Any]:
    """Returns how near reconstructions are to originals, over all and by channel."""
    channels = about.channels

    def all_and_each(rows: np.ndarray, statistic: _Statistic) -> dict[str, Any]:
        over_all = rows.mean(axis=1)
        return {
            **_figure(over_all, seed, statistic),
            "channels": _figures(rows, channels, seed, statistic),
        }

    kept = {
        f"power_kept_{band}": {
            "channels": _figures(crops.band_power[:, :, index], channels, seed, _kept)
        }
        for index, band in enumerate(BANDS)
    }
    return {
        **_origin(split, len(crops.squared_error), seed),
        "mse": all_and_each(crops.squared_error, np.asarray),
        "psnr": all_and_each(crops.squared_error, psnr),
        "ssim": all_and_each(crops.similarity, np.asarray),
        **kept,
        "power_spectrum": _spectrum(crops.mean_power, channels),
    }


def codes_section(
    crops: CropFigures, about: About, *, split: str, seed: int
) -> dict[str, Any]:
    """Returns how the codes are used, and what each level carries alone."""
    mean_image_mse = np.mean(crops.square.mean(axis=0)) - np.mean(crops.mean_image**2)
    return {
        **_origin(split, len(crops.squared_error), seed),
        "num_embeddings": about.num_embeddings,
        **{level: _use(crops.code_counts[level]) for level in LEVELS},
        "top_only_mse": _figure(crops.top_only_error.mean(axis=1), seed),
        "bottom_only_mse": _figure(crops.bottom_only_error.mean(axis=1), seed),
        "mean_image_mse": {"value": float(mean_image_mse)},
    }


def priors_section(
    splits: Mapping[str, Likelihoods], about: About, *, seed: int
) -> dict[str, Any]:
    """Returns what codes cost under the priors, by split.

    Args:
        splits: By split, the one that was trained on among them.
        about: Of the models.
        seed: Of the choice of training crops, and of the bootstrap.
    """
    return {
        split: {
            **_origin(split, len(likelihoods.nats["top"]), seed),
            **{level: _costs(likelihoods, level, seed) for level in LEVELS},
            "bits_per_pixel": _figure(_bits_per_pixel(likelihoods, about), seed),
        }
        for split, likelihoods in splits.items()
    }


def generation_section(
    cells: GeneratedCells,
    crops: CropFigures,
    crop_labels: np.ndarray,
    about: About,
    *,
    split: str,
    seed: int,
) -> dict[str, Any]:
    """Returns how cells were drawn, and simple statistics beside those of real ones.

    Args:
        cells: What was drawn.
        crops: Real crops.
        crop_labels: Theirs, [N, L].
        about: Of the models.
        split: The real crops' split.
        seed: Of the first cell, the order of labels and the bootstrap.
    """

    def by_kind(intensity: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
        members = zip(kind_names(about.labels), kinds(labels).T, strict=True)
        rows = {name: intensity[member] for name, member in members}
        return {
            name: {
                "n": len(some),
                "channels": _figures(some, about.channels, seed),
            }
            for name, some in rows.items()
            if len(some)
        }

    return {
        "num_samples": len(cells.labels),
        **_interval_origin(seed),
        "settings": {"temperature": 1.0, "top_p": 1.0, "guidance": 0.0},
        "labels": f"those of crops of the split {split}, every label in its turn",
        "mean_intensity": {
            "real": by_kind(crops.intensity, crop_labels),
            "generated": by_kind(cells.intensity, cells.labels),
        },
    }


def _origin(split: str, number: int, seed: int) -> dict[str, Any]:
    return {"split": split, "n": number, **_interval_origin(seed)}


def _interval_origin(seed: int) -> dict[str, Any]:
    return {"seed": seed, "confidence": CONFIDENCE, "resamples": RESAMPLES}


def _figure(
    rows: np.ndarray, seed: int, statistic: _Statistic = np.asarray
) -> dict[str, Any]:
    """Returns a figure of rows [N] with its interval."""
    return _figures(rows[:, None], [""], seed, statistic)[""]


def _figures(
    rows: np.ndarray,
    names: Sequence[str],
    seed: int,
    statistic: _Statistic = np.asarray,
) -> dict[str, Any]:
    """Returns named figures of rows [N, ..., names] with their intervals."""
    values = statistic(rows.mean(axis=0, dtype=np.float64))
    interval = bootstrap_interval(rows, statistic, seed=seed)
    return {
        name: {
            "value": _finite(values[index]),
            "interval": [_finite(end) for end in interval[:, index]],
        }
        for index, name in enumerate(names)
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _kept(powers: np.ndarray) -> np.ndarray:
    """Returns the power of reconstructions over that of originals, [2, C] -> [C]."""
    original, reconstruction = powers
    with np.errstate(divide="ignore", invalid="ignore"):
        return reconstruction / original


def _spectrum(mean_power: np.ndarray, channels: Sequence[str]) -> dict[str, Any]:
    frequencies, original = radial_profile(mean_power[0])
    _, reconstruction = radial_profile(mean_power[1])
    return {
        "cycles_per_pixel": frequencies.tolist(),
        "channels": {
            name: {
                "original": original[:, index].tolist(),
                "reconstruction": reconstruction[:, index].tolist(),
            }
            for index, name in enumerate(channels)
        },
    }


def _use(counts: np.ndarray) -> dict[str, float]:
    perplexity = health.codebook_perplexity(counts)
    return {
        "usage": health.usage(counts),
        "codebook_perplexity": perplexity,
        "entropy_bits": to_bits(math.log(perplexity)),
    }


def _costs(likelihoods: Likelihoods, level: str, seed: int) -> dict[str, Any]:
    nats = likelihoods.nats[level]
    unigram = likelihoods.unigram_nats[level]
    both = np.stack([nats, unigram], axis=1)[..., None]
    return {
        "nats_per_code": _figure(nats, seed),
        "bits_per_code": _figure(to_bits(nats), seed),
        "unigram_bits_per_code": _figure(to_bits(unigram), seed),
        "saved_over_unigram": _figures(
            both, [""], seed, lambda means: 1 - means[0] / means[1]
        )[""],
    }


def _bits_per_pixel(likelihoods: Likelihoods, about: About) -> np.ndarray:
    """Returns what both code maps of each crop cost, over its pixels, [N]."""
    shapes = {"top": about.top_shape, "bottom": about.bottom_shape}
    bits = sum(
        to_bits(likelihoods.nats[level]) * math.prod(shapes[level]) for level in LEVELS
    )
    return bits / math.prod(about.image_shape[:2])
