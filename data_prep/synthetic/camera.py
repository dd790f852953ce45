"""From light to pixels: gains, haze, vignetting, shot noise and 8 bits."""

import numpy as np

from data_prep.synthetic import noise
from data_prep.synthetic.wells import Well

_HAZE_UNITS = 22.0  # width of the light that is out of focus
_READ_NOISE = 0.006


def expose(
    light: list[np.ndarray],
    well: Well,
    scale: float,
    rng: np.random.Generator,
    vignetting: float = 0.0,
) -> np.ndarray:
    """Takes the picture.

    Args:
        light: Per channel, [H, W], around 1 where bright.
        well: Its gains, haze, background and photons.
        scale: Pixels a unit.
        rng: Random generator.
        vignetting: How much darker the corners are than the middle, in [0, 1).

    Returns:
        uint8 [H, W, C].
    """
    height, width = light[0].shape
    spread = _haze_matrix(height, scale), _haze_matrix(width, scale)
    shade = _shade(height, width, vignetting)
    image = np.empty((height, width, len(light)), np.uint8)
    for channel, signal in enumerate(light):
        signal = signal * np.float32(well.gains[channel])
        signal += np.float32(well.haze[channel]) * _haze(signal, *spread)
        if vignetting:
            signal *= shade
        signal += np.float32(well.background[channel])
        np.maximum(signal, 0, out=signal)
        variance = signal * np.float32(1 / well.photons[channel])
        variance += np.float32(_READ_NOISE**2)
        grain = noise.white_noise(rng, signal.shape)
        signal += np.sqrt(variance, out=variance) * grain
        signal *= np.float32(255)
        signal += np.float32(0.5)
        image[..., channel] = np.clip(signal, 0, 255, out=signal)
    return image


def _haze_matrix(size: int, scale: float) -> np.ndarray:
    """Returns [size, knots]: smooth weights of coarse knots, whose rows sum to 1."""
    sigma = _HAZE_UNITS * scale
    knots = np.arange(0, size + sigma, sigma)
    distance = (np.arange(size)[:, None] - knots[None, :]) / sigma
    weights = np.exp(-0.5 * distance**2)
    weights[weights < 1e-6] = 0  # denormal numbers are slow to multiply
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _haze(signal: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Smooths far by averaging onto coarse knots and spreading out from them."""
    coarse = (rows / rows.sum(0)).T @ signal @ (columns / columns.sum(0))
    return rows @ coarse @ columns.T


def _shade(height: int, width: int, strength: float) -> np.ndarray:
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return 1 - np.float32(strength / 2) * (y * y + x * x)
