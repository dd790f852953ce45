"""What a stage writes down while it trains: metrics.jsonl, and TensorBoard's files."""

import importlib.util
import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfvqgen.errors import DataError
from tfvqgen.files import whole_file

_HISTOGRAM_COUNTS = 10_000


class MetricsLog:
    """Appends figures to ``metrics.jsonl`` and, where it is installed, TensorBoard.

    Args:
        folder: The stage's folder.
        step: The step that training goes on from; lines after it, which a killed run
            wrote after its last checkpoint, are taken out again.
        enabled: False in workers other than the chief.
    """

    def __init__(self, folder: str | os.PathLike, *, step: int, enabled: bool = True):
        self._path = Path(folder) / "metrics.jsonl"
        self._writer = None
        self._enabled = enabled
        if not enabled:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        _drop_lines_after(self._path, step)
        if importlib.util.find_spec("tensorboard"):
            self._writer = tf.summary.create_file_writer(
                str(Path(folder) / "tensorboard")
            )

    def write(self, step: int, split: str, figures: Mapping[str, float]) -> None:
        """Writes named numbers; one that is not finite is written as null."""
        if not self._enabled:
            return
        finite = {
            name: value if math.isfinite(value) else None
            for name, value in figures.items()
        }
        line = json.dumps({"step": step, "split": split, **finite}, allow_nan=False)
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(line + "\n")
        if self._writer:
            with self._writer.as_default(step):
                for name, value in figures.items():
                    tf.summary.scalar(f"{split}/{name}", value)

    def write_histogram(self, step: int, name: str, counts: np.ndarray) -> None:
        """Shows how often each code was used, [K], in TensorBoard."""
        if self._writer:
            uses = np.repeat(np.arange(len(counts)), _thinned(counts))
            with self._writer.as_default(step):
                tf.summary.histogram(name, uses)

    def write_picture(self, step: int, name: str, picture: np.ndarray) -> None:
        """Shows a picture, uint8 [height, width, 3], in TensorBoard."""
        if self._writer:
            with self._writer.as_default(step):
                tf.summary.image(name, picture[None])
            self._writer.flush()


def read_metrics(path: str | os.PathLike) -> list[dict]:
    """Reads ``metrics.jsonl``, if it is there.

    A last line that a crash cut short is left out.

    Raises:
        DataError: Another line is damaged; the message names it.
    """
    lines = Path(path).read_bytes().splitlines() if Path(path).exists() else []
    read = []
    for number, line in enumerate(lines, 1):
        try:
            read.append(_checked(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            if number < len(lines):
                raise DataError(
                    "damaged figures: expected a JSON object with step and split. "
                    f"Received: {path}, line {number}"
                ) from None
    return read


def _checked(value: dict) -> dict:
    """Returns a line's value; any error says that it is not one."""
    numbers = [x for name, x in value.items() if name not in ("step", "split")]
    steps = type(value["step"]) is int and isinstance(value["split"], str)
    if not steps or not all(x is None or type(x) in (int, float) for x in numbers):
        raise TypeError("expected a step, a split and numbers")
    if max(map(abs, (value["step"], *filter(None, numbers)))) > sys.float_info.max:
        raise ValueError("expected numbers")
    return value


def _drop_lines_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    kept = [line for line in read_metrics(path) if line["step"] <= step]
    with whole_file(path, "w") as file:
        file.writelines(json.dumps(line) + "\n" for line in kept)


def _thinned(counts: np.ndarray) -> np.ndarray:
    """Scales counts down to as many in all as are plenty for a histogram."""
    scale = min(1.0, _HISTOGRAM_COUNTS / max(counts.sum(), 1))
    return np.ceil(counts * scale).astype(int)


# Names of sums in checkpoints, where they differ from the present names: those that
# version 0.1 wrote.
_STORED_NAMES = {"local_power_loss": "grain_loss"}
_NAMES = {stored: name for name, stored in _STORED_NAMES.items()}


class RunningSums(tf.Module):
    """Adds up the sums of steps; part of a checkpoint, so that figures resume too.

    Args:
        shapes: The sums' shapes by name.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]):
        super().__init__()

        def zeros():
            return {
                _stored(name): tf.Variable(tf.zeros(shape, tf.float64), trainable=False)
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
            self.since_taken[_stored(name)].assign_add(value)
            self.epoch[_stored(name)].assign_add(value)
        self.steps.assign_add(steps)

    def take(self) -> tuple[dict[str, np.ndarray], int]:
        """Returns the sums since the last call and of how many steps they are."""
        taken = {_name(x): v.numpy() for x, v in self.since_taken.items()}
        steps = int(self.steps)
        for variable in (*self.since_taken.values(), self.steps):
            variable.assign(tf.zeros_like(variable))
        return taken, steps

    def end_epoch(self) -> None:
        """Puts the epoch's sums aside and starts anew."""
        for name, variable in self.epoch.items():
            self.last_epoch[name].assign(variable)
            variable.assign(tf.zeros_like(variable))
        self.epoch_ended.assign(True)

    def epoch_values(self) -> dict[str, np.ndarray]:
        """Returns the sums of the last whole epoch, or what there is of the first."""
        chosen = self.last_epoch if self.epoch_ended else self.epoch
        return {_name(x): variable.numpy() for x, variable in chosen.items()}


def _stored(name: str) -> str:
    return _STORED_NAMES.get(name, name)


def _name(stored: str) -> str:
    return _NAMES.get(stored, stored)
