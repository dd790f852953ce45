"""Learning rates and weights as functions of the step."""

import contextlib
import math
from collections.abc import Iterator

import keras
import tensorflow as tf


class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Rises linearly to a peak, then falls along a half cosine and stays.

    Args:
        peak: The learning rate after the warm-up.
        warmup_steps: Steps of the rise; step 0 already moves, by peak / warmup_steps.
        decay_steps: The step at which the fall ends; a variable where it is restored.
        final_share: Share of the peak that it ends at.
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

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "decay_steps": int(self.decay_steps),
            "final_share": self.final_share,
        }


class LinearRise(keras.optimizers.schedules.LearningRateSchedule):
    """Is 0 up to a step, then rises linearly to a peak and stays.

    Args:
        peak: The value that it ends at.
        start: The last step at 0.
        length: Steps of the rise.
    """

    def __init__(self, peak: float, start: int, length: int):
        self.peak = peak
        self.start = start
        self.length = length

    def __call__(self, step):
        """Returns the value at a step, float32 scalar."""
        risen = (tf.cast(step, tf.float32) - self.start) / self.length
        return self.peak * tf.clip_by_value(risen, 0.0, 1.0)

    def get_config(self):
        """Returns the constructor's arguments."""
        return {"peak": self.peak, "start": self.start, "length": self.length}


class WeightAverages(tf.Module):
    """Moving averages of a model's trainable weights; part of a checkpoint.

    PixelSNAIL (Chen et al. 2017) evaluates and samples with such averages. The average
    starts as the plain mean of the first weights, so that it is of use early:
    the decay at step t is min(decay, t / (t + 9)).

    Args:
        model: Built; made in the strategy's scope, as this is.
        decay: Of the averages, below 1.
    """

    def __init__(self, model: keras.Model, decay: float):
        super().__init__()
        self._weights = [weight.value for weight in model.trainable_weights]
        self._decay = decay
        self.values = [self._copy(weight) for weight in self._weights]
        self.best = [self._copy(weight) for weight in self._weights]
        self.best_loss = tf.Variable(math.inf, dtype=tf.float64, trainable=False)
        self.validations_since_best = tf.Variable(0, dtype=tf.int64, trainable=False)

    def restart(self) -> None:
        """Starts again from the weights as they are now."""
        for average, best, weight in zip(
            self.values, self.best, self._weights, strict=True
        ):
            average.assign(weight)
            best.assign(weight)

    def update(self, step: tf.Tensor) -> None:
        """Moves the averages towards the weights, in replica context.

        Args:
            step: Steps taken before this one, int64 scalar.
        """
        step = tf.cast(step, tf.float32) + 1
        share = 1 - tf.minimum(self._decay, step / (step + 9))
        for average, weight in zip(self.values, self._weights, strict=True):
            average.assign(average + share * (weight - average))

    def judge(self, loss: float) -> None:
        """Keeps the averages as the best ones if their held-out loss is the lowest."""
        if loss < float(tf.convert_to_tensor(self.best_loss)):
            self.best_loss.assign(loss)
            self.validations_since_best.assign(0)
            for best, average in zip(self.best, self.values, strict=True):
                best.assign(average)
        else:
            self.validations_since_best.assign_add(1)

    def has_stalled(self, patience: int) -> bool:
        """Whether the best is `patience` validations ago; never if that is 0."""
        since = int(tf.convert_to_tensor(self.validations_since_best))
        return 0 < patience <= since

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Puts the averages in the weights' place for as long as the body runs."""
        kept = [tf.convert_to_tensor(weight).numpy() for weight in self._weights]
        for average, weight in zip(self.values, self._weights, strict=True):
            weight.assign(average)
        try:
            yield
        finally:
            for value, weight in zip(kept, self._weights, strict=True):
                weight.assign(value)

    @staticmethod
    def _copy(weight):
        return tf.Variable(
            weight,
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
