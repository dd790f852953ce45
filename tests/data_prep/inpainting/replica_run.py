"""Trains a tiny pairing network on one or two logical CPUs and saves what came out.

Run as its own process, because logical devices and strategies are set up once:
python replica_run.py CROPS_DIR {one,two} OUTPUT.npz
"""

import sys

import numpy as np

from tfvqgen.command_line import import_tensorflow

tf = import_tensorflow()

import keras  # noqa: E402

from data_prep.inpainting.config import InpaintingConfig  # noqa: E402
from data_prep.inpainting.crop_images import CropImages  # noqa: E402
from data_prep.inpainting.pairing import Pairs, group_crops  # noqa: E402
from data_prep.inpainting.stage import InpaintingStage  # noqa: E402
from tfvqgen.data.crops import read_crops  # noqa: E402
from tfvqgen.training.steps import make_training_steps  # noqa: E402

STEPS = 10
BATCH = 8


def run(folder, strategy, optimizer):
    config = InpaintingConfig(width=0.05, size=16, batch_size=BATCH, min_group=2)
    images = CropImages(folder, ("green", "blue", "red"), config.size)
    groups = group_crops(folder.rows, min_group=2, validation_share=0.3, seed=0)
    training = Pairs(images, groups.training, augment=True)
    keras.utils.set_random_seed(0)
    with strategy.scope():
        stage = InpaintingStage(config, training, Pairs(images, groups.validation))
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
    crops, replicas, output = sys.argv[1:]
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
    np.savez(output, **run(read_crops(crops), strategy, optimizer))


if __name__ == "__main__":
    main()
