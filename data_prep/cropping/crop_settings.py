"""What decides the bytes of crops, kept beside them so that no folder mixes two."""

import dataclasses
import os
from pathlib import Path
from typing import Any

from data_prep.cropping.crop_quality import Thresholds
from data_prep.cropping.cutting import Intensity
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import read_json, write_json

FILE_NAME = "cropping.json"
FORMAT = "tfvqgen-cropping-1"
# Micrometres a pixel of crops unless --scale says otherwise: a quarter of the Human
# Protein Atlas's full size.
USUAL_PIXEL_SIZE = 0.32


@dataclasses.dataclass(frozen=True)
class CropSettings:
    """How crops are cut.

    Attributes:
        channels: The channels' names in order.
        dtype: ``uint8`` or ``uint16``, that of all fields.
        nucleus_channel: The channel that shows nuclei.
        protein_channel: The channel that shows the protein, None if there is none.
        crop_size: Side of a crop, pixels.
        pixel_size: Micrometres a pixel of every field; None: what each field says.
        scale: How many pixels' widths become one; None: to `USUAL_PIXEL_SIZE`.
        mask_kind: What given masks show, ``nuclei`` or ``cells``; None: none are given.
        mask_neighbours: Whether other cells in a crop are made background.
        intensity: How recorded values become those of crops.
        thresholds: Which crops are accepted.
    """

    channels: tuple[str, ...]
    dtype: str
    nucleus_channel: str
    protein_channel: str | None = None
    crop_size: int = 128
    pixel_size: float | None = None
    scale: float | None = None
    mask_kind: str | None = None
    mask_neighbours: bool = False
    intensity: Intensity = Intensity()  # noqa: RUF009 (frozen)
    thresholds: Thresholds = Thresholds()  # noqa: RUF009 (frozen)

    def channel_index(self, name: str | None) -> int | None:
        """Returns a channel's place, None for no name."""
        return None if name is None else self.channels.index(name)


def freeze(folder: str | os.PathLike, settings: CropSettings, *, begun: bool) -> None:
    """Writes the settings into a folder, or compares them with those that are there.

    Limits may change: they say which crops are taken, not what is in them.

    Args:
        folder: The folder of the crops.
        settings: Those of this run.
        begun: Whether there are crops, so that the settings must stay.

    Raises:
        UserError: Crops were cut there with other settings; says which differ.
    """
    path = Path(folder) / FILE_NAME
    if not begun:
        write(folder, settings)
        return
    mine = _flat({"format": FORMAT, **dataclasses.asdict(settings)})
    stored = read_json(path)
    if not isinstance(stored, dict):
        raise DataError(f"damaged file: expected an object. Received: {path}")
    theirs = _flat(stored)
    differences = [
        f"{name} {theirs.get(name)!r} there, {mine.get(name)!r} now"
        for name in {**theirs, **mine}
        if (name not in theirs or name not in mine or theirs[name] != mine[name])
        and not name.startswith("thresholds.")
    ]
    if differences:
        raise UserError(
            "the folder holds crops that were cut otherwise: expected a new folder, or "
            f"the settings in {path}. Received: {'; '.join(differences)}"
        )


def judged_otherwise(folder: str | os.PathLike, settings: CropSettings) -> bool:
    """Says whether the crops of a folder were judged by other limits."""
    stored = _flat(
        {"thresholds": read_json(Path(folder) / FILE_NAME).get("thresholds")}
    )
    return stored != _flat({"thresholds": dataclasses.asdict(settings.thresholds)})


def write(folder: str | os.PathLike, settings: CropSettings) -> None:
    """Writes the settings into a folder."""
    value = {"format": FORMAT, **dataclasses.asdict(settings)}
    write_json(Path(folder) / FILE_NAME, value)


def _flat(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns settings by dotted name, in the types that JSON keeps."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat


# What channels are called, in lower case.
NUCLEUS_NAMES = ("blue", "nucleus", "nuclei", "dapi", "dna", "hoechst")
PROTEIN_NAMES = ("green", "protein", "gfp")
# By mode: shares of what the type holds, or percentiles.
USUAL_RANGES = {"fixed": (0.0, 1.0), "field": (0.1, 99.9)}


def settings_of(args, folder):
    """Returns the settings that the flags and the fields together make.

    Args:
        args: The flags of the command ``crop``.
        folder: The fields, a ``FieldFolder``.

    Raises:
        UserError: A flag is wrong, or a channel or the size of pixels is not known.
    """
    from data_prep.cropping.crop_settings import CropSettings
    from data_prep.cropping.field_crops import scale_of

    settings = CropSettings(
        channels=folder.channels,
        dtype=_dtype(folder),
        nucleus_channel=_channel(
            folder.channels, "nucleus_channel", args.nucleus_channel, NUCLEUS_NAMES
        ),
        protein_channel=_channel(
            folder.channels, "protein_channel", args.protein_channel, PROTEIN_NAMES
        ),
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


def names(text: str) -> tuple[str, ...]:
    """Returns the names in a list with commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _dtype(folder) -> str:
    """Returns the depth of the first field that can be read."""
    from data_prep.images.field_images import image_form

    errors = []
    for field in folder.fields:
        try:
            form = image_form(next(iter(field.planes.values())).path)
        except DataError as error:
            errors.append(error)
            continue
        return f"uint{form.depth}"
    raise DataError(
        "no field can be read: expected one at least. "
        f"Received: {len(errors)}, the first: {errors[0]}"
    )


def _channel(channels, flag: str, name: str | None, usual) -> str | None:
    if name is not None and name not in channels:
        raise UserError(
            f"unknown --{flag}: expected one of {', '.join(channels)}. "
            f"Received: {flag}={name}"
        )
    if name is not None:
        return name
    found = [channel for channel in channels if channel.lower() in usual]
    if not found and flag == "nucleus_channel":
        raise UserError(
            f"the channel of the nuclei is not known: expected --{flag}, one of "
            f"{', '.join(channels)}. Received: none of {', '.join(usual)}"
        )
    return found[0] if found else None


def _intensity(args):
    from data_prep.cropping.cutting import Intensity

    low, high = USUAL_RANGES[args.intensity]
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


def _thresholds(words):
    from data_prep.cropping.crop_quality import Thresholds

    usual = dataclasses.asdict(Thresholds())
    given = {}
    for word in words:
        name, _, text = word.partition("=")
        if name not in usual:
            raise UserError(
                f"unknown --threshold: expected one of {', '.join(usual)}. "
                f"Received: {word}"
            )
        given[name] = _limit(word, text, usual[name])
    return Thresholds(**given)


def _limit(word: str, text: str, usual):
    if isinstance(usual, tuple):
        return names(text)
    if isinstance(usual, bool):
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
    elif text.lower() == "none":
        return None
    else:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if abs(value) < float("inf"):
            return value
    expected = "true or false" if isinstance(usual, bool) else "a number or none"
    raise UserError(f"wrong --threshold: expected {expected}. Received: {word}")
