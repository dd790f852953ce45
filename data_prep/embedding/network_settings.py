"""The settings of a network of paired cell inpainting: ``inpainting/config.json``."""

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


@dataclasses.dataclass(frozen=True)
class NetworkSettings:
    """Everything that a network was trained with."""

    config: InpaintingConfig
    # Of the weights, the pairs and the choice of validation groups.
    seed: int = key(low=0, high=2**32 - 1)
    protein: str  # The channel that the network predicts.
    markers: tuple[str, ...]  # The channels that it sees of both cells.
    crops: str  # See crops_fingerprint.

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
    """Returns the settings of a run: as requested, else as before, else the defaults.

    A network that has taken all its steps can also be used for other crops. Its
    settings then keep the hash of the crops that it was trained on.

    `overrides` are ``key=value`` strings for :class:`InpaintingConfig`; the other
    arguments are those of :class:`NetworkSettings`, where None keeps the present value.

    Raises:
        UserError: The request would change a trained network.
    """
    path = folder.folder / SECTION / "config.json"
    saved = saved_checkpoints(Workdir(folder.folder).checkpoints(SECTION))
    old = _read(path) if path.exists() or saved else None
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
    if saved:
        if saved[-1][0] >= new.config.steps:
            new = dataclasses.replace(new, crops=old.crops)
        changes = frozen_differences(old.config, new.config)
        for name in ("seed", "protein", "markers", "crops"):
            before, after = getattr(old, name), getattr(new, name)
            if before != after:
                changes.append(f"{name}: {before!s:.30} -> {after!s:.30}")
        if changes:
            raise UserError(
                f"the network in {path.parent} was trained with different settings: "
                "expected the same crops and settings; remove that folder to train it "
                f"again. Received: {'; '.join(changes)}"
            )
    return new


def keep_settings(folder: CropFolder, settings: NetworkSettings) -> None:
    """Writes ``inpainting/config.json``, unless it has these settings already."""
    path = folder.folder / SECTION / "config.json"
    if not path.exists() or _read(path) != settings:
        write_sealed_json(path, dataclasses.asdict(settings))


def crops_fingerprint(folder: CropFolder) -> str:
    """Returns the hash of the data that a network is trained on."""
    rows = [(x.crop_id, x.sha256, x.group, x.accepted) for x in folder.rows]
    contents = json.dumps([folder.channels, folder.dtype, rows])
    return hashlib.sha256(contents.encode()).hexdigest()


def _read(path: Path) -> NetworkSettings:
    return read(NetworkSettings, read_sealed_json(path), path, strict=True)
