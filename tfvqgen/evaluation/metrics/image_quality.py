"""Metrics of reconstructions: errors, structural similarity and power spectra."""

# Shapes: B images of H x W pixels and C channels, values in [0, 1].

import numpy as np

# The window of Wang et al. 2004: a Gaussian of 1.5 pixels that reaches over 5 pixels.
_SIGMA = 1.5
_REACH = 5
# Rings of spatial frequency: radii above the first and up to the second number, in
# units of the sampling frequency. Nyquist is 1/2; the last ring includes the corners.
BANDS = {"quarter_to_half_nyquist": (1 / 8, 1 / 4), "above_half_nyquist": (1 / 4, 1)}


def squared_errors(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns the mean squared difference of each channel, float64 [B, C]."""
    differences = np.subtract(images, others, dtype=np.float64)
    return np.square(differences).mean(axis=(1, 2))


def psnr(mse: np.ndarray | float) -> np.ndarray:
    """Returns the peak signal-to-noise ratio in dB for a peak of 1; infinite for 0."""
    with np.errstate(divide="ignore"):
        return -10 * np.log10(mse)


def structural_similarity(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns the SSIM of each channel (Wang et al. 2004), float64 [B, C].

    Images have at least 11 x 11 pixels.
    """
    from skimage import metrics

    found = []
    pairs = zip(images.astype(np.float64), others.astype(np.float64), strict=True)
    for image, other in pairs:
        _, maps = metrics.structural_similarity(
            image,
            other,
            channel_axis=-1,
            data_range=1.0,
            gaussian_weights=True,
            sigma=_SIGMA,
            use_sample_covariance=False,
            full=True,
        )
        # Windows that reach beyond the image do not count.
        found.append(maps[_REACH:-_REACH, _REACH:-_REACH].mean(axis=(0, 1)))
    return np.array(found)


def power(images: np.ndarray) -> np.ndarray:
    """Returns |FFT|^2 of each channel without a window, float64 [B, H, W, C]."""
    found = np.fft.fft2(images, axes=(1, 2)).astype(np.complex128)
    return np.square(found.real) + np.square(found.imag)


def band_power(powers: np.ndarray) -> np.ndarray:
    """Returns the sum of the power [B, H, W, C] in each of the BANDS, [B, 2, C].

    The power kept in a band is this sum over all reconstructions divided by the sum
    over all originals.
    """
    height, width = powers.shape[1:3]
    # Integers, so that a radius on the border of a band is always on the same side:
    # the squares of the radius times height and width.
    rows = np.round(np.fft.fftfreq(height, 1 / height)).astype(np.int64) * width
    columns = np.round(np.fft.fftfreq(width, 1 / width)).astype(np.int64) * height
    radius, whole = rows[:, None] ** 2 + columns**2, (height * width) ** 2
    masks = [
        (radius > low**2 * whole) & (radius <= high**2 * whole)
        for low, high in BANDS.values()
    ]
    return np.stack([powers[:, mask].sum(axis=1) for mask in masks], axis=1)
