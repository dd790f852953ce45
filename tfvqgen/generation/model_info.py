"""What anybody must know of a model besides its weights, as plain data."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from tfvqgen.data.dataset_info import display_indices
from tfvqgen.data.images import DTYPES
from tfvqgen.errors import DataError

FORMAT = 1
MAX_ROWS = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """Describes a model; the same in a workdir, an export and a running server.

    Attributes:
        preset: What its configuration started from.
        labels: The vocabulary in order.
        channels: The images' channels in order.
        display: Which channel is shown red, green and blue; None is black.
        dtype: Of the images, ``uint8`` or ``uint16``.
        image_shape: (H, W, C).
        top_shape: (h, w), of the top code map.
        bottom_shape: (2h, 2w), of the bottom code map.
        num_embeddings: Codes of each codebook (K).
        pixel_size: Micrometres a pixel, or None if unknown.
        credit: Licence and source line of the data.
        max_rows: The most cells of one request.
        steps: Training steps by stage.
        fingerprints: Hex sha256 of the data and of each model's weights.
    """

    preset: str
    labels: tuple[str, ...]
    channels: tuple[str, ...]
    display: Mapping[str, str | None]
    dtype: str
    image_shape: tuple[int, int, int]
    top_shape: tuple[int, int]
    bottom_shape: tuple[int, int]
    num_embeddings: int
    pixel_size: float | None
    credit: str
    max_rows: int = MAX_ROWS
    steps: Mapping[str, int]
    fingerprints: Mapping[str, str]

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
    def from_json(cls, value: Any) -> "ModelInfo":
        """Reads what :meth:`to_json` returned.

        Raises:
            DataError: It is something else, or of a newer format.
        """
        try:
            if value["format"] != FORMAT:
                raise DataError(
                    f"a model of another format: expected {FORMAT}. "
                    f"Received: {value['format']}"
                )
            fields = {field.name: value[field.name] for field in _FIELDS}
            about = cls(
                **{
                    name: tuple(x) if isinstance(x, list) else x
                    for name, x in fields.items()
                }
            )
            _check(about)
        except DataError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                "not the description of a model: expected what export.py writes. "
                f"Received: {type(error).__name__}: {error}"
            ) from None
        return about


_FIELDS = dataclasses.fields(ModelInfo)


def _check(about: ModelInfo) -> None:
    """Raises ValueError if a field does not hold what it should."""
    sizes = (*about.image_shape, *about.top_shape, *about.bottom_shape)
    texts = (about.preset, about.credit, *about.labels, *about.channels)
    counts = (*sizes, about.num_embeddings, about.max_rows)
    listed = (about.labels, about.channels, about.image_shape)
    fits = {
        "lists": all(isinstance(x, tuple) for x in listed),
        "texts": all(isinstance(text, str) for text in texts),
        "counts": all(type(count) is int and count > 0 for count in counts),
        "shapes": [
            len(about.image_shape),
            len(about.top_shape),
            len(about.bottom_shape),
        ]
        == [3, 2, 2],
        "channels": (len(about.channels),) == tuple(about.image_shape[-1:]),
        "display": len(about.display_channels) == 3,
        "dtype": about.dtype in DTYPES,
        "pixel_size": about.pixel_size is None or about.pixel_size > 0,
        "steps": all(type(step) is int for step in about.steps.values()),
        "fingerprints": all(isinstance(x, str) for x in about.fingerprints.values()),
    }
    wrong = [name for name, fit in fits.items() if not fit]
    if wrong:
        raise ValueError(f"wrong {', '.join(wrong)}")
