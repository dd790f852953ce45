"""What a process does that trains on one or two logical CPUs.

Logical devices and strategies are set up once a process: a script calls :func:`main`,
and `tests.replicas` runs it.
"""

import sys

import numpy as np

from tfvqgen.command_line import import_tensorflow

tf = import_tensorflow()

import keras  # noqa: E402

from tfvqgen.training.steps import make_training_steps  # noqa: E402

STEPS = 10
SGD_RATE = 0.1


def main(run):
    """Saves what `run` returns; arguments of the process are DATA {one,two} OUTPUT."""
    data, replicas, output = sys.argv[1:]
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    strategy = (
        tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"])
        if replicas == "two"
        else tf.distribute.OneDeviceStrategy("cpu:0")
    )
    np.savez(output, **run(data, strategy))


def steps_of(make_stage, strategy, make_optimizer, training_data):
    """Yields the stage and what each step returned, one after another, without end.

    Args:
        make_stage: Called in the strategy's scope.
        strategy: On which it is trained.
        make_optimizer: Called in the strategy's scope.
        training_data: Takes the stage and the replicas of a worker; returns batches.
    """
    keras.utils.set_random_seed(0)
    with strategy.scope():
        stage = make_stage()
        optimizer = make_optimizer()
        optimizer.build(stage.model.trainable_variables)
    data = strategy.distribute_datasets_from_function(
        lambda context: training_data(stage, context.num_replicas_in_sync)
    )
    steps, iterator = make_training_steps(strategy, stage, optimizer), iter(data)
    while True:
        yield stage, steps(iterator, tf.constant(1))


def variables_and_losses(make_stage, strategy):
    """Returns a stage's variables after the first and the last step, and all losses."""

    def training_data(stage, replicas):
        return stage.training_data(
            seed=0, start_step=0, num_replicas_per_worker=replicas
        )

    def make_optimizer():
        return keras.optimizers.SGD(SGD_RATE)

    results, losses = {}, []
    steps = steps_of(make_stage, strategy, make_optimizer, training_data)
    for step, (stage, result) in zip(range(STEPS), steps, strict=False):
        losses.append(float(result.sums["loss"]))
        if step in (0, STEPS - 1):
            for number, variable in enumerate(stage.model.variables):
                results[f"{step}/{number} {variable.name}"] = variable.numpy()
    return {**results, "losses": np.array(losses)}
