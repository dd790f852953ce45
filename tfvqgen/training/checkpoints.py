"""Checkpoints of a stage: model, optimizer and step, whole or not at all."""

import contextlib
import os
import re
import shutil
import sys
from pathlib import Path

import keras
import tensorflow as tf

from tfvqgen.errors import DataError, UserError

# What restoring raises for files that are cut, flipped or of another architecture.
DAMAGE = (tf.errors.OpError, ValueError, IndexError, RuntimeError, AssertionError)


class Variables(tf.Module):
    """All variables of a Keras model or optimizer, in their order, to be saved.

    ``tf.train.Checkpoint`` finds variables by following attributes, and passes over
    those of layers that are held in lists.
    """

    def __init__(self, owner: keras.Model | keras.optimizers.Optimizer):
        super().__init__()
        self.values = [variable.value for variable in owner.variables]


class Checkpoints:
    """The checkpoints of one stage in a workdir.

    Args:
        folder: ``<workdir>/<stage>/checkpoints``.
        keep: How many are kept.
        is_chief: Whether this process writes them. Other workers take part in saving,
            as MultiWorkerMirroredStrategy wants it, but into a folder of their own that
            is removed again.
        model: Built.
        optimizer: Built.
        **tracked: What else is saved: ``step``, ...
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        *,
        keep: int = 2,
        is_chief: bool = True,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        **tracked,
    ):
        self._folder = Path(folder)
        self._checkpoint = tf.train.Checkpoint(
            model=Variables(model), optimizer=Variables(optimizer), **tracked
        )
        self._scratch = None if is_chief else Path(f"{folder}-worker-{os.getpid()}")
        self._manager = tf.train.CheckpointManager(
            self._checkpoint,
            str(self._scratch or self._folder),
            max_to_keep=keep,
            checkpoint_name="step",
        )

    def save(self, step: int) -> None:
        """Writes a checkpoint; it counts once TensorFlow has renamed its index."""
        self._manager.save(checkpoint_number=step)
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def restore_latest(self) -> int | None:
        """Restores the newest checkpoint that is whole.

        Returns:
            Its step, or None where there is no checkpoint.

        Raises:
            DataError: There are checkpoints, and none is whole.
        """
        damaged = []
        for step, path in reversed(saved_checkpoints(self._folder)):
            try:
                self._checkpoint.restore(path).assert_consumed()
            except DAMAGE as error:
                damaged.append(f"{path} ({_first_line(error)})")
                continue
            for description in damaged:
                print(
                    f"warning: damaged checkpoint passed over: {description}; "
                    f"going on from step {step}",
                    file=sys.stderr,
                )
            return step
        if damaged:
            raise DataError(
                "no checkpoint can be read: expected a whole one. "
                f"Received: {damaged[0]}"
            )
        return None


def saved_checkpoints(folder: str | os.PathLike) -> list[tuple[int, str]]:
    """Lists the steps and path prefixes of a folder's checkpoints, oldest first."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            match = re.fullmatch(r"(step-(\d+))\.index", entry.name)
            if match:
                found.append((int(match[2]), str(Path(folder) / match[1])))
    return sorted(found)


def restore_model(model: keras.Model, folder: str | os.PathLike) -> int:
    """Restores a model's weights alone from a stage's newest checkpoint.

    Args:
        model: A built model.
        folder: ``<workdir>/<stage>/checkpoints``.

    Returns:
        The checkpoint's step.

    Raises:
        UserError: There is no checkpoint, or it is of another architecture.
    """
    saved = saved_checkpoints(folder)
    if not saved:
        raise UserError(
            f"no checkpoint: expected a trained stage. Received: {os.fspath(folder)}"
        )
    step, path = saved[-1]
    variables = Variables(model)
    try:
        stored = tf.train.load_checkpoint(path).get_variable_to_shape_map()
        count = sum(name.startswith("model/values/") for name in stored)
        if count != len(variables.values):
            raise ValueError(f"{count} variables instead of {len(variables.values)}")
        status = tf.train.Checkpoint(model=variables).restore(path)
        status.assert_existing_objects_matched().expect_partial()
    except DAMAGE as error:
        raise UserError(
            "a checkpoint does not fit the configuration: expected the same "
            f"architecture. Received: {path} ({_first_line(error)})"
        ) from error
    return step


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
