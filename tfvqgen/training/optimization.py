"""Learning rate schedules and averages of the weights."""

import contextlib
import math
from collections.abc import Iterator

import keras
import tensorflow as tf


class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up to a peak, then a half cosine down to a constant.

    ``keras.optimizers.schedules.CosineDecay`` would start at 0 and take no variable.

    Args:
        peak: The learning rate after the warm-up.
        warmup_steps: Steps of the warm-up; at step 0 the rate is peak / warmup_steps.
        decay_steps: The step at which the decay ends; a variable can be restored from a
            checkpoint.
        final_share: The final learning rate as a share of the peak.
    """

    def __init__(
        self,
        peak: float,
        warmup_steps: int,
        decay_steps: int | tf.Variable,
        final_share: float,
    ):
        self.peak = peak
        self.warmup_steps = warmup_steps
        self.decay_steps = decay_steps
        self.final_share = final_share

    def __call__(self, step):
        """Returns the learning rate at a step, float32 scalar."""
        step = tf.cast(step, tf.float32)
        rise = (step + 1) / max(self.warmup_steps, 1)
        end = tf.cast(self.decay_steps, tf.float32)
        fall_steps = tf.maximum(end - self.warmup_steps, 1.0)
        progress = tf.clip_by_value((step - self.warmup_steps) / fall_steps, 0.0, 1.0)
        cosine = (1 + tf.cos(math.pi * progress)) / 2
        fall = self.final_share + (1 - self.final_share) * cosine
        return self.peak * tf.minimum(rise, fall)


class LinearRise(keras.optimizers.schedules.LearningRateSchedule):
    """0 up to the step `start`, then a linear rise over `length` steps to `peak`."""

    def __init__(self, peak: float, start: int, length: int):
        self.peak = peak
        self.start = start
        self.length = length

    def __call__(self, step):
        """Returns the value at a step, float32 scalar."""
        progress = (tf.cast(step, tf.float32) - self.start) / self.length
        return self.peak * tf.clip_by_value(progress, 0.0, 1.0)


class WeightAverages(tf.Module):
    """Exponential moving averages of a model's trainable weights; part of a checkpoint.

    PixelSNAIL (Chen et al. 2017) is evaluated and sampled with such averages (Polyak
    averaging). The decay at step t is min(decay, t / (t + 9)), so that the initial
    weights are soon forgotten.

    Args:
        model: A built model; both are created in the scope of the strategy.
        decay: Decay of the averages, below 1.
    """

    def __init__(self, model: keras.Model, decay: float):
        super().__init__()
        self._weights = [weight.value for weight in model.trainable_weights]
        self._decay = decay

        def copy(weight) -> tf.Variable:
            first = tf.VariableAggregation.ONLY_FIRST_REPLICA
            return tf.Variable(weight, trainable=False, aggregation=first)

        self.values = [copy(weight) for weight in self._weights]
        self.best = [copy(weight) for weight in self._weights]
        self.best_loss = tf.Variable(math.inf, dtype=tf.float64, trainable=False)
        self.validations_since_best = tf.Variable(0, dtype=tf.int64, trainable=False)

    def restart(self) -> None:
        """Sets all averages to the present weights."""
        for averages in (self.values, self.best):
            _assign(averages, self._weights)

    def update(self, step: tf.Tensor) -> None:
        """Updates the averages, in replica context, after `step` earlier steps."""
        step = tf.cast(step, tf.float32) + 1
        share = 1 - tf.minimum(self._decay, step / (step + 9))
        for average, weight in zip(self.values, self._weights, strict=True):
            average.assign(average + share * (weight - average))

    def keep_if_best(self, loss: float) -> None:
        """Keeps a copy of the averages if their validation loss is the lowest yet."""
        if loss < float(tf.convert_to_tensor(self.best_loss)):
            self.best_loss.assign(loss)
            self.validations_since_best.assign(0)
            _assign(self.best, self.values)
        else:
            self.validations_since_best.assign_add(1)

    def has_stalled(self, patience: int) -> bool:
        """Whether the last `patience` validations had no lower loss; False for 0."""
        since = int(tf.convert_to_tensor(self.validations_since_best))
        return 0 < patience <= since

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Replaces the weights by the averages while the body runs."""
        kept = [tf.convert_to_tensor(weight).numpy() for weight in self._weights]
        _assign(self._weights, self.values)
        try:
            yield
        finally:
            _assign(self._weights, kept)


def _assign(variables, values) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
