import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests import support
from tfvqgen.config import Config, VQVAEConfig
from tfvqgen.losses import hinge_loss
from tfvqgen.models import VQVAE2
from tfvqgen.training.stages.adversary import METRICS, Adversary, norm_ratio
from tfvqgen.training.stages.vqvae import (
    AutoencoderStage,
    codebook_perplexity,
    level_warnings,
    usage,
)

CONFIG = VQVAEConfig(
    image_shape=(16, 16, 3),
    hidden=8,
    residual_width=4,
    num_embeddings=6,
    embedding_dim=5,
    quantize_after=0,
    bottom_dropout=0,
    frequency_weight=0.3,
    adversarial_weight=0.4,
    adversarial_after=20,
    adversarial_ramp=10,
    critic_width=4,
)

HEALTHY = {
    "reconstruction_mse": 0.005,
    "top_only_mse": 0.02,
    "bottom_only_mse": 0.015,
    "top_usage": 0.9,
    "bottom_usage": 0.9,
    "top_codebook_perplexity": 200.0,
    "bottom_codebook_perplexity": 200.0,
}


def image_pair():
    rng = np.random.default_rng(0)
    return rng.random((2, 2, 16, 16, 3), dtype=np.float32)


def at_step(step, config=CONFIG):
    keras.utils.set_random_seed(0)
    adversary = Adversary(config)
    adversary.optimizer.iterations.assign(step)
    return adversary


@pytest.fixture(scope="module")
def autoencoder():
    made = VQVAE2(CONFIG)
    made.build()
    return made


def error_of(autoencoder, images, fake):
    losses = autoencoder.reconstruction_losses(images, fake)
    return tf.add_n(list(losses.values()))


def gradient_of(function, value):
    value = tf.constant(value)
    with tf.GradientTape() as tape:
        tape.watch(value)
        found = function(value)
    return tape.gradient(found, value).numpy()


def test_one_loss_has_the_gradients_of_critic_and_autoencoder(autoencoder):
    images, fakes = image_pair()
    adversary = at_step(100)
    critics = [weight.value for weight in adversary.critic.trainable_weights]
    fake = tf.constant(fakes)
    with tf.GradientTape() as tape:
        tape.watch(fake)
        total, metrics = adversary.step(images, fake, autoencoder.reconstruction_losses)
    pull, *of_critic = tape.gradient(total, [fake, *critics])

    with tf.GradientTape() as tape:
        loss = hinge_loss(adversary.critic(images), adversary.critic(fakes))
    for found, expected in zip(of_critic, tape.gradient(loss, critics), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-7)
    np.testing.assert_allclose(metrics["critic_loss"], loss, rtol=1e-6)

    towards_real = gradient_of(lambda x: -tf.reduce_mean(adversary.critic(x)), fakes)
    towards_image = gradient_of(lambda x: error_of(autoencoder, images, x), fakes)
    weight = 0.4 * np.linalg.norm(towards_image) / np.linalg.norm(towards_real)
    np.testing.assert_allclose(pull, weight * towards_real, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(
        metrics["effective_adversarial_weight"], weight, rtol=1e-5
    )
    np.testing.assert_allclose(
        total, weight * -np.mean(adversary.critic(fakes)), rtol=1e-4
    )


def test_the_critic_is_trained_before_it_is_active(autoencoder):
    images, fakes = image_pair()
    losses = autoencoder.reconstruction_losses
    _, metrics = at_step(100).step(images, fakes, losses)
    full = float(metrics["effective_adversarial_weight"])
    for step, rate, pull in (
        *((0, 0, 0), (10, 0, 0), (15, 0.5, 0)),
        *((20, 1, 0), (25, 1, 0.5), (30, 1, 1)),
    ):
        adversary = at_step(step)
        _, metrics = adversary.step(images, fakes, losses)
        weight = float(metrics["effective_adversarial_weight"])
        assert weight == pytest.approx(pull * full, rel=1e-5)
        assert adversary.is_active == (pull > 0)
        assert float(adversary.optimizer.learning_rate) == pytest.approx(rate * 5e-4)


def test_a_critic_without_a_gradient_has_no_effect(autoencoder):
    images, fakes = image_pair()
    adversary = at_step(100)
    for weight in adversary.critic.trainable_weights[-2:]:
        weight.assign(tf.zeros_like(weight.value))

    def loss(fake):
        return adversary.step(images, fake, autoencoder.reconstruction_losses)[0]

    assert not gradient_of(loss, fakes).any()
    assert float(norm_ratio(tf.ones([3]), tf.zeros([3]))) == 0


def test_gradients_and_metrics_stay_float32_with_bfloat16_layers(autoencoder):
    images, fakes = image_pair()
    config = dataclasses.replace(CONFIG, precision="bfloat16")
    adversary = at_step(100, config)
    fake = tf.constant(fakes)
    with tf.GradientTape() as tape:
        tape.watch(fake)
        loss, metrics = adversary.step(images, fake, autoencoder.reconstruction_losses)
    pull = tape.gradient(loss, fake)
    assert {pull.dtype, *(x.dtype for x in metrics.values())} == {tf.float32}
    assert np.isfinite(pull).all() and np.any(pull)


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    """The stage without a critic and with one."""
    folder = tmp_path_factory.mktemp("data")
    shape = CONFIG.image_shape
    dataset = support.make_dataset(folder, {"train": 4, "validation": 4}, shape=shape)
    made = []
    for weight in (0.0, 0.4):
        keras.utils.set_random_seed(0)
        vqvae = dataclasses.replace(CONFIG, adversarial_weight=weight)
        made.append(AutoencoderStage(Config(vqvae=vqvae), dataset))
    return made


def test_the_loss_reports_all_its_terms(stages):
    images = (255 * image_pair()[0]).astype(np.uint8)
    loss, sums = stages[1].loss({"image": tf.constant(images)})
    assert set(sums) == set(stages[1].sum_shapes) >= {*METRICS, "frequency_loss"}
    names = ("reconstruction", "frequency", "local_power", "commitment", "codebook")
    total = sum(sums[f"{name}_loss"] for name in names)
    np.testing.assert_allclose(loss, total, rtol=1e-5)
    assert stages[0].adversary is None
    assert not set(METRICS) & set(stages[0].sum_shapes)


def test_validation_accuracy_counts_rows_of_weight_one(stages):
    images = (255 * image_pair()[0]).astype(np.uint8)
    batch = {"image": tf.constant(images), "weight": tf.constant([1.0, 0.0])}
    sums = stages[1].validation_sums(batch)
    metrics = stages[1].validation_metrics({n: np.array(v) for n, v in sums.items()})
    real = images[:1].astype(np.float32) / 255
    fake = stages[1].model.reconstruct_levels(real).full
    for name, image, sign in (("real", real, 1), ("fake", fake, -1)):
        logits = np.array(stages[1].adversary.critic(image))
        expected = np.mean(sign * logits > 0)
        assert metrics[f"critic_accuracy_{name}"] == pytest.approx(expected)


def test_a_critic_that_has_won_is_reported(stages):
    stage = stages[1]
    healthy = {**HEALTHY, "critic_accuracy_real": 0.8, "critic_accuracy_fake": 0.9}
    stage.model.bottom_quantizer.steps.assign(1000)
    stage.adversary.optimizer.iterations.assign(20)
    assert stage.warnings(healthy) == []
    stage.adversary.optimizer.iterations.assign(21)
    assert stage.warnings(healthy) == []
    won = {"critic_accuracy_real": 0.99, "critic_accuracy_fake": 0.99}
    (warning,) = stage.warnings({**healthy, **won})
    assert warning.startswith("the critic has won")


def test_usage_and_perplexity_have_their_closed_forms():
    assert usage(np.array([3, 0, 1, 0])) == 0.5
    assert codebook_perplexity(np.array([1, 3])) == pytest.approx(
        np.exp(-(0.25 * np.log(0.25) + 0.75 * np.log(0.75)))
    )


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"top_codebook_perplexity": 1.1}, "top level is trivial"),
        ({"bottom_only_mse": 0.0051}, "top level is not used"),
        ({"top_only_mse": 0.005}, "bottom level is not used"),
        ({"top_usage": 0.01}, "top codebook has collapsed"),
        ({"bottom_usage": 0.01}, "bottom codebook has collapsed"),
    ],
)
def test_an_unhealthy_level_is_named_with_a_remedy(metrics, words):
    assert level_warnings(HEALTHY) == []
    (warning,) = level_warnings({**HEALTHY, **metrics})
    assert words in warning
    assert "vqvae." in warning
