"""Learning rates and weights as functions of the step."""

import math

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
