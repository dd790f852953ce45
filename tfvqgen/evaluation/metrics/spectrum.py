"""What of the fine structure is kept: power by spatial frequency."""

# Shapes: B images of H x W pixels and C channels; R rings of spatial frequency.

import numpy as np

# Rings of radius above the first, up to and with the second, as shares of the sampling
# frequency; Nyquist is 1/2. The last has the corners of the spectrum in it.
BANDS = {
    "quarter_to_half_nyquist": (1 / 8, 1 / 4),
    "above_half_nyquist": (1 / 4, 1),
}


def power(images: np.ndarray) -> np.ndarray:
    """Returns |FFT|^2 of each channel, float64 [B, H, W, C]; nothing is windowed.

    Args:
        images: [B, H, W, C].
    """
    transformed = np.fft.fft2(images, axes=(1, 2))
    return np.square(transformed.real, dtype=np.float64) + np.square(
        transformed.imag, dtype=np.float64
    )


def band_power(powers: np.ndarray) -> np.ndarray:
    """Sums power over each of the BANDS.

    The power kept in a band is this sum over all reconstructions divided by that over
    all originals.

    Args:
        powers: What :func:`power` returns, [B, H, W, C].

    Returns:
        Float64 [B, 2, C].
    """
    radius = _squared_radius(*powers.shape[1:3])
    # In whole numbers, so that a radius on a band's border is on one side of it.
    whole = (powers.shape[1] * powers.shape[2]) ** 2
    masks = [
        (radius > low**2 * whole) & (radius <= high**2 * whole)
        for low, high in BANDS.values()
    ]
    return np.stack([powers[:, mask].sum(axis=1) for mask in masks], axis=1)


def radial_profile(powers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Averages the power of an image over rings of spatial frequency.

    Args:
        powers: Of one image, or the mean of several, [H, W, C].

    Returns:
        The rings' frequencies in cycles a pixel, float64 [R], from the lowest above 0
        to Nyquist; and the mean power of a ring's frequencies, divided by the number of
        pixels, float64 [R, C].
    """
    height, width = powers.shape[:2]
    side = max(height, width)
    radius = np.sqrt(_squared_radius(height, width)) / (height * width)
    ring = np.round(radius * side).astype(int)
    rings = np.arange(1, side // 2 + 1)
    profile = [powers[ring == number].mean(axis=0) for number in rings]
    return rings / side, np.stack(profile) / (height * width)


def _squared_radius(height: int, width: int) -> np.ndarray:
    """Returns (height * width * radius of frequency)^2, whole numbers, [H, W]."""
    rows = np.round(np.fft.fftfreq(height, 1 / height)).astype(np.int64) * width
    columns = np.round(np.fft.fftfreq(width, 1 / width)).astype(np.int64) * height
    return rows[:, None] ** 2 + columns**2
