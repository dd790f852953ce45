"""Where cells come from: what a workdir, a SavedModel and a server have in common."""

# Shapes: N cells of H x W pixels and C channels; L labels.

from typing import NamedTuple, Protocol

import numpy as np

from tfvqgen.generation.model_info import ModelInfo


class Cells(NamedTuple):
    """Generated cells, as arrays or tensors.

    Attributes:
        image: uint8 or uint16 [N, H, W, C].
        top_codes: int32 [N, h, w].
        bottom_codes: int32 [N, 2h, 2w].
    """

    image: np.ndarray
    top_codes: np.ndarray
    bottom_codes: np.ndarray


class Source(Protocol):
    """Where cells come from: a workdir, a SavedModel, a server."""

    model_info: ModelInfo

    def generate(self, labels, seeds, temperature, top_p, guidance) -> Cells:
        """Returns cells for arrays with one row each.

        Args:
            labels: Multi-hot, float32 [N, L]; a row of zeros is unconditional.
            seeds: int64 [N].
            temperature: Float32 [N], above 0.
            top_p: Float32 [N], above 0, at most 1 (off).
            guidance: Float32 [N], at least 0 (off).
        """
        ...
