"""What ``dataset.json`` says about one shard; needs no TensorFlow to be read."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from tfvqgen.data.images import DTYPES, MAX_CHANNELS
from tfvqgen.errors import DataError
from tfvqgen.files import read_json, write_json


def is_bare_name(path: object) -> bool:
    """Whether a file of this name is in the folder itself, wherever that is."""
    return (
        isinstance(path, str)
        and path not in ("", ".", "..")
        and PurePath(path).name == path
        and "\\" not in path
        and path.isprintable()
    )


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of records, as ``dataset.json`` describes it.

    Attributes:
        path: Relative to the folder of ``dataset.json``.
        bytes: The file's size.
        num_examples: The number of records in it.
        sha256: Of the file, in hexadecimal.
    """

    path: str
    bytes: int
    num_examples: int
    sha256: str


FILE_NAME = "dataset.json"
FORMAT = "tfvqgen-images-1"
SPLITS = ("train", "validation", "test")
LABEL_POLICIES = ("multi_hot", "single_only", "primary", "duplicate")
COLOURS = ("red", "green", "blue")

# What is stained where, by the names people give to channels.
_DISPLAY_NAMES = {
    "red": ("red", "microtubules"),
    "green": ("green", "protein"),
    "blue": ("blue", "nucleus", "nuclei", "dapi"),
}


@dataclasses.dataclass(frozen=True)
class SplitInfo:
    """One split of ``dataset.json``.

    Attributes:
        num_examples: The number of records in all its shards.
        label_counts: Label -> examples that have it.
        num_groups: The number of groups; no other split has any of them.
        shards: Its files.
    """

    num_examples: int
    label_counts: Mapping[str, int]
    num_groups: int
    shards: tuple[Shard, ...]


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """The contents of ``dataset.json``.

    Attributes:
        image_shape: (H, W, C).
        dtype: ``uint8`` or ``uint16``.
        channels: The C channels' names in order.
        display: Which channel is shown red, green and blue; None is black.
        pixel_size: Micrometres a pixel, or None if unknown.
        labels: The vocabulary in order.
        label_policy: How a crop with several labels became records.
        credit: Licence and source line.
        splits: By name.
        provenance: How it was made; free-form.
    """

    image_shape: tuple[int, int, int]
    dtype: str
    channels: tuple[str, ...]
    display: Mapping[str, str | None]
    pixel_size: float | None
    labels: tuple[str, ...]
    label_policy: str
    credit: str
    splits: Mapping[str, SplitInfo]
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def display_channels(self) -> tuple[int | None, ...]:
        """The indices of the channels shown red, green and blue."""
        return display_indices(self.display, self.channels)

    def fingerprint(self) -> str:
        """Returns a hash (hex sha256) of everything that a model learns from.

        The folder's place, the display colours, the credit and the provenance do not
        count.
        """
        matters = {
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
        text = json.dumps(matters, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def display_indices(
    display: Mapping[str, str | None], channels: Sequence[str]
) -> tuple[int | None, ...]:
    """Returns the indices of the channels shown red, green and blue; None is black."""
    shown = (display[colour] for colour in COLOURS)
    return tuple(None if name is None else channels.index(name) for name in shown)


def default_display(channels: Sequence[str]) -> dict[str, str | None]:
    """Chooses the channels that are shown red, green and blue: by name, else by order.

    A single channel is shown grey. Channels are matched by name without regard to case;
    if none matches, the first three are taken.
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
    value = {
        "format": FORMAT,
        "fingerprint": info.fingerprint(),
        **dataclasses.asdict(info),
    }
    path = Path(folder) / FILE_NAME
    _parse(json.loads(json.dumps(value)), _Reader(path, ""))
    write_json(path, value)


def read_info(folder: str | os.PathLike) -> DatasetInfo:
    """Reads and checks ``dataset.json``; the shards are not looked at.

    Raises:
        DataError: It is missing, or one of its fields is not what it should be.
    """
    path = Path(folder) / FILE_NAME
    if not path.is_file():
        raise DataError(
            f"no shards there: expected a folder with {FILE_NAME}, as "
            f"`python -m data_prep shard` writes it. Received: {folder}"
        )
    value = read_json(path)
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except ValueError as error:
        raise DataError(
            f"damaged {FILE_NAME}: expected whole letters and finite numbers. "
            f"Received: {path} ({type(error).__name__})"
        ) from None
    info = _parse(value, _Reader(path, ""))
    # What people may edit is no part of it; other programs may leave it out.
    expected = value.get("fingerprint", info.fingerprint())
    if info.fingerprint() != expected:
        raise DataError(
            f"damaged {FILE_NAME}: expected what fits its fingerprint, "
            f"{str(expected)[:12]}. Received: {path} of {info.fingerprint()[:12]}"
        )
    return info


@dataclasses.dataclass(frozen=True)
class _Reader:
    """Takes checked values out of JSON objects, remembering where for the message."""

    path: Path
    where: str

    def inside(self, name: str) -> "_Reader":
        return _Reader(self.path, f"{self.where}{name}.")

    def require(self, condition: bool, name: str, expected: str, value: Any) -> None:
        if not condition:
            what = f"{self.where}{name}".rstrip(".") or "all of it"
            raise DataError(
                f"wrong {self.path}: expected {what} to be {expected}. "
                f"Received: {json.dumps(value)[:200]}"
            )

    def take(self, value: Any, name: str, kind: type | tuple, expected: str) -> Any:
        self.require(isinstance(value, dict), "", "an object", value)
        if name not in value:
            self.require(False, name, f"{expected}; it is missing", sorted(value))
        item = value[name]
        fits = isinstance(item, kind) and not isinstance(item, bool)
        self.require(fits, name, expected, item)
        return item

    def names(self, value: Any, name: str, most: int | None = None) -> tuple[str, ...]:
        expected = "a list of different names"
        expected += f", 1 to {most}" if most else ""
        items = self.take(value, name, list, expected)
        fits = all(isinstance(item, str) and item for item in items)
        fits = fits and len(set(items)) == len(items)
        fits = fits and (most is None or 1 <= len(items) <= most)
        self.require(fits, name, expected, items)
        return tuple(items)

    def count(self, value: Any, name: str) -> int:
        number = self.take(value, name, int, "a number of at least 0")
        self.require(number >= 0, name, "a number of at least 0", number)
        return number


def _parse(value: Any, reader: _Reader) -> DatasetInfo:
    form = reader.take(value, "format", str, f"{FORMAT!r}")
    reader.require(form == FORMAT, "format", f"{FORMAT!r}", form)
    channels = reader.names(value, "channels", most=MAX_CHANNELS)
    labels = reader.names(value, "labels")
    shape = reader.take(value, "image_shape", list, "[H, W, C]")
    fits = len(shape) == 3 and all(type(n) is int and n > 0 for n in shape)
    fits = fits and shape[2] == len(channels)
    reader.require(
        fits, "image_shape", f"[H, W, C] with C = {len(channels)} channels", shape
    )
    dtype = reader.take(value, "dtype", str, f"one of {', '.join(DTYPES)}")
    reader.require(dtype in DTYPES, "dtype", f"one of {', '.join(DTYPES)}", dtype)
    policy = reader.take(value, "label_policy", str, "a label policy")
    expected = f"one of {', '.join(LABEL_POLICIES)}"
    reader.require(policy in LABEL_POLICIES, "label_policy", expected, policy)
    pixel_size = reader.take(
        value, "pixel_size", (int, float, type(None)), "micrometres or null"
    )
    fits = pixel_size is None or 0 < pixel_size < float("inf")
    reader.require(fits, "pixel_size", "above 0, or null", pixel_size)
    return DatasetInfo(
        image_shape=tuple(shape),
        dtype=dtype,
        channels=channels,
        display=_parse_display(value, channels, reader),
        pixel_size=pixel_size,
        labels=labels,
        label_policy=policy,
        credit=reader.take(value, "credit", str, "a text"),
        splits=_parse_splits(value, labels, reader),
        provenance=value.get("provenance", {}),
    )


def _parse_display(
    value: Any, channels: Sequence[str], reader: _Reader
) -> dict[str, str | None]:
    expected = "red, green and blue, each with a channel's name or null"
    display = reader.take(value, "display", dict, expected)
    fits = set(display) == set(COLOURS)
    fits = fits and all(name is None or name in channels for name in display.values())
    reader.require(fits, "display", expected, display)
    return {colour: display[colour] for colour in COLOURS}


def _parse_splits(
    value: Any, labels: Sequence[str], reader: _Reader
) -> dict[str, SplitInfo]:
    splits = reader.take(value, "splits", dict, "an object of splits")
    fits = splits and set(splits) <= set(SPLITS)
    reader.require(bool(fits), "splits", f"among {', '.join(SPLITS)}", list(splits))
    inside = reader.inside("splits")
    return {
        name: _parse_split(split, labels, inside.inside(name))
        for name, split in splits.items()
    }


def _parse_split(value: Any, labels: Sequence[str], reader: _Reader) -> SplitInfo:
    num_examples = reader.count(value, "num_examples")
    expected = "every label with its number of examples"
    counts = reader.take(value, "label_counts", dict, expected)
    fits = set(counts) == set(labels)
    for count in counts.values():
        fits = fits and type(count) is int and 0 <= count <= num_examples
    reader.require(fits, "label_counts", expected, counts)
    shards = tuple(
        _parse_shard(shard, reader.inside(f"shards[{index}]"))
        for index, shard in enumerate(reader.take(value, "shards", list, "a list"))
    )
    total = sum(shard.num_examples for shard in shards)
    expected = f"the sum over its shards, {total}"
    reader.require(num_examples == total, "num_examples", expected, num_examples)
    return SplitInfo(
        num_examples=num_examples,
        label_counts={label: counts[label] for label in labels},
        num_groups=reader.count(value, "num_groups"),
        shards=shards,
    )


def _parse_shard(value: Any, reader: _Reader) -> Shard:
    path = reader.take(value, "path", str, "a file's name")
    reader.require(is_bare_name(path), "path", "a file's bare name", path)
    sha256 = reader.take(value, "sha256", str, "64 hexadecimal digits")
    fits = len(sha256) == 64 and set(sha256) <= set("0123456789abcdef")
    reader.require(fits, "sha256", "64 hexadecimal digits", sha256)
    return Shard(
        path=path,
        bytes=reader.count(value, "bytes"),
        num_examples=reader.count(value, "num_examples"),
        sha256=sha256,
    )
