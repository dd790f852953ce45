"""What every extractor of features has."""

# Shapes: B images of H x W pixels and C channels; F features.

from typing import Protocol

import numpy as np

INCEPTION = "inception"


class Extractor(Protocol):
    """Finds features of images.

    Attributes:
        name: What it is called in reports.
        size: How many features it finds (F).
    """

    name: str
    size: int

    def features(self, images: np.ndarray) -> np.ndarray:
        """Returns the features of images, float32 [B, F].

        What it returns for an image depends on that image alone.

        Args:
            images: uint8 or uint16 [B, H, W, C].
        """
        ...


def frechet_name(extractor_name: str) -> str:
    """Returns what a Fréchet distance between features is called.

    Only what the user gave as the Inception network is FID; all others are compared
    with nothing but themselves.
    """
    return "FID" if extractor_name == INCEPTION else f"FD-{extractor_name}"
