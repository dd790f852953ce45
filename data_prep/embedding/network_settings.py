"""What a pairing network is trained with, kept beside it in ``config.json``."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from tfvqgen.data.crops import CropFolder
from tfvqgen.errors import UserError
from tfvqgen.files import read_sealed_json, write_sealed_json
from tfvqgen.training.checkpoints import saved_checkpoints
from tfvqgen.training.stages.inpainting import SECTION, InpaintingConfig
from tfvqgen.training.workdir import Workdir
from tfvqgen.validation import check, frozen_differences, key, read

PROTEIN = "green"
MARKERS = ("blue", "red")
CONFIG = "config.json"


@dataclasses.dataclass(frozen=True)
class NetworkSettings:
    """What a network was trained with, as ``inpainting/config.json`` holds it.

    Attributes:
        config: The configuration.
        seed: Of the weights, the pairs and what is held out.
        protein: The channel to paint.
        markers: The channels that both cells show.
        crops: The hash of what it learns from.
    """

    config: InpaintingConfig
    seed: int = key(low=0, high=2**32 - 1)
    protein: str
    markers: tuple[str, ...]
    crops: str

    def __post_init__(self):
        check(self)

    @property
    def channels(self) -> tuple[str, ...]:
        """The protein and the markers."""
        return self.protein, *self.markers


def settle(
    folder: CropFolder,
    *,
    overrides: Iterable[str] = (),
    seed: int | None = None,
    protein: str | None = None,
    markers: Sequence[str] | None = None,
) -> NetworkSettings:
    """Decides on the settings of a run: what is asked for, else what was, else usual.

    A network that has taken all its steps serves other crops as it is: the settings
    then keep the hash of those that it has learnt from.

    Args:
        folder: The crops, with or without a network.
        overrides: ``key=value`` strings for :class:`InpaintingConfig`.
        seed: Of the weights, the pairs and what is held out.
        protein: The channel to paint.
        markers: The channels that both cells show.

    Raises:
        UserError: Something asked for would change a network that is trained.
    """
    path = folder.folder / SECTION / CONFIG
    saved = saved_checkpoints(Workdir(folder.folder).checkpoints(SECTION))
    trained = bool(saved)
    old = _read_settings(path) if path.exists() or trained else None
    base = old or NetworkSettings(InpaintingConfig(), 0, PROTEIN, MARKERS, "")
    new = NetworkSettings(
        config=base.config.with_overrides(overrides),
        seed=base.seed if seed is None else seed,
        protein=base.protein if protein is None else protein,
        markers=base.markers if markers is None else tuple(markers),
        crops=crops_fingerprint(folder),
    )
    if not new.markers:
        raise UserError("no markers: expected at least one channel. Received: none")
    if trained and saved[-1][0] >= new.config.steps:
        new = dataclasses.replace(new, crops=old.crops)
    if trained:
        _refuse_changes(path.parent, old, new)
    return new


def keep_settings(folder: CropFolder, settings: NetworkSettings) -> None:
    """Writes settings down, so that later runs and readers have them."""
    path = folder.folder / SECTION / CONFIG
    if not path.exists() or _read_settings(path) != settings:
        write_sealed_json(path, dataclasses.asdict(settings))


def crops_fingerprint(folder: CropFolder) -> str:
    """Returns the hash of what a network learns from: images and groups."""
    what = [
        folder.channels,
        folder.dtype,
        [
            (crop.crop_id, crop.sha256, crop.group, crop.accepted)
            for crop in folder.rows
        ],
    ]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def _read_settings(path: Path) -> NetworkSettings:
    return read(NetworkSettings, read_sealed_json(path), path, strict=True)


def _refuse_changes(path: Path, old: NetworkSettings, new: NetworkSettings) -> None:
    changes = frozen_differences(old.config, new.config)
    for name in ("seed", "protein", "markers"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            changes.append(f"{name}: {before} -> {after}")
    if old.crops != new.crops:
        changes.append(f"crops: {old.crops[:12]} -> {new.crops[:12]}")
    if changes:
        raise UserError(
            f"the network in {path} was trained otherwise: expected the same crops and "
            "settings; remove that folder to train it anew. Received: "
            + "; ".join(changes)
        )
