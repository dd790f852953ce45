"""Sums of training figures: since the last line written, and over the epoch."""

from collections.abc import Mapping

import numpy as np
import tensorflow as tf


class RunningSums(tf.Module):
    """Adds up the sums of steps; part of a checkpoint, so that figures resume too.

    Args:
        shapes: The sums' shapes by name.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]):
        super().__init__()

        def zeros():
            return {
                name: tf.Variable(tf.zeros(shape, tf.float64), trainable=False)
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
            self.since_taken[name].assign_add(value)
            self.epoch[name].assign_add(value)
        self.steps.assign_add(steps)

    def take(self) -> tuple[dict[str, np.ndarray], int]:
        """Returns the sums since the last call and of how many steps they are."""
        taken = {name: v.numpy() for name, v in self.since_taken.items()}
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
        return {name: variable.numpy() for name, variable in chosen.items()}
