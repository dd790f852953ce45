"""Adversarial training of the autoencoder: a patch critic with its own optimizer."""

# Shapes: B images of one replica, H x W pixels, C channels; h x w patches.

from collections.abc import Callable, Mapping, Sequence

import keras
import tensorflow as tf

from tfvqgen.config import VQVAEConfig
from tfvqgen.losses import hinge_loss, realism_loss
from tfvqgen.training.optimization import LinearRise

KERNEL = 4
CONTRAST = 4.0
# Channels of the three strided convolutions, as multiples of `critic_width`.
CRITIC_WIDTHS = (1, 2, 4)
# Upper limit of the adaptive weight, for a critic whose gradient vanishes.
LARGEST_WEIGHT = 1e4

ACCURACIES = ("critic_accuracy_real", "critic_accuracy_fake")
_LOSSES = ("adversarial_loss", "effective_adversarial_weight", "critic_loss")
METRICS = (*_LOSSES, *ACCURACIES)


class PatchCritic(keras.Model):
    """Tells real image patches from reconstructed ones.

    Strided 4x4 convolutions with leaky ReLU, then a 4x4 convolution to one logit a
    patch: the discriminator of "Image-to-Image Translation with Conditional Adversarial
    Networks" (Isola et al. 2017, appendix 6.1.2) without its normalization, which would
    make the logits of an image depend on the other images of the batch. With three
    strided convolutions a logit sees 46 x 46 pixels, and [16, 128, 128, 4] becomes
    [16, 16, 16]. Images may have any size.

    Args:
        channels: C.
        widths: Channels of the strided convolutions, in order.
        precision: ``float32`` or ``bfloat16``, the arithmetic of the layers.
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int] = (32, 64, 128),
        precision: str = "float32",
        **kwargs,
    ):
        policy = "mixed_bfloat16" if precision == "bfloat16" else "float32"
        super().__init__(dtype=policy, autocast=False, **kwargs)
        self.channels = channels
        self._convolutions = [
            keras.layers.Conv2D(width, KERNEL, strides=2, padding="same", dtype=policy)
            for width in widths
        ]
        self._logits = keras.layers.Conv2D(1, KERNEL, padding="same", dtype=policy)

    def build(self, input_shape=None):
        """Creates all weights by one call on an empty image."""
        if not self.built:
            self.built = True
            self(tf.zeros([1, KERNEL, KERNEL, self.channels]))

    def call(self, images):
        """Returns a logit for each patch, high if it looks real, float32 [B, h, w].

        `images` are float32 [B, H, W, C], in about [0, 1].
        """
        # Cells are dim on a dark background: most values lie well below a half.
        x = tf.cast(CONTRAST * images, self.compute_dtype)
        for convolution in self._convolutions:
            x = tf.nn.leaky_relu(convolution(x), alpha=0.2)
        return tf.cast(self._logits(x)[..., 0], tf.float32)


class Adversary:
    """A critic of reconstructions that is trained beside the autoencoder.

    The adversarial loss is that of VQGAN ("Taming Transformers", Esser et al. 2021,
    section 3.1) with its adaptive weight (equation 7) computed at the pixels: the
    critic's gradient with respect to the reconstruction is scaled to
    ``adversarial_weight`` times the norm of the gradient of the reconstruction losses,
    both over the batch of all replicas.

    The adversarial loss is 0 for the first ``adversarial_after`` steps and rises
    linearly over the next ``adversarial_ramp``; the critic's learning rate rises over
    as many steps before that. The critic's optimizer counts these steps, so that an
    autoencoder that starts from other weights also gets a critic that had time to
    learn. It is created in the scope of the strategy.
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
        self.optimizer = keras.optimizers.Adam(
            LinearRise(config.critic_learning_rate, max(0, after - ramp), ramp),
            beta_1=0.5,
            beta_2=0.99,
        )
        self.optimizer.build(self.critic.trainable_variables)

    @property
    def is_active(self) -> bool:
        """Whether the adversarial loss has a weight above 0 by now."""
        return float(self._rise(int(self.optimizer.iterations.numpy()))) > 0

    def accuracies(
        self, images: tf.Tensor, reconstruction: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Returns the share of each image's patches that the critic gets right, [B]."""
        found = _accuracies(self.critic(images), self.critic(reconstruction))
        return dict(zip(ACCURACIES, found, strict=True))

    def step(
        self,
        images: tf.Tensor,
        reconstruction: tf.Tensor,
        reconstruction_losses: Callable[..., Mapping[str, tf.Tensor]],
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns the losses of critic and autoencoder on a replica's batch.

        Args:
            images: Float32 [B, H, W, C] in [0, 1].
            reconstruction: Float32 [B, H, W, C].
            reconstruction_losses: Takes both and returns the other losses, weighted.

        Returns:
            A float32 scalar to be minimized for both, and scalars to log with the names
            :data:`METRICS`. The gradient of the first is the adversarial gradient at
            the reconstruction, and the gradient of the hinge loss at the weights of the
            critic; its value is the autoencoder's part alone.
        """
        fake = tf.stop_gradient(reconstruction)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fake)
            error = tf.add_n(list(reconstruction_losses(images, fake).values()))
        error_gradient = tape.gradient(error, fake)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fake)
            fake_logits = self.critic(fake)
            adversarial_loss = realism_loss(fake_logits)
        realism_gradient = tape.gradient(adversarial_loss, fake)
        weight = tf.stop_gradient(
            self._rise(self.optimizer.iterations.value)
            * norm_ratio(error_gradient, realism_gradient)
        )
        # Its gradient at the reconstruction is the weighted gradient.
        gradient = tf.stop_gradient(weight * realism_gradient)
        linear = tf.reduce_sum(gradient * reconstruction)
        real_logits = self.critic(images)
        critic_loss = hinge_loss(real_logits, fake_logits)
        value = weight * tf.stop_gradient(adversarial_loss)
        accuracies = map(tf.reduce_mean, _accuracies(real_logits, fake_logits))
        metrics = (adversarial_loss, weight, critic_loss, *accuracies)
        only_gradient = linear + critic_loss
        loss = value + only_gradient - tf.stop_gradient(only_gradient)
        return loss, dict(zip(METRICS, metrics, strict=True))


def norm_ratio(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Returns ||first|| / ||second|| over all replicas; 0 where ||second|| is 0."""
    squares = [tf.reduce_sum(tf.square(gradient)) for gradient in (first, second)]
    context = tf.distribute.get_replica_context()
    norms = map(tf.sqrt, context.all_reduce(tf.distribute.ReduceOp.SUM, squares))
    return tf.minimum(tf.math.divide_no_nan(*norms), LARGEST_WEIGHT)


def _accuracies(real_logits, fake_logits) -> list[tf.Tensor]:
    correct = (real_logits > 0, fake_logits < 0)
    return [tf.reduce_mean(tf.cast(each, tf.float32), [1, 2]) for each in correct]
