"""How crops are cut: the settings, from the flags of ``crop`` to ``cropping.json``.

The settings are kept beside the crops, so that no folder mixes crops of two settings.
"""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_prep.cropping.crop_quality import Thresholds
from data_prep.cropping.cutting import Intensity, working_scale
from data_prep.fields import Field, FieldFolder
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import read_json, write_json

FILE_NAME = "cropping.json"
FORMAT = "tfvqgen-cropping-1"
# Default pixel size of crops in micrometres: a quarter of the Human Protein Atlas's
# full resolution.
DEFAULT_PIXEL_SIZE = 0.32
# Usual names of channels, in lower case.
NUCLEUS_NAMES = ("blue", "nucleus", "nuclei", "dapi", "dna", "hoechst")
PROTEIN_NAMES = ("green", "protein", "gfp")
# Default range by mode: shares of the type's maximum, or percentiles.
DEFAULT_RANGES = {"fixed": (0.0, 1.0), "field": (0.1, 99.9)}


@dataclasses.dataclass(frozen=True)
class CropSettings:
    """How crops are cut; the flags of ``crop`` explain the attributes."""

    channels: tuple[str, ...]
    dtype: str  # Type of all fields, uint8 or uint16.
    nucleus_channel: str
    protein_channel: str | None = None
    crop_size: int = 128
    pixel_size: float | None = None  # None: the pixel size of each field.
    scale: float | None = None  # None: the factor that gives `DEFAULT_PIXEL_SIZE`.
    mask_kind: str | None = None  # nuclei, cells, or None for no masks.
    mask_neighbours: bool = False
    intensity: Intensity = Intensity()  # noqa: RUF009 (frozen)
    thresholds: Thresholds = Thresholds()  # noqa: RUF009 (frozen)

    def channel_index(self, name: str | None) -> int | None:
        """Returns a channel's index, None for no name."""
        return None if name is None else self.channels.index(name)


def settings_from_flags(args, folder: FieldFolder) -> CropSettings:
    """Returns the settings given by the flags of ``crop`` and by the fields.

    Raises:
        UserError: A flag is wrong, or a channel or the pixel size is not known.
    """
    settings = CropSettings(
        channels=folder.channels,
        dtype=_dtype(folder),
        nucleus_channel=_channel(folder, args, "nucleus_channel", NUCLEUS_NAMES),
        protein_channel=_channel(folder, args, "protein_channel", PROTEIN_NAMES),
        crop_size=args.crop_size,
        pixel_size=args.pixel_size,
        scale=args.scale,
        mask_kind=args.mask_kind,
        mask_neighbours=args.mask_neighbours,
        intensity=_intensity(args),
        thresholds=_thresholds(args.threshold),
    )
    for field in folder.fields:
        scale_of(field, settings)
    return settings


def scale_of(field: Field, settings: CropSettings) -> tuple[float, float]:
    """Returns a field's micrometres a pixel and its downscaling factor."""
    pixel_size = settings.pixel_size or field.pixel_size
    if pixel_size is None:
        raise DataError(
            "the pixel size is unknown: expected --pixel_size in micrometres. "
            f"Received: field {field.field_id}"
        )
    if settings.scale is not None:
        return pixel_size, settings.scale
    return pixel_size, working_scale(pixel_size, DEFAULT_PIXEL_SIZE)


def names_of(text: str) -> tuple[str, ...]:
    """Returns the names in a comma-separated list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _dtype(folder: FieldFolder) -> str:
    """Returns the type of the first field that can be read."""
    from data_prep.images.field_images import image_form

    errors = []
    for field in folder.fields:
        try:
            return f"uint{image_form(next(iter(field.planes.values())).path).depth}"
        except DataError as error:
            errors.append(error)
    raise DataError(
        "no field can be read: expected at least one. "
        f"Received: {len(errors)} unreadable fields, the first: {errors[0]}"
    )


def _channel(folder: FieldFolder, args, flag: str, usual: Sequence[str]) -> str | None:
    name, channels = getattr(args, flag), folder.channels
    if name is None:
        name = next((each for each in channels if each.lower() in usual), None)
        if name is None and flag == "nucleus_channel":
            raise UserError(
                f"the nucleus channel is not known: expected --{flag}, one of "
                f"{', '.join(channels)}. Received: none of {', '.join(usual)}"
            )
    elif name not in channels:
        raise UserError(
            f"unknown --{flag}: expected one of {', '.join(channels)}. "
            f"Received: {flag}={name}"
        )
    return name


def _intensity(args) -> Intensity:
    low, high = DEFAULT_RANGES[args.intensity]
    most = 1 if args.intensity == "fixed" else 100
    if args.intensity_range is not None:
        try:
            low, high = (float(word) for word in args.intensity_range.split(","))
        except ValueError:
            low = high = float("nan")
    if not 0 <= low < high <= most:
        raise UserError(
            f"wrong --intensity_range: expected LOW,HIGH from 0 to {most}. "
            f"Received: {args.intensity_range}"
        )
    return Intensity(args.intensity, low, high)


def _thresholds(words: Sequence[str]) -> Thresholds:
    """Returns the limits given by ``NAME=VALUE`` words; others have their default."""
    defaults = dataclasses.asdict(Thresholds())
    given = {}
    for word in words:
        name, _, text = word.partition("=")
        if name not in defaults:
            raise UserError(
                f"unknown --threshold: expected one of {', '.join(defaults)}. "
                f"Received: {word}"
            )
        try:
            given[name] = _parse_limit(text, defaults[name])
        except (ValueError, KeyError):
            is_flag = isinstance(defaults[name], bool)
            expected = "true or false" if is_flag else "a number or none"
            raise UserError(
                f"wrong --threshold: expected {expected}. Received: {word}"
            ) from None
    return Thresholds(**given)


def _parse_limit(text: str, default: Any) -> Any:
    if isinstance(default, tuple):
        return names_of(text)
    word = text.strip().lower()
    if isinstance(default, bool):
        return {"true": True, "false": False}[word]
    if word == "none":
        return None
    if not math.isfinite(number := float(word)):
        raise ValueError(word)
    return number


def write_settings(folder: Path, settings: CropSettings) -> None:
    """Writes the settings into a folder of crops."""
    contents = {"format": FORMAT, **dataclasses.asdict(settings)}
    write_json(folder / FILE_NAME, contents)


def has_other_limits(folder: Path, settings: CropSettings) -> bool:
    """Returns whether the crops in a folder were accepted by other limits.

    Raises:
        UserError: The crops were cut with other settings; names the differences.
    """
    path = folder / FILE_NAME
    there = read_json(path)
    if not isinstance(there, dict):
        raise DataError(f"damaged file: expected an object. Received: {path}")
    now = _flat({"format": FORMAT, **dataclasses.asdict(settings)})
    before = _flat(there)
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    cut = [name for name in changed if not name.startswith("thresholds.")]
    if cut:
        differences = "; ".join(
            f"{name} {before.get(name)!r} there, {now.get(name)!r} now" for name in cut
        )
        raise UserError(
            "the folder contains crops that were cut with other settings: expected a "
            f"new folder, or the settings in {path}. Received: {differences}"
        )
    return bool(changed)


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns settings by dotted name, in the types that JSON keeps."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat
