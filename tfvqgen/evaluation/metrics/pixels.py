"""How near reconstructions are to their originals, pixel by pixel."""

# Shapes: B images of H x W pixels and C channels, values in [0, 1].

import numpy as np

from tfvqgen.errors import UserError, require_package

# The window of Wang et al. 2004: a Gaussian of 1.5 pixels, cut off at 11 x 11.
_SIGMA = 1.5
_WINDOW = 11


def squared_errors(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns the mean squared difference of each channel, float64 [B, C].

    Args:
        images: [B, H, W, C].
        others: The same.
    """
    differences = np.subtract(images, others, dtype=np.float64)
    return np.square(differences).mean(axis=(1, 2))


def psnr(mse: np.ndarray | float) -> np.ndarray:
    """Returns the peak signal-to-noise ratio of a peak of 1, dB; infinite for 0."""
    with np.errstate(divide="ignore"):
        return -10 * np.log10(mse)


def structural_similarity(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns the SSIM of each channel (Wang et al. 2004), float64 [B, C].

    Gaussian window of 1.5 pixels, 11 x 11; 1 means equal.

    Args:
        images: [B, H, W, C] of at least 11 x 11 pixels.
        others: The same.

    Raises:
        UserError: scikit-image is not installed, or the images are too small.
    """
    require_scikit_image()
    from skimage.metrics import structural_similarity as of_planes

    if min(images.shape[1:3]) < _WINDOW:
        raise UserError(
            f"images are too small for SSIM: expected at least {_WINDOW} x {_WINDOW} "
            f"pixels. Received: {images.shape[1]} x {images.shape[2]}"
        )
    return np.array(
        [
            [
                of_planes(
                    image[..., channel].astype(np.float64),
                    other[..., channel].astype(np.float64),
                    data_range=1.0,
                    gaussian_weights=True,
                    sigma=_SIGMA,
                    use_sample_covariance=False,
                )
                for channel in range(images.shape[-1])
            ]
            for image, other in zip(images, others, strict=True)
        ]
    )


def require_scikit_image() -> None:
    """Raises UserError with the extra to install if scikit-image is missing."""
    require_package("skimage", "evaluate")
