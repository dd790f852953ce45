"""What decides the bytes of crops, kept beside them so that no folder mixes two."""

import dataclasses
import os
from pathlib import Path
from typing import Any

from data_prep.cropping.cutting import Intensity
from data_prep.cropping.quality import Thresholds
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
