"""A source of cells that costs nothing."""

from types import SimpleNamespace

import numpy as np

from tests import support
from tests.generators import make_generator


class CountingSource:
    """Returns noise that depends on the request, and may be interrupted.

    Attributes:
        generated: The number of cells generated so far.
    """

    def __init__(self, stop_after: int | None = None):
        self.model_info = make_generator().model_info
        self.generated = 0
        self._stop_after = stop_after

    def generate(self, labels, seeds, *parameters):
        """Raises KeyboardInterrupt after `stop_after` cells."""
        if self._stop_after is not None and self.generated >= self._stop_after:
            raise KeyboardInterrupt
        self.generated += len(labels)
        keys = np.stack([seeds, *(1000 * x for x in parameters)], axis=1).astype(int)
        images = [support.random_image((16, 16, 3), seed=list(key)) for key in keys]
        return SimpleNamespace(image=np.stack(images))
