"""What every extractor of features has."""

# Shapes: B images of H x W pixels and C channels; F features.

from typing import Protocol

import numpy as np


class Extractor(Protocol):
    """Finds features of images.

    Attributes:
        name: What it is called in reports; distances in its features are
            ``FD-<name>``.
        size: The side of the images that it looks at, pixels; others are resized.
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
