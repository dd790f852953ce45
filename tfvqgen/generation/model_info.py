"""The description of a model: everything to know about it besides its weights."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Self

from tfvqgen.data.dataset_info import check_channels, display_indices
from tfvqgen.data.images import DTYPES
from tfvqgen.errors import DataError
from tfvqgen.validation import key, read

FORMAT = 1
MAX_ROWS = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """Describes a model; the same in a workdir, an export and a running server."""

    preset: str  # The preset of the configuration.
    labels: tuple[str, ...]  # The vocabulary in order.
    channels: tuple[str, ...]  # The channels of the images in order.
    display: Mapping[str, str | None]  # Channels shown red, green, blue; None is black.
    dtype: str = key(choices=DTYPES)  # Type of the images, uint8 or uint16.
    image_shape: tuple[int, int, int] = key(low=1)  # (H, W, C).
    top_shape: tuple[int, int] = key(low=1)  # (h, w), shape of the top code map.
    bottom_shape: tuple[int, int] = key(low=1)  # (2h, 2w), of the bottom code map.
    num_embeddings: int = key(low=1)  # Number of codes in each codebook (K).
    pixel_size: float | None = key(above=0)  # Micrometers per pixel; None if unknown.
    credit: str  # Licence and source of the data.
    max_rows: int = key(MAX_ROWS, low=1)  # The largest number of cells in one request.
    steps: Mapping[str, int]  # Training steps by stage.
    fingerprints: Mapping[str, str]  # Hex sha256 of the data and each model's weights.

    def __post_init__(self):
        check_channels(self)

    @property
    def id(self) -> str:
        """A short name for exactly these weights, 12 hexadecimal digits."""
        text = json.dumps(dict(self.fingerprints), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def display_channels(self) -> tuple[int | None, ...]:
        """The indices of the channels shown red, green and blue."""
        return display_indices(self.display, self.channels)

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as plain data, with ``format`` and ``id``."""
        return {"format": FORMAT, "id": self.id, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, value: Any, where: object = "the model description") -> Self:
        """Reads the values that :meth:`to_json` returned; `where` is for messages.

        Raises:
            DataError: A value is wrong, or the format is newer.
        """
        if isinstance(value, dict) and value.get("format", FORMAT) != FORMAT:
            raise DataError(
                f"a model of another format: expected {FORMAT}. "
                f"Received: {value['format']} in {where}"
            )
        return read(cls, value, where)
