"""The workdir: the files of a training run, and what may change when it resumes.

``config.json``; ``dataset.json``, a copy of that of the data; for each stage a folder
with ``checkpoints/``, ``metrics.jsonl`` and ``tensorboard/``; ``codes/``; ``report/``.
"""

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from tfvqgen.config import Config
from tfvqgen.data.dataset_info import DatasetInfo, read_info, write_info
from tfvqgen.errors import UserError
from tfvqgen.files import (
    exclusive,
    read_sealed_json,
    require_plain_path,
    write_sealed_json,
)
from tfvqgen.models import LEVELS
from tfvqgen.training.checkpoints import saved_checkpoints
from tfvqgen.validation import frozen_differences

TRAINED_STAGES = ("vqvae", *LEVELS)


class Workdir:
    """A folder with one configuration and all that was trained with it.

    Args:
        path: The folder; it is created when something is first written.

    Raises:
        UserError: TensorFlow could not read from such a folder.
    """

    def __init__(self, path: str | os.PathLike):
        require_plain_path(path)
        self.path = Path(path)
        self.config_file = self.path / "config.json"

    def stage(self, name: str) -> Path:
        """Returns the folder of a stage."""
        return self.path / name

    def checkpoints(self, stage: str) -> Path:
        """Returns the folder of a stage's checkpoints."""
        return self.stage(stage) / "checkpoints"

    def has_checkpoint(self, stage: str) -> bool:
        """Whether a stage has a checkpoint."""
        return bool(saved_checkpoints(self.checkpoints(stage)))

    def load_config(self) -> Config:
        """Reads the configuration.

        Raises:
            UserError: The folder is not a workdir.
            DataError: The file is damaged.
        """
        if not self.config_file.exists():
            raise UserError(
                "no workdir: expected a folder that train.py wrote. "
                f"Received: {self.path} without {self.config_file.name}"
            )
        return self._load()[0]

    def load_dataset_info(self) -> DatasetInfo:
        """Reads the description of the data that the models were trained on."""
        return read_info(self.path)

    @contextlib.contextmanager
    def locked(self, worker: int = 0) -> Iterator[None]:
        """Ensures that only one run, with a process for each worker, writes here."""
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
        """Returns the configuration of a run; :meth:`keep_config` writes it.

        A new workdir gets the preset with the overrides. An existing one keeps its
        configuration with the changes that are requested now, unless they would change
        a stage that already has a checkpoint. A preset or a seed of None keeps the
        present one, which is hpa128 or 0 in a new workdir. The channels are those of
        the data; the overrides are ``section.key=value`` strings.

        Raises:
            UserError: The images have another size, or a frozen key would change.
        """
        old = self._load() if self.config_file.exists() else None
        base = old[0] if old else Config()
        for name in TRAINED_STAGES:
            if not old and self.has_checkpoint(name):
                raise UserError(
                    f"stage {name} has checkpoints without their configuration: "
                    f"expected {self.config_file}. Received: no such file"
                )
        seed = base.seed if seed is None else seed
        if preset is not None:
            base = Config.from_preset(preset)
        config = dataclasses.replace(base, seed=seed).with_overrides(overrides)
        config = _fit_to_images(config, dataset).settled(len(dataset.labels))
        if old:
            self._refuse_changes(*old, config, dataset.fingerprint())
        return config

    def keep_config(self, config: Config, dataset: DatasetInfo) -> None:
        """Writes the configuration of a run, and the description of its data."""
        fingerprint = dataset.fingerprint()
        contents = {"config": config.to_json(), "dataset_fingerprint": fingerprint}
        self.path.mkdir(parents=True, exist_ok=True)
        write_sealed_json(self.config_file, contents)
        write_info(self.path, dataset)

    def _load(self) -> tuple[Config, str]:
        """Returns the configuration and the fingerprint of the data."""
        stored = read_sealed_json(self.config_file)
        try:
            config = Config.from_json(stored["config"])
            return config, str(stored["dataset_fingerprint"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"damaged configuration: expected a file that train.py wrote. "
                f"Received: {self.config_file} ({error})"
            ) from error

    def _refuse_changes(
        self, old: Config, old_data: str, new: Config, new_data: str
    ) -> None:
        shared = []
        if old.seed != new.seed:
            shared.append(f"seed: {old.seed} -> {new.seed}")
        if old_data != new_data:
            shared.append(f"data: {old_data[:12]} -> {new_data[:12]}")
        for name in TRAINED_STAGES:
            changes = frozen_differences(getattr(old, name), getattr(new, name))
            changes += shared
            if name in LEVELS:
                changes += frozen_differences(old.codes, new.codes)
            if changes and self.has_checkpoint(name):
                raise UserError(
                    f"stage {name} of {self.path} was trained with different settings: "
                    "expected the same settings, or another --workdir. Received: "
                    + "; ".join(changes)
                )


def _fit_to_images(config: Config, dataset: DatasetInfo) -> Config:
    """Takes over the channels of the images; their size must be the configured one."""
    height, width, _ = dataset.image_shape
    expected = config.vqvae.image_shape
    if (height, width) != expected[:2]:
        shape = ",".join(map(str, dataset.image_shape))
        raise UserError(
            "the images do not have the configured size: expected "
            f"{expected[0]} x {expected[1]} pixels; choose another --preset, or use "
            f"--set vqvae.image_shape={shape}. Received: {height} x {width} pixels"
        )
    _, green, _ = dataset.display_channels
    section = dataclasses.replace(
        config.vqvae,
        image_shape=tuple(dataset.image_shape),
        protein_channel=-1 if green is None else green,
    )
    return dataclasses.replace(config, vqvae=section)
