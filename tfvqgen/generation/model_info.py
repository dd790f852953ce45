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
    """Describes a model; the same in a workdir, an export and a running server.

    Attributes:
        preset: The preset of the configuration.
        labels: The vocabulary in order.
        channels: The channels of the images in order.
        display: The channel that is shown red, green and blue; None is black.
        dtype: Type of the images, ``uint8`` or ``uint16``.
        image_shape: (H, W, C).
        top_shape: (h, w), shape of the top code map.
        bottom_shape: (2h, 2w), shape of the bottom code map.
        num_embeddings: Number of codes in each codebook (K).
        pixel_size: Micrometers per pixel, or None if unknown.
        credit: Licence and source of the data.
        max_rows: The largest number of cells in one request.
        steps: Training steps by stage.
        fingerprints: Hex sha256 of the data and of the weights of each model.
    """

    preset: str
    labels: tuple[str, ...]
    channels: tuple[str, ...]
    display: Mapping[str, str | None]
    dtype: str = key(choices=DTYPES)
    image_shape: tuple[int, int, int] = key(low=1)
    top_shape: tuple[int, int] = key(low=1)
    bottom_shape: tuple[int, int] = key(low=1)
    num_embeddings: int = key(low=1)
    pixel_size: float | None = key(above=0)
    credit: str
    max_rows: int = key(MAX_ROWS, low=1)
    steps: Mapping[str, int]
    fingerprints: Mapping[str, str]

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
        """Reads the values that :meth:`to_json` returned.

        Args:
            value: The values.
            where: The file, for messages.

        Raises:
            DataError: A value is wrong, or the format is newer.
        """
        if isinstance(value, dict) and value.get("format", FORMAT) != FORMAT:
            raise DataError(
                f"a model of another format: expected {FORMAT}. "
                f"Received: {value['format']} in {where}"
            )
        return read(cls, value, where)
