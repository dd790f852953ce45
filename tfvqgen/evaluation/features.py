"""Features of whole sets of images."""

# Shapes: N images, F features.

import numpy as np

from tfvqgen.errors import DataError
from tfvqgen.evaluation.extractors.extractor import Extractor
from tfvqgen.evaluation.image_sets import ImageSet


def find_features(extractor: Extractor, images: ImageSet, what: str) -> np.ndarray:
    """Returns the features of images in order, float32 [N, F].

    Images are seen a batch at a time and let go.

    Args:
        extractor: Finds them.
        images: Where they are found.
        what: The images, for the progress bar.

    Raises:
        DataError: The extractor returns something else than so many finite numbers.
    """
    found = np.empty((len(images), extractor.size), np.float32)
    start = 0
    for batch in images.batches(f"{extractor.name} features of {what}"):
        features = extractor.features(batch)
        fits = features.shape == (len(batch), extractor.size)
        if not fits or not np.isfinite(features).all():
            raise DataError(
                f"the extractor {extractor.name} fails: expected finite features "
                f"[{len(batch)}, {extractor.size}]. Received: shape "
                f"{list(features.shape)}{'' if not fits else ' with NaN or infinity'}"
            )
        found[start : start + len(batch)] = features
        start += len(batch)
    return found
