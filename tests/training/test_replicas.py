"""Training on two replicas equals training on one, for every stage.

Parts of a batch hold other rows on two replicas: random numbers must belong to rows.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from data_prep.embedding.crop_images import CropImages
from data_prep.embedding.pairing import Pairs, group_crops
from tests import support
from tests.training.runs import OVERRIDES, metrics_of, run, two_replicas
from tfvqgen.config import Config
from tfvqgen.data import codes, schema
from tfvqgen.data.crops import read_crops
from tfvqgen.training.stages.classifier import ClassifierConfig, ClassifierStage
from tfvqgen.training.stages.inpainting import InpaintingConfig, InpaintingStage
from tfvqgen.training.stages.prior import PriorStage
from tfvqgen.training.stages.vqvae import AutoencoderStage
from tfvqgen.training.steps import make_training_steps

STEPS = 6
# An embedding that moves so far in a step was re-initialized.
JUMP = 0.3
# Stage -> largest difference of variables after the first step, where weights move by a
# tenth of the gradient, and after the last. Losses of the classifier are sums.
CLOSE = {
    "ema with critic": (2e-7, 1e-5),
    "gradient": (2e-7, 1e-5),
    "prior": (2e-7, 1e-5),
    "classifier": (5e-6, 1e-4),
    "inpainting": (1e-6, 1e-5),
}


# The other way to learn codebooks, without what the first case also has.
GRADIENT = (
    "codebook_update=gradient",
    "adversarial_weight=0",
    "frequency_weight=0",
    "texture_noise_weight=0",
    "residual_layers=0",
)


def configured(*overrides):
    config = Config.from_preset("hpa128").with_overrides([*OVERRIDES, *overrides])
    return config.settled(num_labels=3)


def autoencoder_stage(data, *overrides):
    config = configured(
        "vqvae.quantize_after=0",
        "vqvae.num_embeddings=16",
        "vqvae.dead_code_threshold=0.3",
        "vqvae.decay=0.5",
        "vqvae.adversarial_after=0",
        "vqvae.batch_size=8",
        *(f"vqvae.{override}" for override in overrides),
    )
    stage = AutoencoderStage(config, schema.open_dataset(data))
    if stage.adversary:
        # Adam would turn rounding into steps.
        stage.adversary.optimizer = keras.optimizers.SGD(0.01)
        stage.adversary.optimizer.build(stage.adversary.critic.trainable_variables)
    return stage


def prior_stage(workdir):
    info = codes.read_codes_info(workdir / "codes")
    split = codes.CodeSplit(workdir / "codes", "train", info)
    keys = ("batch_size=8", "dropout=0.3", "label_dropout=0.3")
    config = configured(*(f"bottom.{key}" for key in keys))
    return PriorStage("bottom", config, split, split, None, (0, 1, 2))


def classifier_stage(data):
    dataset = schema.open_dataset(data)
    splits = dataset.split("train"), dataset.split("test")
    config = ClassifierConfig(width=4, batch_size=8, dropout=0.3)
    return ClassifierStage("classifier", config, *splits, seed=0)


def inpainting_stage(crops):
    folder = read_crops(crops)
    config = InpaintingConfig(width=0.05, size=16, batch_size=4, min_group=2)
    images = CropImages(folder, ("green", "blue", "red"), config.size)
    groups = group_crops(folder.rows, min_group=2, validation_share=0.3, seed=0)
    training = Pairs(images, groups.training, augment=True)
    return InpaintingStage(config, training, Pairs(images, groups.validation))


def results_of(make_stage, strategy):
    """Returns variables after the first and last step, sums, losses and jumps."""
    keras.utils.set_random_seed(0)
    with strategy.scope():
        stage = make_stage()
        optimizer = keras.optimizers.SGD(0.1)
        optimizer.build(stage.model.trainable_variables)

    def batches(context):
        replicas = context.num_replicas_in_sync
        return stage.training_data(
            seed=0, start_step=0, num_replicas_per_worker=replicas
        )

    iterator = iter(strategy.distribute_datasets_from_function(batches))
    training_steps = make_training_steps(strategy, stage, optimizer)
    variables = list(stage.model.variables)
    if stage.adversary:
        variables += stage.adversary.critic.variables
    found = {"losses": [], "jumps": []}
    embeddings = [v for v in variables if v.path.endswith("embeddings")]
    for step in range(STEPS):
        before = [v.numpy() for v in embeddings]
        sums = training_steps(iterator, tf.constant(1)).sums
        found["losses"].append(float(sums["loss"]))
        moved = [
            np.abs(v.numpy() - x).max(axis=1)
            for v, x in zip(embeddings, before, strict=True)
        ]
        found["jumps"].append(sum(int(np.sum(x > JUMP)) for x in moved))
        if step in (0, STEPS - 1):
            for i, variable in enumerate(variables):
                found[f"{step}/{i}"] = variable.numpy()
        if step == 0:
            for name, value in sums.items():
                if not name.endswith("_counts"):
                    found[f"sums/{name}"] = value.numpy()
    return {name: np.array(value) for name, value in found.items()}


def largest_difference(one, two, prefix):
    """Returns the largest difference; that of large values relative to the largest."""
    names = [name for name in one if name.startswith(prefix)]
    assert names
    return max(
        np.abs(one[n] - two[n]).max() / max(1, np.abs(one[n]).max()) for n in names
    )


@pytest.mark.parametrize("name", CLOSE)
def test_training_on_two_replicas_equals_training_on_one(
    tiny_shards, tiny_crops, trained_workdir, name
):
    make_stage = {
        "ema with critic": lambda: autoencoder_stage(tiny_shards),
        "gradient": lambda: autoencoder_stage(tiny_shards, *GRADIENT),
        "prior": lambda: prior_stage(trained_workdir),
        "classifier": lambda: classifier_stage(tiny_shards),
        "inpainting": lambda: inpainting_stage(tiny_crops),
    }[name]
    strategies = tf.distribute.OneDeviceStrategy("/cpu:0"), two_replicas()
    # Without graphs the collective operations of two replicas come in any order.
    with support.eagerly(False):
        one, two = (results_of(make_stage, strategy) for strategy in strategies)
    first, last = CLOSE[name]
    assert largest_difference(one, two, "0/") < first
    assert largest_difference(one, two, "sums/") < 1e-6
    assert largest_difference(one, two, f"{STEPS - 1}/") < last
    assert largest_difference(one, two, "losses") < 1e-4
    if name in ("ema with critic", "gradient"):
        assert one["jumps"].any(), "codes were re-initialized"
        np.testing.assert_array_equal(one["jumps"], two["jumps"])


def test_a_run_may_continue_on_another_number_of_replicas(
    tiny_shards, tmp_path, mirrored
):
    one, two = tmp_path / "one", tmp_path / "two"
    with support.eagerly():
        run(tiny_shards, one, steps=4)
        run(tiny_shards, two, steps=2)
    run(tiny_shards, two, steps=4, strategy="mirrored")
    losses = [
        {(line["step"], line["split"]): line["loss"] for line in metrics_of(folder)}
        for folder in (one, two)
    ]
    for key, loss in losses[0].items():
        assert losses[1][key] == pytest.approx(loss, abs=1e-3), key
    assert (two / "vqvae" / "reconstructions.png").is_file()
