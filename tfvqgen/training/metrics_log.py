"""Metrics of a stage: running sums, ``metrics.jsonl`` and TensorBoard's files."""

import importlib.util
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfvqgen.errors import DataError
from tfvqgen.files import whole_file

# Names of sums in checkpoints where version 0.1 used other names than today.
_STORED_NAMES = {"local_power_loss": "grain_loss"}


class MetricsLog:
    """Appends metrics to ``metrics.jsonl`` and, if it is installed, TensorBoard.

    Args:
        folder: The folder of the stage.
        step: The step at which training continues. Lines of later steps, which a killed
            run wrote after its last checkpoint, are removed.
        enabled: False in all workers except for the chief.
    """

    def __init__(self, folder: str | os.PathLike, *, step: int, enabled: bool = True):
        self._path = Path(folder) / "metrics.jsonl"
        self._writer = None
        self._enabled = enabled
        if not enabled:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._path.exists():
            kept = [line for line in read_metrics(self._path) if line["step"] <= step]
            with whole_file(self._path, "w") as file:
                file.writelines(json.dumps(line) + "\n" for line in kept)
        if importlib.util.find_spec("tensorboard"):
            logs = str(Path(folder) / "tensorboard")
            self._writer = tf.summary.create_file_writer(logs)

    def write(self, step: int, split: str, metrics: Mapping[str, float]) -> None:
        """Writes named numbers; a number that is not finite becomes null."""
        if not self._enabled:
            return
        finite = {n: x if math.isfinite(x) else None for n, x in metrics.items()}
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "split": split, **finite}) + "\n")
        if self._writer:
            with self._writer.as_default(step):
                for name, value in metrics.items():
                    tf.summary.scalar(f"{split}/{name}", value)

    def write_image(self, step: int, name: str, image: np.ndarray) -> None:
        """Writes an image, uint8 [height, width, 3], to TensorBoard."""
        if self._writer:
            with self._writer.as_default(step):
                tf.summary.image(name, image[None])
            self._writer.flush()


def read_metrics(path: str | os.PathLike) -> list[dict]:
    """Reads ``metrics.jsonl``; a missing file has no lines.

    A damaged last line, which a killed run leaves, is skipped.

    Raises:
        DataError: Another line is damaged; the message names it.
    """
    lines = Path(path).read_bytes().splitlines() if Path(path).exists() else []
    read = []
    for number, line in enumerate(lines, 1):
        try:
            values = json.loads(line)
            types = [type(values.pop(name)) for name in ("step", "split")]
            if types != [int, str] or not all(
                x is None or type(x) in (int, float) for x in values.values()
            ):
                raise ValueError("not a step, a split and numbers")
            read.append(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            if number < len(lines):
                raise DataError(
                    "damaged metrics: expected a JSON object with step and split. "
                    f"Received: {path}, line {number}"
                ) from None
    return read


class RunningSums(tf.Module):
    """Adds up the sums of steps; part of a checkpoint, so that metrics resume too."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]):
        super().__init__()

        def zeros():
            return {
                _STORED_NAMES.get(name, name): tf.Variable(
                    tf.zeros(shape, tf.float64), trainable=False
                )
                for name, shape in shapes.items()
            }

        self.since_taken = zeros()
        self.steps = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.epoch = zeros()
        self.last_epoch = zeros()
        self.epoch_ended = tf.Variable(False, trainable=False)

    def add(self, sums: Mapping[str, tf.Tensor], steps: int) -> None:
        """Adds the sums of some steps, float64."""
        for name, value in sums.items():
            stored = _STORED_NAMES.get(name, name)
            self.since_taken[stored].assign_add(value)
            self.epoch[stored].assign_add(value)
        self.steps.assign_add(steps)

    def take(self) -> tuple[dict[str, np.ndarray], int]:
        """Returns the sums since the last call, and the number of their steps."""
        taken, steps = _by_name(self.since_taken), int(self.steps)
        for variable in (*self.since_taken.values(), self.steps):
            variable.assign(tf.zeros_like(variable))
        return taken, steps

    def end_epoch(self) -> None:
        """Keeps the sums of the epoch and starts the next one."""
        for name, variable in self.epoch.items():
            self.last_epoch[name].assign(variable)
            variable.assign(tf.zeros_like(variable))
        self.epoch_ended.assign(True)

    def epoch_values(self) -> dict[str, np.ndarray]:
        """Returns the sums of the last complete epoch, or of the first one so far."""
        return _by_name(self.last_epoch if self.epoch_ended else self.epoch)


def _by_name(variables: Mapping[str, tf.Variable]) -> dict[str, np.ndarray]:
    names = {stored: name for name, stored in _STORED_NAMES.items()}
    return {names.get(x, x): variable.numpy() for x, variable in variables.items()}
