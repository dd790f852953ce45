"""The two-level autoencoder, VQ-VAE-2 (Razavi et al. 2019, algorithm 1)."""

# Shapes: B images of H x W pixels, C channels; h x w top codes, 2h x 2w bottom codes;
# K codes of length D in each codebook.

from typing import NamedTuple

import keras
import tensorflow as tf

from tfvqgen.config import VQVAEConfig
from tfvqgen.layers import NoiseSynthesis, VectorQuantizer, noise_like, seeds_of_codes
from tfvqgen.layers.gated_units import replica_rows_uniform
from tfvqgen.losses import (
    focal_frequency_loss,
    laplacian_loss,
    local_power_loss,
    mean_squared_error,
)
from tfvqgen.models.encoder_decoder import Decoded, Decoder, Encoder

# By the prefix of their weights in the configuration.
LOSS_TERMS = {"laplacian": laplacian_loss, "frequency": focal_frequency_loss}


class Codes(NamedTuple):
    """Both code maps of a batch: top int32 [B, h, w], bottom int32 [B, 2h, 2w]."""

    top: tf.Tensor
    bottom: tf.Tensor


LEVELS = Codes._fields


class VQVAE2Output(NamedTuple):
    """The result of a :class:`VQVAE2`.

    Attributes:
        reconstruction: Float32 [B, H, W, C], not clipped.
        codes: :class:`Codes`.
        losses: Float32 scalars, with their weights applied: ``reconstruction_loss``
            (the squared error) and the other :meth:`VQVAE2.reconstruction_losses`,
            ``local_power_loss`` with texture noise, ``commitment_loss`` and
            ``codebook_loss`` (sums over both levels), and ``loss``, the sum of all. In
            addition ``reconstruction_mse``, the unweighted squared error of
            ``reconstruction``.
    """

    reconstruction: tf.Tensor
    codes: Codes
    losses: dict[str, tf.Tensor]


class Reconstructions(NamedTuple):
    """Reconstructions from each level, float32 [B, H, W, C] in [0, 1].

    Attributes:
        full: From both levels.
        top_only: From the top codes, with the mean embedding at all bottom positions.
        bottom_only: From the bottom codes, with the mean embedding at all top
            positions.
        codes: The :class:`Codes`.
    """

    full: tf.Tensor
    top_only: tf.Tensor
    bottom_only: tf.Tensor
    codes: Codes


class VQVAE2(keras.Model):
    """A hierarchical vector-quantized autoencoder with two levels.

    The bottom encoder reads the image, and the top encoder reads the features of the
    bottom encoder. The bottom codes are computed together with the decoded top codes,
    so that they need not repeat that information. With 128 pixels and a bottom stride
    of 4, an image has 16 x 16 top codes and 32 x 32 bottom codes. The network is fully
    convolutional: any size that is a multiple of twice the bottom stride is allowed.

    Args:
        config: The section ``vqvae`` of a configuration.
        seed: Random seed for the codebooks and the bottom dropout. Defaults to 0. (The
            initial weights follow ``keras.utils.set_random_seed``.)
    """

    def __init__(self, config: VQVAEConfig, seed: int = 0, **kwargs):
        policy = "mixed_bfloat16" if config.precision == "bfloat16" else "float32"
        super().__init__(dtype=policy, autocast=False, **kwargs)
        self.config = config
        self.seed = seed
        names = ("hidden", "residual_layers", "residual_width")
        stack = {name: getattr(config, name) for name in names} | {"dtype": policy}
        dim = config.embedding_dim
        channels = config.image_shape[-1]
        self.bottom_encoder = Encoder(stride=config.bottom_stride, **stack)
        self.top_encoder = Encoder(stride=2, **stack)
        self.top_projection = keras.layers.Conv2D(dim, 1, dtype=policy)
        self.top_quantizer = self._quantizer(seed=3 * seed)
        self.top_decoder = Decoder(channels=dim, stride=2, **stack)
        self.bottom_projection = keras.layers.Conv2D(dim, 1, dtype=policy)
        self.bottom_quantizer = self._quantizer(seed=3 * seed + 1)
        self.top_upsampling = keras.layers.Conv2DTranspose(
            dim, 4, strides=2, padding="same", dtype=policy
        )
        self.decoder = Decoder(channels=channels, stride=config.bottom_stride, **stack)
        self.grain = (
            NoiseSynthesis(dtype="float32") if config.texture_noise_weight else None
        )

    def build(self, input_shape=None):
        """Creates every weight with one pass over an empty image."""
        del input_shape
        if not self.built:
            self.built = True
            self(tf.zeros([1, *self.config.image_shape]))

    def call(self, images, training=False):
        """Reconstructs images and, in training, updates the codebooks.

        Args:
            images: Float32 [B, H, W, C] in [0, 1].
            training: Whether the codebooks learn and the bottom dropout is active.

        Returns:
            A :class:`VQVAE2Output`.
        """
        top, bottom = self._quantize(images, training)
        bottom_quantized = bottom.quantized
        if training and self.config.bottom_dropout:
            bottom_quantized = self._drop_bottom(bottom_quantized)
        decoded = self._decode(top.quantized, bottom_quantized)
        losses = self.reconstruction_losses(images, decoded.output)
        reconstruction = decoded.output
        if self.grain:
            seeds = seeds_of_codes(top.codes, bottom.codes)
            reconstruction = self._finish(decoded, seeds)
            losses["local_power_loss"] = self.local_power_loss(images, reconstruction)
            # Gradients of the finished image, as from a critic, reach the decoder.
            reconstruction += decoded.output - tf.stop_gradient(decoded.output)
        losses["commitment_loss"] = top.commitment_loss + bottom.commitment_loss
        losses["codebook_loss"] = top.codebook_loss + bottom.codebook_loss
        losses["loss"] = tf.add_n(list(losses.values()))
        losses["reconstruction_mse"] = mean_squared_error(images, reconstruction)
        return VQVAE2Output(reconstruction, Codes(top.codes, bottom.codes), losses)

    def reconstruction_losses(self, images, reconstruction) -> dict[str, tf.Tensor]:
        """Returns the losses of the configuration, with their weights applied.

        Images are float32 [B, H, W, C] in [0, 1]. The losses are float32 scalars:
        ``reconstruction_loss``, and ``laplacian_loss`` and ``frequency_loss`` if their
        weights are above 0.
        """
        channels = self.config.channel_weights
        error = mean_squared_error(images, reconstruction, channels)
        losses = {"reconstruction_loss": error}
        for name, weight in self.config.further_loss_weights.items():
            term = LOSS_TERMS[name](images, reconstruction, channels)
            losses[f"{name}_loss"] = weight * term
        return losses

    def local_power_loss(self, images, reconstruction) -> tf.Tensor:
        """Returns the loss of the texture noise: squared error and local power.

        The finished images are clipped as in the output, because half of the noise on a
        black background is lost there.
        """
        reconstruction = tf.clip_by_value(reconstruction, 0, 1)
        power = local_power_loss(images, reconstruction)
        error = mean_squared_error(images, reconstruction)
        return error + self.config.texture_noise_weight * power

    def encode(self, images) -> Codes:
        """Returns the :class:`Codes` of images [B, H, W, C] in [0, 1]."""
        top, bottom = self._quantize(images, training=False)
        return Codes(top.codes, bottom.codes)

    def decode(self, codes: Codes):
        """Returns the images of both code maps, float32 [B, H, W, C] in [0, 1]."""
        top, bottom = codes
        top_quantized = self.top_quantizer.embed(top)
        bottom_quantized = self.bottom_quantizer.embed(bottom)
        seeds = seeds_of_codes(top, bottom)
        return self._decode_to_unit(top_quantized, bottom_quantized, seeds)

    def decode_top(self, top_codes):
        """Decodes top codes alone, float32 [B, H, W, C] in [0, 1].

        All bottom positions have the mean embedding of the bottom codebook.
        """
        top = self.top_quantizer.embed(top_codes)
        height, width = top_codes.shape[1:]
        mean = self.bottom_quantizer.mean_embedding()
        shape = [tf.shape(top)[0], 2 * height, 2 * width, self.config.embedding_dim]
        seeds = seeds_of_codes(top_codes, tf.zeros_like(top_codes))
        return self._decode_to_unit(top, tf.broadcast_to(mean, shape), seeds)

    def reconstruct(self, images):
        """Encodes and decodes images, float32 [B, H, W, C] in [0, 1]."""
        return self.decode(self.encode(images))

    def reconstruct_levels(self, images) -> Reconstructions:
        """Reconstructs from both levels and from each alone."""
        codes = self.encode(images)
        top = self.top_quantizer.embed(codes.top)
        bottom = self.bottom_quantizer.embed(codes.bottom)
        mean_top = tf.zeros_like(top) + self.top_quantizer.mean_embedding()
        seeds = seeds_of_codes(*codes)
        return Reconstructions(
            full=self._decode_to_unit(top, bottom, seeds),
            top_only=self.decode_top(codes.top),
            bottom_only=self._decode_to_unit(mean_top, bottom, seeds),
            codes=codes,
        )

    def _quantizer(self, seed):
        config = self.config
        return VectorQuantizer(
            config.num_embeddings,
            config.embedding_dim,
            commitment_cost=config.commitment_cost,
            codebook_update=config.codebook_update,
            decay=config.decay,
            epsilon=config.epsilon,
            dead_code_threshold=config.dead_code_threshold,
            quantize_after=config.quantize_after,
            seed=seed,
            dtype=self.dtype_policy,
        )

    def _quantize(self, images, training):
        """Returns the outputs of both quantizers, top and bottom."""
        bottom_features = self.bottom_encoder(images)
        top_latents = self.top_projection(self.top_encoder(bottom_features))
        top = self.top_quantizer(top_latents, training=training)
        decoded_top = self.top_decoder(top.quantized).output
        bottom_latents = self.bottom_projection(
            tf.concat([decoded_top, bottom_features], axis=-1)
        )
        return top, self.bottom_quantizer(bottom_latents, training=training)

    def _decode(self, top_quantized, bottom_quantized) -> Decoded:
        """Decodes embedded codes to float32, without texture noise and clipping."""
        top = self.top_upsampling(top_quantized)
        bottom = tf.cast(bottom_quantized, self.compute_dtype)
        decoded = self.decoder(tf.concat([top, bottom], axis=-1))
        return decoded._replace(output=tf.cast(decoded.output, tf.float32))

    def _finish(self, decoded: Decoded, seeds):
        """Adds texture noise from the seeds; no gradient flows into the decoder."""
        mean, features = map(tf.stop_gradient, decoded)
        return self.grain(mean, features, noise_like(mean, seeds))

    def _decode_to_unit(self, top_quantized, bottom_quantized, seeds):
        decoded = self._decode(top_quantized, bottom_quantized)
        images = self._finish(decoded, seeds) if self.grain else decoded.output
        return tf.clip_by_value(images, 0, 1)

    def _drop_bottom(self, bottom_quantized):
        """Replaces the bottom codes of some images by the mean embedding.

        The noise is sampled for the rows of the global batch and does not depend on the
        number of replicas. There is no dropout before the first quantized step.
        """
        step = self.bottom_quantizer.steps.value
        seed = tf.stack([tf.constant(3 * self.seed + 2, tf.int64), step])
        noise = replica_rows_uniform(tf.shape(bottom_quantized)[:1], seed)
        dropped = noise < self.config.bottom_dropout
        dropped &= step > self.config.quantize_after
        mean = tf.stop_gradient(self.bottom_quantizer.mean_embedding())
        mean = tf.cast(mean, bottom_quantized.dtype)
        return tf.where(dropped[:, None, None, None], mean, bottom_quantized)
