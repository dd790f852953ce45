"""Trains tiny models: python replica_run.py DATA_DIR {one,two} OUTPUT.npz."""

import functools
import tempfile
from pathlib import Path

import keras
import numpy as np

from tests import replica_process
from tfvqgen.config import Config
from tfvqgen.data import codes, input_pipeline, schema
from tfvqgen.data.tfrecords import write_shard
from tfvqgen.models import VQVAE2
from tfvqgen.training.stages.classifier import ClassifierConfig, ClassifierStage
from tfvqgen.training.stages.prior import PriorStage
from tfvqgen.training.stages.vqvae import AutoencoderStage

STEPS = 20
BATCH = 8

# Parts of a batch hold other rows on two replicas, and so other noise.
PRIORS = {
    "prior": ("bottom.dropout=0.3", "bottom.label_dropout=0.3"),
    "accumulating_prior": (
        "bottom.accumulation=2",
        "bottom.dropout=0",
        "bottom.label_dropout=0",
    ),
}

# A critic that pulls from the second step on, with the losses that see neighbours.
CRITIC = (
    "vqvae.laplacian_weight=0.1",
    "vqvae.frequency_weight=0.1",
    "vqvae.adversarial_weight=0.5",
    "vqvae.adversarial_after=0",
    "vqvae.adversarial_ramp=1",
    "vqvae.critic_width=4",
)

# Larger steps of the shortcuts' linear map would magnify rounding from step to step.
OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(replica_process.SGD_RATE),
    "adam": lambda: keras.optimizers.Adam(1e-3),
}
# An embedding that moves so far in a step was re-seeded.
JUMP = 0.3


def configured(rule, *keys):
    return Config.from_preset("hpa128").with_overrides(
        [
            "vqvae.image_shape=16,16,3",
            "vqvae.hidden=8",
            "vqvae.residual_width=4",
            "vqvae.num_embeddings=16",
            "vqvae.embedding_dim=4",
            "vqvae.quantize_after=0",
            "vqvae.dead_code_threshold=0.3",
            "vqvae.decay=0.8",
            "vqvae.bottom_dropout=0.3",
            f"vqvae.codebook_update={rule}",
            f"vqvae.batch_size={BATCH}",
            *keys,
        ]
    )


def configured_prior(*keys):
    return (
        Config.from_preset("hpa128")
        .with_overrides(
            [
                "vqvae.image_shape=16,16,3",
                "vqvae.num_embeddings=16",
                "bottom.width=8",
                "bottom.blocks=2",
                "bottom.residual_width=4",
                "bottom.heads=2",
                "bottom.key_dim=2",
                "bottom.value_dim=2",
                f"bottom.batch_size={BATCH}",
                *keys,
            ]
        )
        .settled(num_labels=3)
    )


def make_codes(folder):
    """Writes random codes."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    records = [
        codes.serialize_codes(
            rng.integers(16, size=(2, 2)),
            rng.integers(16, size=(4, 4)),
            [i % 3],
            str(i),
        )
        for i in range(24)
    ]
    shard = write_shard(folder / "train", records)
    info = codes.CodesInfo(
        symmetries=1,
        top_shape=(2, 2),
        bottom_shape=(4, 4),
        num_embeddings=16,
        labels=("a", "b", "c"),
        dataset_fingerprint="",
        autoencoder_fingerprint="",
        splits={"train": (shard,)},
    )
    return codes.CodeSplit(folder, "train", info)


def run_autoencoder(dataset, strategy, rule, optimizer_name):
    config = configured(rule)
    split = dataset.split("train")

    def watch(stage):
        return stage.model.top_quantizer.embeddings.numpy()

    make_stage = functools.partial(AutoencoderStage, config, dataset)
    results = run(make_stage, split, strategy, optimizer_name, True, watch)
    return {f"{rule}/{optimizer_name}/{name}": v for name, v in results.items()}


def run_with_critic(dataset, strategy, optimizer_name):
    config = configured("ema", *CRITIC)
    split = dataset.split("train")

    def make_stage():
        stage = AutoencoderStage(config, dataset)
        # Adam would turn rounding into steps.
        stage.adversary.optimizer = keras.optimizers.SGD(0.01)
        stage.adversary.optimizer.build(stage.adversary.critic.trainable_variables)
        return stage

    results = run(
        make_stage, split, strategy, optimizer_name, True, lambda _: np.zeros([1, 1])
    )
    return {f"critic/{optimizer_name}/{name}": v for name, v in results.items()}


def run_prior(split, strategy, name, keys, optimizer_name):
    config = configured_prior(*keys)
    autoencoder = VQVAE2(config.vqvae)
    autoencoder.build()

    def make_stage():
        return PriorStage("bottom", config, split, split, autoencoder, (0, 1, 2))

    results = run(
        make_stage, split, strategy, optimizer_name, False, lambda _: np.zeros([1, 1])
    )
    return {f"{name}/{optimizer_name}/{key}": v for key, v in results.items()}


def run(make_stage, split, strategy, optimizer_name, augment, watch):
    def training_data(_, replicas):
        return input_pipeline.training_examples(
            split,
            seed=0,
            batch_size=BATCH,
            num_replicas_per_worker=replicas,
            augment=augment,
        )

    steps = replica_process.steps_of(
        make_stage, strategy, OPTIMIZERS[optimizer_name], training_data
    )
    results, losses, jumps, before = {}, [], 0, None
    for step, (stage, result) in zip(range(STEPS), steps, strict=False):
        losses.append(float(result.sums["loss"]))
        if step in (0, 2, STEPS - 1):
            critics = stage.adversary.critic.variables if stage.adversary else []
            for number, variable in enumerate([*stage.model.variables, *critics]):
                results[f"{step}/{number} {variable.name}"] = variable.numpy()
        if step == 0:
            for name, value in result.sums.items():
                if not name.endswith("_counts"):
                    results[f"sums/{name}"] = value.numpy()
        after = watch(stage)
        if before is not None:
            jumps += int(np.sum(np.abs(after - before).max(axis=1) > JUMP))
        before = after
    results["losses"] = np.array(losses)
    results["jumps"] = jumps
    return results


def run_all(data_dir, strategy):
    dataset = schema.open_dataset(data_dir)
    results = {}
    for rule in ("ema", "gradient"):
        for optimizer in OPTIMIZERS:
            results |= run_autoencoder(dataset, strategy, rule, optimizer)
    for optimizer in OPTIMIZERS:
        results |= run_with_critic(dataset, strategy, optimizer)
    with tempfile.TemporaryDirectory() as folder:
        split = make_codes(Path(folder) / "codes")
        for name, keys in PRIORS.items():
            for optimizer in OPTIMIZERS:
                results |= run_prior(split, strategy, name, keys, optimizer)
    return {**results, **run_classifier(dataset, strategy)}


def run_classifier(dataset, strategy):
    config = ClassifierConfig(width=4, batch_size=BATCH, dropout=0.3)
    splits = dataset.split("train"), dataset.split("validation")

    def make_stage():
        return ClassifierStage("evaluation", config, *splits, seed=0)

    results = replica_process.variables_and_losses(make_stage, strategy)
    return {f"classifier/{name}": v for name, v in results.items()}


if __name__ == "__main__":
    replica_process.main(run_all)
