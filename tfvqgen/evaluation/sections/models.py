"""What the models make of real crops: ``reconstruction``, ``codes``, ``priors``."""

# Shapes: N crops, C channels.

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfvqgen.evaluation.metrics.pixels import psnr
from tfvqgen.evaluation.metrics.spectrum import BANDS, radial_profile
from tfvqgen.evaluation.real_crops import CropFigures, Likelihoods
from tfvqgen.evaluation.sections.figures import Statistic, figure, figures, origin
from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.losses import to_bits
from tfvqgen.models import LEVELS
from tfvqgen.training.stages import vqvae


def reconstruction_section(
    crops: CropFigures, about: ModelInfo, *, split: str, seed: int
) -> dict[str, Any]:
    """Returns how near reconstructions are to originals, over all and by channel."""
    channels = about.channels

    def all_and_each(rows: np.ndarray, statistic: Statistic) -> dict[str, Any]:
        over_all = rows.mean(axis=1)
        return {
            **figure(over_all, seed, statistic),
            "channels": figures(rows, channels, seed, statistic),
        }

    kept = {
        f"power_kept_{band}": {
            "channels": figures(crops.band_power[:, :, index], channels, seed, _kept)
        }
        for index, band in enumerate(BANDS)
    }
    return {
        **origin(split, len(crops.squared_error), seed),
        "mse": all_and_each(crops.squared_error, np.asarray),
        "psnr": all_and_each(crops.squared_error, psnr),
        "ssim": all_and_each(crops.similarity, np.asarray),
        **kept,
        "power_spectrum": _spectrum(crops.mean_power, channels),
    }


def codes_section(
    crops: CropFigures, about: ModelInfo, *, split: str, seed: int
) -> dict[str, Any]:
    """Returns how the codes are used, and what each level carries alone."""
    mean_image_mse = np.mean(crops.square.mean(axis=0)) - np.mean(crops.mean_image**2)
    return {
        **origin(split, len(crops.squared_error), seed),
        "num_embeddings": about.num_embeddings,
        **{level: _use(crops.code_counts[level]) for level in LEVELS},
        "top_only_mse": figure(crops.top_only_error.mean(axis=1), seed),
        "bottom_only_mse": figure(crops.bottom_only_error.mean(axis=1), seed),
        "mean_image_mse": {"value": float(mean_image_mse)},
    }


def priors_section(
    splits: Mapping[str, Likelihoods], about: ModelInfo, *, seed: int
) -> dict[str, Any]:
    """Returns what codes cost under the priors, by split.

    Args:
        splits: By split, the one that was trained on among them.
        about: Of the models.
        seed: Of the choice of training crops, and of the bootstrap.
    """
    return {
        split: {
            **origin(split, len(likelihoods.nats["top"]), seed),
            **{level: _costs(likelihoods, level, seed) for level in LEVELS},
            "bits_per_pixel": figure(_bits_per_pixel(likelihoods, about), seed),
        }
        for split, likelihoods in splits.items()
    }


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
    perplexity = vqvae.codebook_perplexity(counts)
    return {
        "usage": vqvae.usage(counts),
        "codebook_perplexity": perplexity,
        "entropy_bits": to_bits(math.log(perplexity)),
    }


def _costs(likelihoods: Likelihoods, level: str, seed: int) -> dict[str, Any]:
    nats = likelihoods.nats[level]
    unigram = likelihoods.unigram_nats[level]
    both = np.stack([nats, unigram], axis=1)[..., None]
    return {
        "nats_per_code": figure(nats, seed),
        "bits_per_code": figure(to_bits(nats), seed),
        "unigram_bits_per_code": figure(to_bits(unigram), seed),
        "saved_over_unigram": figures(
            both, [""], seed, lambda means: 1 - means[0] / means[1]
        )[""],
    }


def _bits_per_pixel(likelihoods: Likelihoods, about: ModelInfo) -> np.ndarray:
    """Returns what both code maps of each crop cost, over its pixels, [N]."""
    shapes = {"top": about.top_shape, "bottom": about.bottom_shape}
    bits = sum(
        to_bits(likelihoods.nats[level]) * math.prod(shapes[level]) for level in LEVELS
    )
    return bits / math.prod(about.image_shape[:2])
