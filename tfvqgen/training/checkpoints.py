"""Checkpoints of a stage: model, optimizer and step, complete or not at all."""

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tfvqgen.data.tfrecords import as_os_error
from tfvqgen.errors import DataError, UserError

# Errors of restoring from files that are cut off or have flipped bits.
_DAMAGE = (tf.errors.OpError, ValueError, IndexError, RuntimeError, AssertionError)


class Variables(tf.Module):
    """All variables of a Keras model or optimizer, in their order, for a checkpoint.

    ``tf.train.Checkpoint`` finds variables by following attributes, and misses those of
    layers that are kept in lists.
    """

    def __init__(self, owner: keras.Model | keras.optimizers.Optimizer):
        super().__init__()
        self.values = [variable.value for variable in owner.variables]


class Checkpoints:
    """The checkpoints of one stage in a workdir.

    Args:
        keep: Number of checkpoints to keep. Defaults to 2.
        is_chief: Whether this process writes them. MultiWorkerMirroredStrategy wants
            the other workers to save too; they do so in a folder of their own, which is
            removed again.
        model: A built model.
        optimizer: A built optimizer.
        **tracked: Other objects to save: ``step``, ...
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
        """Writes a checkpoint; TensorFlow renames its index last.

        Raises:
            OSError: It cannot be written. Earlier checkpoints are kept.
        """
        path = (self._scratch or self._folder) / f"step-{step}"
        try:
            with as_os_error(path):
                self._manager.save(checkpoint_number=step)
        except OSError:
            shutil.rmtree(f"{path}_temp", ignore_errors=True)
            raise
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def restore_latest(self) -> None:
        """Restores the newest checkpoint that is not damaged, if there is any.

        Raises:
            DataError: All checkpoints are damaged.
        """

        def restore(path: str) -> None:
            _assert_restored(self._checkpoint.restore(path), "assert_consumed")

        if saved_checkpoints(self._folder):
            _restore_newest(self._folder, restore)


def saved_checkpoints(folder: str | os.PathLike) -> list[tuple[int, str]]:
    """Lists the steps and path prefixes of a folder's checkpoints, oldest first."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            match = re.fullmatch(r"(step-(\d+))\.index", entry.name)
            # A run that is killed while it writes the index leaves an empty file.
            if match and entry.stat().st_size:
                found.append((int(match[2]), str(Path(folder) / match[1])))
    return sorted(found)


def restore_model(model: keras.Model, folder: str | os.PathLike) -> int:
    """Restores a built model from the newest checkpoint, and returns its step.

    Raises:
        UserError: There is no checkpoint, or its model has another architecture.
        DataError: All checkpoints are damaged.
    """
    return _restore_values(folder, model.variables, lambda path: ("model", "values"))


def restore_averages(model: keras.Model, folder: str | os.PathLike) -> int:
    """Restores the best averages of the weights, in place of the weights.

    The present averages are restored if there was no validation yet. The model was
    trained with :class:`WeightAverages`; otherwise see :func:`restore_model`.
    """

    def which(path: str) -> tuple[str, str]:
        loss = tf.train.load_checkpoint(path).get_tensor(_key("averages/best_loss"))
        return "averages", "best" if np.isfinite(loss) else "values"

    return _restore_values(folder, model.trainable_weights, which)


def _restore_values(
    folder: str | os.PathLike,
    variables: list[keras.Variable],
    which: Callable[[str], tuple[str, str]],
) -> int:
    """Restores variables from a list in the newest checkpoint that is not damaged.

    `which` returns, for the path prefix of a checkpoint, the names of the tracked
    object and of its list.
    """
    if not saved_checkpoints(folder):
        raise UserError(
            f"no checkpoint: expected a trained stage. Received: {os.fspath(folder)}"
        )
    values = [variable.value for variable in variables]
    expected = [tuple(value.shape) for value in values]

    def restore(path: str) -> None:
        tracked, name = which(path)
        stored = tf.train.load_checkpoint(path).get_variable_to_shape_map()
        prefix = f"{tracked}/{name}/"
        number = sum(n.startswith(prefix) for n in stored)
        shapes = [tuple(stored.get(_key(f"{prefix}{i}"), ())) for i in range(number)]
        if shapes != expected:
            raise UserError(
                "a checkpoint does not fit the configuration: expected the same "
                f"architecture, {len(expected)} variables. Received: {path}, "
                f"{len(shapes)} variables of other shapes"
            )
        owner = tf.Module()
        setattr(owner, name, values)
        status = tf.train.Checkpoint(**{tracked: owner}).restore(path)
        _assert_restored(status, "assert_existing_objects_matched")

    return _restore_newest(folder, restore)


def _key(path: str) -> str:
    return f"{path}/.ATTRIBUTES/VARIABLE_VALUE"


def _assert_restored(status, check: str) -> None:
    # The check reports everything that is missing; TensorFlow would warn as well.
    try:
        getattr(status, check)()
    finally:
        status.expect_partial()


def _restore_newest(folder: str | os.PathLike, restore: Callable[[str], None]) -> int:
    """Calls `restore` on checkpoints, newest first, until one is not damaged."""
    damaged = []
    for step, path in reversed(saved_checkpoints(folder)):
        try:
            restore(path)
        except UserError:
            raise
        except _DAMAGE as error:
            damaged.append(f"{path} ({(str(error).splitlines() or [repr(error)])[0]})")
            continue
        for description in damaged:
            print(
                f"warning: skipped a damaged checkpoint: {description}; continuing "
                f"from step {step}",
                file=sys.stderr,
            )
        return step
    raise DataError(
        "no checkpoint can be read: expected at least one undamaged checkpoint. "
        f"Received: {damaged[0]}"
    )
