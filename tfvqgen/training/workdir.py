"""The workdir: what a training run leaves, and what may change when it goes on.

``config.json``; ``dataset.json``, a copy of that of the data; for each stage a folder
with ``checkpoints/``, ``metrics.jsonl`` and ``tensorboard/``; ``codes/``; ``report/``.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tfvqgen.config import Config, StageConfig
from tfvqgen.config_keys import frozen_differences
from tfvqgen.data.dataset_info import DatasetInfo, read_info, write_info
from tfvqgen.errors import UserError
from tfvqgen.files import (
    exclusive,
    read_sealed_json,
    require_plain_path,
    write_sealed_json,
)
from tfvqgen.training.checkpoints import saved_checkpoints


class Workdir:
    """A folder that holds one configuration's training.

    Args:
        path: The folder; made when it is first written to.

    Raises:
        UserError: TensorFlow could not read from such a folder.
    """

    def __init__(self, path: str | os.PathLike):
        require_plain_path(path)
        self.path = Path(path)

    @property
    def config_file(self) -> Path:
        """The configuration's file."""
        return self.path / "config.json"

    def stage(self, name: str) -> Path:
        """The folder of a stage."""
        return self.path / name

    def checkpoints(self, stage: str) -> Path:
        """The folder of a stage's checkpoints."""
        return self.stage(stage) / "checkpoints"

    def has_checkpoint(self, stage: str) -> bool:
        """Whether a stage has been trained for a while."""
        return bool(saved_checkpoints(self.checkpoints(stage)))

    def load_config(self) -> Config:
        """Reads the configuration.

        Raises:
            UserError: This is no workdir.
            DataError: It is damaged.
        """
        if not self.config_file.exists():
            raise UserError(
                "no workdir: expected a folder that train.py made. "
                f"Received: {self.path} without {self.config_file.name}"
            )
        return self._load().config

    def load_dataset_info(self) -> DatasetInfo:
        """Reads what the models were trained on.

        Raises:
            DataError: It is missing or damaged.
        """
        return read_info(self.path)

    @contextlib.contextmanager
    def locked(self, worker: int = 0) -> Iterator[None]:
        """Makes sure that only one run writes here.

        The lock is the operating system's and goes with the process, however it ends.

        Args:
            worker: This process's number among the workers of one run.

        Raises:
            UserError: Another run has it.
        """
        with exclusive(self.path, "the workdir", lock=f".lock-{worker}"):
            yield

    def settle_config(
        self,
        *,
        preset: str | None,
        overrides: Iterable[str],
        seed: int | None,
        dataset: DatasetInfo,
    ) -> Config:
        """Decides on the configuration of a run; :meth:`keep_config` writes it down.

        A new workdir gets the preset with the overrides; an old one keeps what it has,
        changed by what is asked for now, unless that would change a stage that already
        has a checkpoint.

        Args:
            preset: A preset's name; None keeps the workdir's, and is hpa128 in a new
                one.
            overrides: ``section.key=value`` strings.
            seed: None keeps the workdir's, and is 0 in a new one.
            dataset: What to train on: its channels are taken over, its images' size
                must be the configuration's.

        Raises:
            UserError: The images are of another size, or something frozen would change.
        """
        old = self._load_if_any()
        base = old.config if old else None
        if preset is not None or base is None:
            base = Config.from_preset(preset) if preset else Config()
        if seed is not None:
            base = dataclasses.replace(base, seed=seed)
        elif old:
            base = dataclasses.replace(base, seed=old.config.seed)
        config = base.with_overrides(overrides)
        config = _fit_to_images(config, dataset)
        new = _Kept(
            config.settled(len(dataset.labels)),
            dataset.fingerprint(),
        )
        if old:
            self._refuse_changes(old, new)
        return new.config

    def keep_config(self, config: Config, dataset: DatasetInfo) -> None:
        """Writes down what a run is trained with, and on.

        Args:
            config: What :meth:`settle_config` has returned.
            dataset: What it was given; kept as ``dataset.json``.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        write_sealed_json(
            self.config_file,
            {
                "config": config.to_json(),
                "dataset_fingerprint": dataset.fingerprint(),
            },
        )
        write_info(self.path, dataset)

    def _load_if_any(self) -> "_Kept | None":
        if self.config_file.exists():
            return self._load()
        for name, _ in _stages(Config()):
            if self.has_checkpoint(name):
                raise UserError(
                    f"stage {name} has checkpoints without their configuration: "
                    f"expected {self.config_file}. Received: no such file"
                )
        return None

    def _load(self) -> "_Kept":
        stored = read_sealed_json(self.config_file)
        try:
            return _Kept(
                Config.from_json(stored["config"]),
                str(stored["dataset_fingerprint"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"damaged configuration: expected what train.py wrote. Received: "
                f"{self.config_file} ({error})"
            ) from error

    def _refuse_changes(self, old: "_Kept", new: "_Kept") -> None:
        for name, section in _stages(new.config):
            if not self.has_checkpoint(name):
                continue
            changes = frozen_differences(getattr(old.config, name), section)
            if old.config.seed != new.config.seed:
                changes.append(f"seed: {old.config.seed} -> {new.config.seed}")
            data = [x.dataset_fingerprint[:12] for x in (old, new)]
            if old.dataset_fingerprint != new.dataset_fingerprint:
                changes.append(f"data: {' -> '.join(data)}")
            if changes:
                raise UserError(
                    f"stage {name} of {self.path} has checkpoints made otherwise: "
                    "expected the same settings, or another --workdir. Received: "
                    + "; ".join(changes)
                )


class _Kept(NamedTuple):
    """What ``config.json`` holds."""

    config: Config
    dataset_fingerprint: str


def _stages(config: Config) -> list[tuple[str, StageConfig]]:
    return [
        (field.name, getattr(config, field.name))
        for field in dataclasses.fields(config)
        if isinstance(getattr(config, field.name), StageConfig)
    ]


def _fit_to_images(config: Config, dataset: DatasetInfo) -> Config:
    image_shape = dataset.image_shape
    expected = config.vqvae.image_shape
    if tuple(image_shape[:2]) != expected[:2]:
        shape = ",".join(map(str, image_shape))
        raise UserError(
            f"the images are not of the configuration's size: expected {expected[0]} x "
            f"{expected[1]} pixels. Received: {image_shape[0]} x {image_shape[1]} "
            f"(choose another --preset, or train on them as they are with "
            f"--set vqvae.image_shape={shape})"
        )
    _, green, _ = dataset.display_channels
    section = dataclasses.replace(
        config.vqvae,
        image_shape=tuple(image_shape),
        protein_channel=-1 if green is None else green,
    )
    return dataclasses.replace(config, vqvae=section)
