"""The contents of ``dataset.json``; reading it does not need TensorFlow."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfvqgen.data.images import DTYPES, MAX_CHANNELS
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import read_json, write_json
from tfvqgen.validation import key, read, require

FILE_NAME = "dataset.json"
FORMAT = "tfvqgen-images-1"
SPLITS = ("train", "validation", "test")
LABEL_POLICIES = ("multi_hot", "single_only", "primary", "duplicate")
COLOURS = ("red", "green", "blue")

# The names of channels that are shown in each colour.
_DISPLAY_NAMES = {
    "red": ("red", "microtubules"),
    "green": ("green", "protein"),
    "blue": ("blue", "nucleus", "nuclei", "dapi"),
}


@dataclasses.dataclass(frozen=True)
class Shard:
    """One TFRecord file.

    Attributes:
        path: The name of the file, in the folder of its description.
        bytes: The size of the file.
        num_examples: The number of records in it.
        sha256: The hash of the file in hexadecimal.
    """

    path: str = key(pattern=r"[\w .-]*\w")
    bytes: int = key(low=0)
    num_examples: int = key(low=0)
    sha256: str = key(pattern="[0-9a-f]{64}")


@dataclasses.dataclass(frozen=True)
class SplitInfo:
    """One split of ``dataset.json``.

    Attributes:
        num_examples: The number of records in all shards.
        label_counts: The number of examples that have each label.
        num_groups: The number of groups; no other split has any of them.
        shards: The files.
    """

    num_examples: int = key(low=0)
    label_counts: Mapping[str, int] = key(low=0)
    num_groups: int = key(low=0)
    shards: tuple[Shard, ...] = key()


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """The contents of ``dataset.json``.

    Attributes:
        image_shape: (H, W, C).
        dtype: ``uint8`` or ``uint16``.
        channels: The names of the C channels in order.
        display: The channel that is shown red, green and blue; None is black.
        pixel_size: Micrometres per pixel, or None if unknown.
        labels: The vocabulary in order.
        label_policy: How a crop with several labels became records.
        credit: Licence and source of the images.
        splits: The splits by name.
        provenance: How the data were made; in any form.
    """

    image_shape: tuple[int, int, int] = key(low=1)
    dtype: str = key(choices=DTYPES)
    channels: tuple[str, ...] = key(pattern=".+", max_items=MAX_CHANNELS, unique=True)
    display: Mapping[str, str | None]
    pixel_size: float | None = key(above=0)
    labels: tuple[str, ...] = key(pattern=".+", unique=True)
    label_policy: str = key(choices=LABEL_POLICIES)
    credit: str
    splits: Mapping[str, SplitInfo]
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        check_channels(self)

    @property
    def display_channels(self) -> tuple[int | None, ...]:
        """The indices of the channels that are shown red, green and blue."""
        return display_indices(self.display, self.channels)

    def fingerprint(self) -> str:
        """Returns a hash (hex sha256) of everything that models are trained on.

        The place of the folder, the display colours, the credit and the provenance do
        not change it.
        """
        values = {
            "format": FORMAT,
            "image_shape": list(self.image_shape),
            "dtype": self.dtype,
            "channels": list(self.channels),
            "pixel_size": self.pixel_size,
            "labels": list(self.labels),
            "splits": {
                name: [[s.sha256, s.num_examples] for s in split.shards]
                for name, split in self.splits.items()
            },
        }
        text = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def check_channels(info: Any) -> None:
    """Raises a UserError if ``image_shape``, ``channels`` and ``display`` differ."""
    fits = info.image_shape[2] == len(info.channels)
    require(fits, "image_shape", f"{len(info.channels)} channels", info.image_shape)
    shown = {name for name in info.display.values() if name is not None}
    fits = set(info.display) == set(COLOURS) and shown <= set(info.channels)
    expected = "red, green and blue, each with the name of a channel or null"
    require(fits, "display", expected, info.display)


def display_indices(
    display: Mapping[str, str | None], channels: Sequence[str]
) -> tuple[int | None, ...]:
    """Returns the indices of the channels shown red, green and blue; None is black."""
    shown = (display[colour] for colour in COLOURS)
    return tuple(None if name is None else channels.index(name) for name in shown)


def default_display(channels: Sequence[str]) -> dict[str, str | None]:
    """Chooses the channels shown red, green and blue by name, without regard to case.

    If no name is known, they are the first three; a single channel is shown grey.
    """
    if len(channels) == 1:
        return dict.fromkeys(COLOURS, channels[0])
    lower = {name.lower(): name for name in channels}
    display = {
        colour: next((lower[name] for name in names if name in lower), None)
        for colour, names in _DISPLAY_NAMES.items()
    }
    if any(display.values()):
        return display
    return dict(zip(COLOURS, [*channels, None][:3], strict=True))


def write_info(folder: str | os.PathLike, info: DatasetInfo) -> None:
    """Writes ``dataset.json``, after checking that it can be read back."""
    path = Path(folder) / FILE_NAME
    values = {"format": FORMAT, "fingerprint": info.fingerprint()}
    values |= dataclasses.asdict(info)
    _read(values, path)
    write_json(path, values)


def read_info(folder: str | os.PathLike) -> DatasetInfo:
    """Reads and checks ``dataset.json``, but not the shards.

    Raises:
        DataError: It is missing, or one of its fields is wrong.
    """
    path = Path(folder) / FILE_NAME
    if not path.is_file():
        raise DataError(
            f"no shards: expected a folder with {FILE_NAME}, as "
            f"`python -m data_prep shard` writes it. Received: {folder}"
        )
    values = read_json(path)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise DataError(f"wrong format: expected {FORMAT}. Received: {path}")
    info = _read(values, path)
    # Other programs may leave it out.
    expected = values.get("fingerprint", info.fingerprint())
    if info.fingerprint() != expected:
        raise DataError(
            f"damaged {FILE_NAME}: expected the fingerprint {str(expected)[:12]}. "
            f"Received: {path} with the fingerprint {info.fingerprint()[:12]}"
        )
    return info


def _read(values: Any, path: Path) -> DatasetInfo:
    info = read(DatasetInfo, values, path)
    try:
        _check_splits(info)
    except UserError as error:
        raise DataError(f"wrong value in {path}: {error}") from None
    return info


def _check_splits(info: DatasetInfo) -> None:
    require(bool(info.splits), "splits", "at least one split", info.splits)
    for name, split in info.splits.items():
        require(name in SPLITS, "splits", f"keys among {', '.join(SPLITS)}", name)
        counts = split.label_counts
        fits = set(counts) == set(info.labels)
        fits = fits and max(counts.values(), default=0) <= split.num_examples
        expected = "the number of examples of every label"
        require(fits, f"splits.{name}.label_counts", expected, counts)
        total = sum(shard.num_examples for shard in split.shards)
        fits, expected = split.num_examples == total, f"the sum over shards, {total}"
        require(fits, f"splits.{name}.num_examples", expected, split.num_examples)
