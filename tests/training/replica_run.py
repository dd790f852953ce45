"""Trains a tiny autoencoder on one or two logical CPUs and saves what came out.

Run as its own process, because logical devices and strategies are set up once:
python replica_run.py DATA_DIR {one,two} OUTPUT.npz
"""

import sys

import numpy as np

from tfvqgen.command_line import import_tensorflow

tf = import_tensorflow()

import keras  # noqa: E402

from tfvqgen.config import Config  # noqa: E402
from tfvqgen.data import input_pipeline, schema  # noqa: E402
from tfvqgen.training.autoencoder import AutoencoderStage  # noqa: E402
from tfvqgen.training.steps import make_training_steps  # noqa: E402

STEPS = 20
BATCH = 8

# An embedding that moves so far in a step was re-seeded.
JUMP = 0.01


def configured(rule):
    return Config.from_preset("hpa128").with_overrides(
        [
            "vqvae.image_shape=16,16,3",
            "vqvae.hidden=8",
            "vqvae.residual_width=4",
            "vqvae.num_embeddings=16",
            "vqvae.embedding_dim=4",
            "vqvae.quantize_after=0",
            "vqvae.revive_below=0.3",
            "vqvae.decay=0.8",
            "vqvae.bottom_dropout=0.3",
            f"vqvae.codebook_rule={rule}",
            f"vqvae.batch_size={BATCH}",
        ]
    )


def run(dataset, strategy, rule, optimizer_name):
    config = configured(rule)
    keras.utils.set_random_seed(0)
    with strategy.scope():
        stage = AutoencoderStage(config, dataset)
        optimizer = {
            "sgd": lambda: keras.optimizers.SGD(1.0),
            "adam": lambda: keras.optimizers.Adam(1e-3),
        }[optimizer_name]()
        optimizer.build(stage.model.trainable_variables)
    data = strategy.distribute_datasets_from_function(
        lambda context: input_pipeline.training_examples(
            dataset.split("train"),
            seed=0,
            batch_size=BATCH,
            num_replicas_per_worker=context.num_replicas_in_sync,
            augment=True,
        )
    )
    steps = make_training_steps(strategy, stage, optimizer)
    iterator = iter(data)
    results = {}
    losses = []
    jumps = 0
    after = stage.model.top_quantizer.embeddings.numpy()
    for step in range(STEPS):
        result = steps(iterator, tf.constant(1))
        losses.append(float(result.sums["loss"]))
        if step in (0, 2, STEPS - 1):
            for number, variable in enumerate(stage.model.variables):
                results[f"{step}/{number} {variable.name}"] = variable.numpy()
        if step == 0:
            results["gradient_norm"] = result.sums["gradient_norm"].numpy()
        before = after
        after = stage.model.top_quantizer.embeddings.numpy()
        jumps += int(np.sum(np.abs(after - before).max(axis=1) > JUMP))
    results["losses"] = np.array(losses)
    results["jumps"] = jumps
    return {f"{rule}/{optimizer_name}/{name}": v for name, v in results.items()}


def main():
    data_dir, replicas, output = sys.argv[1:]
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    strategy = (
        tf.distribute.MirroredStrategy(["cpu:0", "cpu:1"])
        if replicas == "two"
        else tf.distribute.OneDeviceStrategy("cpu:0")
    )
    dataset = schema.open_dataset(data_dir)
    results = {}
    for rule in ("ema", "gradient"):
        for optimizer in ("sgd", "adam"):
            results |= run(dataset, strategy, rule, optimizer)
    np.savez(output, **results)


if __name__ == "__main__":
    main()
