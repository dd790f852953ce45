"""What `benchmarks.reconstruction` measures of any autoencoder, by numpy alone."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfvqgen.evaluation.metrics.spectrum import band_power, power
from tfvqgen.training.stages import health

BATCH_SIZE = 16
LEVELS = ("top", "bottom")


def measure(
    reconstruct: Callable[[np.ndarray], Any],
    codes: Callable[[np.ndarray], Sequence[Any]],
    images: np.ndarray,
    num_embeddings: int,
) -> dict[str, Any]:
    """Measures an autoencoder on images that it was not trained on.

    Args:
        reconstruct: From float32 images [B, H, W, C] in [0, 1] to images like them.
        codes: From the same to the codes of top and bottom, int [B, h, w] each.
        images: uint8 [N, H, W, C], square.
        num_embeddings: The size of each codebook.

    Returns:
        ``mse`` over all pixels and channels and its ``psnr`` in dB (of a peak of 1);
        codebook perplexity and usage (share of codes) of both levels over all images;
        and per channel the share of the power that is kept in two bands of spatial
        frequency, a quarter to half of Nyquist and above half.
    """
    squared, powers = 0.0, 0.0
    counts = {level: np.zeros(num_embeddings) for level in LEVELS}
    for start in range(0, len(images), BATCH_SIZE):
        batch = to_unit(images[start : start + BATCH_SIZE])
        output = np.clip(np.asarray(reconstruct(batch)), 0, 1)
        squared += np.square(output - batch, dtype=np.float64).sum()
        powers += np.stack([_band_power(output), _band_power(batch)])
        for level, found in zip(LEVELS, codes(batch), strict=True):
            flat = np.asarray(found).ravel()
            counts[level] += np.bincount(flat, minlength=num_embeddings)
    mse = squared / images.size
    kept = powers[0] / powers[1]
    measures = {"psnr": round(-10 * float(np.log10(mse)), 3), "mse": mse}
    measures |= code_figures(counts)
    measures["power_kept_quarter_to_half_nyquist"] = kept[0].round(4).tolist()
    measures["power_kept_above_half_nyquist"] = kept[1].round(4).tolist()
    return measures


def code_figures(counts: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Returns codebook perplexity and usage of both levels, by name.

    Args:
        counts: By level, how often each code is used, [K].
    """
    figures = {}
    for level in LEVELS:
        perplexity = health.codebook_perplexity(counts[level])
        figures[f"{level}_codebook_perplexity"] = round(perplexity, 1)
        figures[f"{level}_usage"] = round(health.usage(counts[level]), 3)
    return figures


def to_unit(images: np.ndarray) -> np.ndarray:
    """Scales uint8 images to float32 in [0, 1]."""
    return images.astype(np.float32) / 255


def _band_power(images: np.ndarray) -> np.ndarray:
    """Sums the spectral power of images [B, N, N, C] in two bands: [2, C]."""
    return band_power(power(images)).sum(axis=0)
