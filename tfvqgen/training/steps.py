"""Training and validation steps in graph, under any strategy."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import tensorflow as tf

from tfvqgen.training.stages.base import Batch, Stage, Sums

SUM = tf.distribute.ReduceOp.SUM


class StepsResult(NamedTuple):
    """The result of several training steps."""

    sums: Sums  # Of all_sum_shapes, over replicas and steps, float64.
    steps: tf.Tensor  # Number of steps, int32 scalar.
    finite: tf.Tensor  # Whether the last loss and gradients were finite, bool scalar.


def make_training_steps(
    strategy: tf.distribute.Strategy,
    stage: Stage,
    optimizer: keras.optimizers.Optimizer,
) -> Callable[[object, tf.Tensor], StepsResult]:
    """Returns a graph function that makes several training steps.

    It takes a distributed iterator and the number of steps (a tensor, so that another
    number is not another graph), and stops early after a step that is not finite.
    """

    def replica_step(batch: Batch) -> Sums:
        return _training_step(stage, optimizer, batch)

    @tf.function
    def training_steps(iterator, steps):
        # Sums of float32 are exact in float64, so that they do not depend on the number
        # of steps in a call.
        shapes = all_sum_shapes(stage)
        sums = {name: tf.zeros(shape, tf.float64) for name, shape in shapes.items()}
        watched = [n for n in sums if n == "loss" or n.endswith("gradient_norm")]
        taken = tf.zeros([], tf.int32)
        finite = tf.ones([], tf.bool)
        while taken < steps and finite:
            step_sums = strategy.run(replica_step, args=(next(iterator),))
            step_sums = _sum_over_replicas(strategy, step_sums)
            finite = tf.reduce_all(tf.math.is_finite([step_sums[n] for n in watched]))
            sums = {
                name: total + tf.cast(step_sums[name], tf.float64)
                for name, total in sums.items()
            }
            taken += 1
        return StepsResult(sums, taken, finite)

    return training_steps


def make_validation_step(
    strategy: tf.distribute.Strategy, stage: Stage
) -> Callable[[Batch], Sums]:
    """Returns a graph function from a distributed batch to its validation sums."""

    @tf.function
    def validation_step(batch):
        sums = strategy.run(stage.validation_sums, args=(batch,))
        return _sum_over_replicas(strategy, sums)

    return validation_step


def all_sum_shapes(stage: Stage) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of the stage's sums and of the norms of the gradients."""
    critic = {} if stage.adversary is None else {"critic_gradient_norm": ()}
    return {**stage.sum_shapes, "gradient_norm": (), **critic}


def _training_step(
    stage: Stage, optimizer: keras.optimizers.Optimizer, batch: Batch
) -> Sums:
    """Makes one training step of one replica and returns its sums.

    The loss is divided by the number of replicas once, in :func:`_gradients`: gradients
    are summed over replicas, and each replica's loss is a mean over its own part of the
    batch. The norm that is clipped is the norm of the gradient of the whole batch, so
    the sum is taken before the optimizer, and not by it. The weights of a critic are
    trained on the same loss by their own optimizer, with a norm of their own.
    """
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    adversary = stage.adversary
    own = stage.model.trainable_variables
    critics = [] if adversary is None else adversary.critic.trainable_variables
    gradients, sums = _gradients(stage, batch, [*own, *critics], replicas)
    gradients = context.all_reduce(SUM, gradients)
    clip_norm = stage.config.clip_norm
    sums["gradient_norm"] = _apply(optimizer, gradients[: len(own)], own, clip_norm)
    if adversary is not None:
        sums["critic_gradient_norm"] = _apply(
            adversary.optimizer, gradients[len(own) :], critics, clip_norm
        )
    if stage.averages is not None:
        stage.averages.update(optimizer.iterations.value - 1)
    # Means are divided by the number of replicas, since the sums are added up.
    return {n: x / replicas if x.shape.rank == 0 else x for n, x in sums.items()}


def _apply(optimizer, gradients, variables, clip_norm: float) -> tf.Tensor:
    """Clips a gradient, applies it and returns its norm.

    The gradient is already the same on all replicas. The optimizer sums it once more,
    so it is divided by their number.
    """
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    norm = tf.linalg.global_norm(gradients)
    if clip_norm:
        gradients, _ = tf.clip_by_global_norm(gradients, clip_norm, use_norm=norm)
    if replicas > 1:
        gradients = [gradient / replicas for gradient in gradients]
    optimizer.apply(gradients, variables)
    return norm


def _gradients(stage: Stage, batch: Batch, variables, replicas: int):
    """Returns a replica's part of the gradient, and its sums.

    With accumulation the batch is split into equal parts, and their gradients and sums
    are averaged: this needs the memory of one part and gives the same result.
    """

    def gradients_of_part(part: Batch):
        with tf.GradientTape() as tape:
            loss, sums = stage.loss(part)
            shared_loss = loss / (replicas * stage.accumulation)
        gradients = tape.gradient(
            shared_loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        sums = {name: value / stage.accumulation for name, value in sums.items()}
        return [tf.convert_to_tensor(gradient) for gradient in gradients], sums

    if stage.accumulation == 1:
        return gradients_of_part(batch)
    parts = {
        name: tf.reshape(value, [stage.accumulation, -1, *value.shape[1:]])
        for name, value in batch.items()
    }

    def add_part(number, *totals):
        part = {name: value[number] for name, value in parts.items()}
        added = tf.nest.map_structure(tf.add, totals, gradients_of_part(part))
        return number + 1, *added

    zeros = {name: tf.zeros(shape) for name, shape in stage.sum_shapes.items()}
    _, gradients, sums = tf.while_loop(
        lambda number, *_: number < stage.accumulation,
        add_part,
        [tf.constant(0), [tf.zeros(variable.shape) for variable in variables], zeros],
    )
    return gradients, sums


def _sum_over_replicas(strategy: tf.distribute.Strategy, sums: Sums) -> Sums:
    return {
        name: strategy.reduce(SUM, value, axis=None) for name, value in sums.items()
    }
