"""From a folder of crops to its features: trains the network, then runs it on all."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras

from data_prep.crop_images import CropImages
from data_prep.features import read_features, require_current, write_features
from data_prep.inpainting.config import SECTION, InpaintingConfig
from data_prep.inpainting.extraction import feature_batches
from data_prep.inpainting.stage import InpaintingStage
from data_prep.pairing import Pairs, group_crops
from tfvqgen.config_keys import expect_keys, from_plain, frozen_differences
from tfvqgen.data.crops import CropFolder, read_crops
from tfvqgen.errors import DataError, UserError
from tfvqgen.files import exclusive, read_sealed_json, write_sealed_json
from tfvqgen.models import PairedInpainting
from tfvqgen.models.paired_inpainting import FEATURE_BLOCK
from tfvqgen.training import distribution
from tfvqgen.training.checkpoints import restore_model, saved_checkpoints
from tfvqgen.training.loop import Loop
from tfvqgen.training.trained_models import fingerprint
from tfvqgen.training.workdir import Workdir

PROTEIN = "green"
MARKERS = ("blue", "red")
CONFIG = "config.json"


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a network was trained with, as ``inpainting/config.json`` holds it.

    Attributes:
        config: The configuration.
        seed: Of the weights, the pairs and what is held out.
        protein: The channel to paint.
        markers: The channels that both cells show.
        crops: The hash of what it learns from.
    """

    config: InpaintingConfig
    seed: int
    protein: str
    markers: tuple[str, ...]
    crops: str

    @property
    def channels(self) -> tuple[str, ...]:
        """The protein and the markers."""
        return self.protein, *self.markers

    def to_json(self) -> dict[str, Any]:
        """Returns plain values that :meth:`from_json` reads back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Any) -> "Settings":
        """Reads what :meth:`to_json` wrote.

        Raises:
            UserError: A key is missing, unknown, or not of its type or limits.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        expect_keys(CONFIG, values, names, names)
        keys = {field.name: field for field in dataclasses.fields(InpaintingConfig)}
        stored = values["config"]
        expect_keys(SECTION, stored, [], keys)
        config = InpaintingConfig(
            **{name: from_plain(keys[name], value) for name, value in stored.items()}
        )
        markers = tuple(map(str, values["markers"]))
        return cls(**{**values, "config": config, "markers": markers})


def embed(
    crops: str | os.PathLike,
    *,
    overrides: Iterable[str] = (),
    seed: int | None = None,
    protein: str | None = None,
    markers: Sequence[str] | None = None,
    strategy: str = "auto",
) -> CropFolder:
    """Trains the pairing network and leaves features of all crops beside them.

    What is there already is gone on with, or left as it is.

    Args:
        crops: The folder with ``crops.csv``.
        overrides: ``key=value`` strings for :class:`InpaintingConfig`.
        seed: Of the weights, the pairs and what is held out.
        protein: The channel to paint.
        markers: The channels that both cells show. For these three None keeps what a
            network that is there has.
        strategy: Where to train, see :func:`distribution.make_strategy`.

    Returns:
        The crops.

    Raises:
        UserError: What is asked for cannot be, or would change a trained network.
        DataError: The crops are damaged.
    """
    folder = read_crops(crops)
    chosen = distribution.make_strategy(strategy)
    path = folder.folder / SECTION
    with exclusive(path, "the folder of the pairing network"):
        settings = settle(
            folder, overrides=overrides, seed=seed, protein=protein, markers=markers
        )
        if settings.crops == crops_fingerprint(folder):
            model, step = train_network(folder, settings, chosen)
        else:
            model, step = load_network(folder, settings)
            print(f"{SECTION}: trained on other crops, and taken as it is")
        _write_features(folder, settings, model, step)
    return folder


def settle(
    folder: CropFolder,
    *,
    overrides: Iterable[str] = (),
    seed: int | None = None,
    protein: str | None = None,
    markers: Sequence[str] | None = None,
) -> Settings:
    """Decides on the settings of a run and writes them down; see :func:`embed`.

    A network that has taken all its steps serves other crops as it is: the settings
    then keep the hash of those that it has learnt from.

    Raises:
        UserError: Something asked for would change a network that is trained.
    """
    path = folder.folder / SECTION / CONFIG
    saved = saved_checkpoints(Workdir(folder.folder).checkpoints(SECTION))
    trained = bool(saved)
    old = _read_settings(path) if path.exists() or trained else None
    base = old or Settings(InpaintingConfig(), 0, PROTEIN, MARKERS, "")
    new = Settings(
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
    if new != old:
        write_sealed_json(path, new.to_json())
    return new


def train_network(
    folder: CropFolder, settings: Settings, strategy
) -> tuple[PairedInpainting, int]:
    """Trains, or goes on to train, in ``<crops>/inpainting``.

    Returns:
        The network with its last weights, and its step.
    """
    config = settings.config
    images = CropImages(folder, settings.channels, config.size)
    groups = group_crops(
        folder.rows,
        min_group=config.min_group,
        validation_share=config.validation_share,
        seed=settings.seed,
    )
    for reason, count in groups.left_out.items():
        print(f"no pairs of {count} crops: {reason}")
    training = Pairs(images, groups.training, augment=config.augment)
    validation = Pairs(images, groups.validation)
    print(
        f"pairs: {training.num_examples} cells of {len(groups.training)} groups; held "
        f"out: {validation.num_examples} cells of {len(groups.validation)} groups"
    )
    keras.utils.set_random_seed(settings.seed)
    with strategy.scope():
        stage = InpaintingStage(config, training, validation)
    loop = Loop(stage, strategy, Workdir(folder.folder), seed=settings.seed)
    figures = loop.run()
    if figures:
        print(
            f"{SECTION}: step {loop.step}, held-out error {figures['protein_mse']:.3g} "
            f"(mean image {figures['mean_image_mse']:.3g}); see "
            f"{folder.folder / SECTION / 'pairs.png'}"
        )
    else:
        print(f"{SECTION}: done already, at step {loop.step}")
    return stage.model, loop.step


def load_network(
    folder: CropFolder, settings: Settings
) -> tuple[PairedInpainting, int]:
    """Returns the network of ``<crops>/inpainting`` as it was last saved, and its step.

    Raises:
        UserError: There is none, or it is of another architecture.
    """
    config = settings.config
    model = PairedInpainting(len(settings.markers), config.width, config.precision)
    model.build()
    step = restore_model(model, Workdir(folder.folder).checkpoints(SECTION))
    return model, step


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


def _write_features(
    folder: CropFolder, settings: Settings, model: PairedInpainting, step: int
) -> None:
    images = CropImages(folder, settings.channels, settings.config.size)
    about = {
        "model": fingerprint(model),
        "config": {
            "method": "paired cell inpainting",
            "block": FEATURE_BLOCK,
            "size": settings.config.size,
            "width": settings.config.width,
            "protein": settings.protein,
            "markers": list(settings.markers),
            "seed": settings.seed,
            "step": step,
        },
    }
    if _features_are_there(folder, about):
        print("features: done already")
        return
    digest = write_features(
        folder.folder,
        feature_batches(model, images),
        crop_ids=[crop.crop_id for crop in folder.rows],
        crops=images.hashes(),
        **about,
    )
    print(f"features: {len(images)} crops, {digest[:12]}")


def _features_are_there(folder: CropFolder, about: dict[str, Any]) -> bool:
    try:
        features = read_features(folder.folder)
        require_current(features, folder)
    except DataError:
        return False
    return {"model": features.model, "config": features.config} == about


def _read_settings(path: Path) -> Settings:
    try:
        return Settings.from_json(read_sealed_json(path))
    except (TypeError, ValueError) as error:
        raise DataError(
            f"damaged configuration: expected what embed wrote. Received: {path} "
            f"({error})"
        ) from error


def _refuse_changes(path: Path, old: Settings, new: Settings) -> None:
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
