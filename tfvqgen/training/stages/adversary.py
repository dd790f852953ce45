"""The autoencoder's adversary: a patch critic, its optimizer and its pull."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import keras
import tensorflow as tf

from tfvqgen.config import VQVAEConfig
from tfvqgen.losses import hinge_loss, realism_loss
from tfvqgen.models import PatchCritic
from tfvqgen.training.optimization import LinearRise

# Shapes: B images of one replica, H x W pixels, C channels; h x w patches.


# Times the first width.
CRITIC_WIDTHS = (1, 2, 4)
BETA_1, BETA_2 = 0.5, 0.99
# Most that the critic's own gradient is scaled up by, should it vanish.
LARGEST_WEIGHT = 1e4


class Contest(NamedTuple):
    """Both sides' losses on a batch.

    Attributes:
        loss: What both sides minimise together, float32 scalar: its gradient is the
            pull on the reconstruction and, at the critic's weights, that of the hinge
            loss. Its value is the autoencoder's side alone.
        figures: Float32 scalars to log, named as in :data:`FIGURES`.
    """

    loss: tf.Tensor
    figures: dict[str, tf.Tensor]


ACCURACIES = ("critic_accuracy_real", "critic_accuracy_fake")
FIGURES = (
    "adversarial_loss",
    "effective_adversarial_weight",
    "critic_loss",
    *ACCURACIES,
)


class Adversary:
    """A critic of reconstructions that learns beside the autoencoder.

    The adversarial loss is that of VQGAN ("Taming Transformers", Esser et al. 2021,
    section 3.1) with its adaptive weight (equation 7) taken at the pixels: the critic's
    gradient with respect to the reconstruction is scaled to ``adversarial_weight``
    times the norm of the reconstruction losses' gradient, both over the batch of all
    replicas. So the weight means the same whatever the losses, the image size and the
    scale of the critic's logits.

    It pulls only after ``adversarial_after`` steps, rising linearly over
    ``adversarial_ramp``; the critic's learning rate rises over as many steps before.

    Made in the strategy's scope; its steps are counted by its optimizer, so that an
    autoencoder that starts from other weights meets a critic that had time to learn.

    Args:
        config: The autoencoder's.

    Attributes:
        critic: A :class:`~tfvqgen.models.PatchCritic`, built.
        optimizer: Of the critic's weights, built.
    """

    def __init__(self, config: VQVAEConfig):
        after, ramp = config.adversarial_after, config.adversarial_ramp
        self._rise = LinearRise(config.adversarial_weight, after, ramp)
        self.critic = PatchCritic(
            config.image_shape[-1],
            [config.critic_width * factor for factor in CRITIC_WIDTHS],
            config.precision,
        )
        self.critic.build()
        # It sees gradients before its rate rises, which settles Adam's averages.
        self.optimizer = keras.optimizers.Adam(
            LinearRise(config.critic_learning_rate, max(0, after - ramp), ramp),
            beta_1=BETA_1,
            beta_2=BETA_2,
        )
        self.optimizer.build(self.critic.trainable_variables)

    @property
    def is_pulling(self) -> bool:
        """Whether the critic pulls on the reconstructions by now."""
        return float(self._rise(int(self.optimizer.iterations.numpy()))) > 0

    def accuracies(
        self, images: tf.Tensor, reconstruction: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns the shares of each image's patches taken for what they are, [B].

        Args:
            images: Float32 [B, H, W, C] in [0, 1].
            reconstruction: The same.
        """
        found = _accuracies(self.critic(images), self.critic(reconstruction))
        return dict(zip(ACCURACIES, found, strict=True))

    def contest(
        self,
        images: tf.Tensor,
        reconstruction: tf.Tensor,
        reconstruction_losses: Callable[
            [tf.Tensor, tf.Tensor], Mapping[str, tf.Tensor]
        ],
    ) -> Contest:
        """Sets the critic on a replica's batch.

        Args:
            images: Float32 [B, H, W, C] in [0, 1].
            reconstruction: Float32 [B, H, W, C].
            reconstruction_losses: What else pulls on the reconstruction, weighted.
        """
        fake = tf.stop_gradient(reconstruction)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fake)
            losses = reconstruction_losses(images, fake)
            error = tf.add_n(list(losses.values()))
        towards_image = tape.gradient(error, fake)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fake)
            fake_logits = self.critic(fake)
            adversarial_loss = realism_loss(fake_logits)
        towards_real = tape.gradient(adversarial_loss, fake)
        weight = tf.stop_gradient(
            self._rise(self.optimizer.iterations.value)
            * norm_ratio(towards_image, towards_real)
        )
        pull = tf.reduce_sum(tf.stop_gradient(weight * towards_real) * reconstruction)
        real_logits = self.critic(images)
        critic_loss = hinge_loss(real_logits, fake_logits)
        value = weight * tf.stop_gradient(adversarial_loss)
        figures = (
            adversarial_loss,
            weight,
            critic_loss,
            *map(tf.reduce_mean, _accuracies(real_logits, fake_logits)),
        )
        return Contest(
            value + _for_its_gradient(pull) + _for_its_gradient(critic_loss),
            dict(zip(FIGURES, figures, strict=True)),
        )


def norm_ratio(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Returns ||first|| / ||second|| over all replicas, 0 where the second vanishes."""
    squares = [tf.reduce_sum(tf.square(gradient)) for gradient in (first, second)]
    context = tf.distribute.get_replica_context()
    first, second = context.all_reduce(tf.distribute.ReduceOp.SUM, squares)
    return tf.minimum(
        tf.math.divide_no_nan(tf.sqrt(first), tf.sqrt(second)), LARGEST_WEIGHT
    )


def _accuracies(real_logits, fake_logits) -> list[tf.Tensor]:
    rights = (real_logits > 0, fake_logits < 0)
    return [tf.reduce_mean(tf.cast(right, tf.float32), [1, 2]) for right in rights]


def _for_its_gradient(term: tf.Tensor) -> tf.Tensor:
    return term - tf.stop_gradient(term)
