"""Trains a tiny classifier on one or two logical CPUs and saves what came out.

Run as its own process, because logical devices and strategies are set up once:
python replica_run.py DATA_DIR {one,two} OUTPUT.npz
"""

import sys

import numpy as np

from tfvqgen.command_line import import_tensorflow

tf = import_tensorflow()

import keras  # noqa: E402

from tfvqgen.data import schema  # noqa: E402
from tfvqgen.evaluation.classifier.config import ClassifierConfig  # noqa: E402
from tfvqgen.evaluation.classifier.stage import ClassifierStage  # noqa: E402
from tfvqgen.training.steps import make_training_steps  # noqa: E402

STEPS = 10
BATCH = 8


def run(folder, strategy, optimizer):
    config = ClassifierConfig(width=4, batch_size=BATCH, dropout=0.3)
    dataset = schema.open_dataset(folder)
    splits = dataset.split("validation"), dataset.split("test")
    keras.utils.set_random_seed(0)
    with strategy.scope():
        stage = ClassifierStage("judge", config, *splits, seed=0)
        optimizer.build(stage.model.trainable_variables)
    data = strategy.distribute_datasets_from_function(
        lambda context: stage.training_data(
            seed=0,
            start_step=0,
            num_replicas_per_worker=context.num_replicas_in_sync,
        )
    )
    steps = make_training_steps(strategy, stage, optimizer)
    iterator = iter(data)
    results, losses = {}, []
    for step in range(STEPS):
        result = steps(iterator, tf.constant(1))
        losses.append(float(result.sums["loss"]))
        if step in (0, STEPS - 1):
            for number, variable in enumerate(stage.model.variables):
                results[f"{step}/{number} {variable.name}"] = variable.numpy()
    return {**results, "losses": np.array(losses)}


def main():
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
    with strategy.scope():
        optimizer = keras.optimizers.SGD(0.1)
    np.savez(output, **run(data, strategy, optimizer))


if __name__ == "__main__":
    main()
