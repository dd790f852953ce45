"""The codebook: nearest-neighbour quantization with a straight-through gradient."""

# Shapes: B images, H x W positions, N = B * H * W latents, K codes of length D.

import math
from typing import NamedTuple

import keras
import tensorflow as tf

# Initial count of a code, relative to uniform use, if dead codes are not restarted.
_INITIAL_COUNT = 0.02


class VectorQuantizerOutput(NamedTuple):
    """The result of a :class:`VectorQuantizer`.

    Attributes:
        quantized: The embedded codes, [B, H, W, D], in the compute dtype. Gradients
            pass straight through to the latents.
        codes: Index of the nearest embedding of each latent, int32 [B, H, W].
        commitment_loss: beta * mean ||sg[e] - z||^2, float32 scalar.
        codebook_loss: mean ||sg[z] - e||^2 with the gradient update, otherwise 0;
            float32 scalar.
        codebook_perplexity: exp of the entropy of the code frequencies in this batch
            (of all replicas in training), a float32 scalar from 1 to K.
    """

    quantized: tf.Tensor
    codes: tf.Tensor
    commitment_loss: tf.Tensor
    codebook_loss: tf.Tensor
    codebook_perplexity: tf.Tensor


@keras.saving.register_keras_serializable("tfvqgen")
class VectorQuantizer(keras.layers.Layer):
    """Replaces each latent by the nearest of K embeddings.

    VQ-VAE (van den Oord et al. 2017), equation 3, with the straight-through estimator.
    The codebook learns by gradient (the second term of equation 3) or by exponential
    moving averages (appendix A.1). For example, latents of [16, 32, 32, 64] are 16,384
    vectors of length 64 and give codes of [16, 32, 32].

    Calls with ``training=True`` count as steps. During the first `quantize_after` steps
    the latents pass unquantized and without a loss. Then the embeddings are set to
    latents of the batch. Afterwards, a code is dead if its moving count falls below
    `dead_code_threshold` times the count at uniform use. It is restarted from a latent
    of the batch with twice that count, which leaves it about 70 steps (at a decay of
    0.99) to find its use.

    Statistics are summed over all replicas, so that every replica holds the same
    codebook as a single replica would with the same global batch. The arithmetic is
    float32 under any dtype policy: distances in half precision select wrong codes, and
    moving averages in half precision stop moving.

    Args:
        num_embeddings: K, at least 2.
        embedding_dim: D, the last dimension of the latents.
        commitment_cost: beta, weight of the commitment loss. Defaults to 0.25.
        codebook_update: ``"ema"`` (the default) or ``"gradient"``.
        decay: Decay of the exponential moving averages. Defaults to 0.99.
        epsilon: Laplace smoothing of the counts with ``"ema"``. Defaults to 1e-5.
        dead_code_threshold: Count below which a code is restarted, relative to uniform
            use; 0 disables restarts. Defaults to 0.01.
        quantize_after: Number of steps without quantization. Defaults to 0.
        seed: Random seed for the initial embeddings and the choice of latents.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        commitment_cost: float = 0.25,
        codebook_update: str = "ema",
        decay: float = 0.99,
        epsilon: float = 1e-5,
        dead_code_threshold: float = 0.01,
        quantize_after: int = 0,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.commitment_cost = commitment_cost
        self.codebook_update = codebook_update
        self.decay = decay
        self.epsilon = epsilon
        self.dead_code_threshold = dead_code_threshold
        self.quantize_after = quantize_after
        self.seed = seed
        known = codebook_update in ("ema", "gradient")
        for name, valid, expected in (
            ("num_embeddings", num_embeddings >= 2, "at least 2"),
            ("embedding_dim", embedding_dim >= 1, "at least 1"),
            ("commitment_cost", commitment_cost >= 0, "at least 0"),
            ("codebook_update", known, "ema or gradient"),
            ("decay", 0 <= decay < 1, "at least 0 and below 1"),
            ("epsilon", epsilon >= 0, "at least 0"),
            ("dead_code_threshold", dead_code_threshold >= 0, "at least 0"),
            ("quantize_after", quantize_after >= 0, "at least 0"),
        ):
            if not valid:
                raise ValueError(
                    f"{name} is out of range: expected {expected}. "
                    f"Received: {name}={getattr(self, name)!r}"
                )

    def build(self, input_shape):
        """Creates the codebook and its moving averages.

        Raises:
            ValueError: The last dimension of the latents is not `embedding_dim`.
        """
        if input_shape[-1] != self.embedding_dim:
            raise ValueError(
                "the last dimension of the latents is not embedding_dim: expected "
                f"{self.embedding_dim}. Received: shape={tuple(input_shape)}"
            )
        initializer = keras.initializers.RandomNormal(
            stddev=1 / math.sqrt(self.embedding_dim), seed=self.seed
        )
        shape = (self.num_embeddings, self.embedding_dim)

        def add_state(name, shape, initializer, trainable=False, dtype="float32"):
            return self.add_weight(
                name=name,
                shape=shape,
                initializer=initializer,
                trainable=trainable,
                dtype=dtype,
                autocast=False,
                # All replicas assign the same value.
                aggregation="only_first_replica",
            )

        by_gradient = self.codebook_update == "gradient"
        self.embeddings = add_state("embeddings", shape, initializer, by_gradient)
        self.ema_counts = add_state("ema_counts", (self.num_embeddings,), "ones")
        if not by_gradient:
            # Equal to the embeddings, because all counts are one.
            self.ema_sums = add_state("ema_sums", shape, initializer)
        self.steps = add_state("steps", (), "zeros", dtype="int64")

    def call(self, latents, training=False):
        """Quantizes latents and, in training, updates the codebook.

        Args:
            latents: [B, H, W, D], any float dtype.
            training: Whether this call is a training step.

        Returns:
            A :class:`VectorQuantizerOutput`.
        """
        latents = tf.cast(latents, tf.float32)
        flat = tf.reshape(latents, [-1, self.embedding_dim])
        if training:
            self._restart_codes(flat)
        embeddings = tf.convert_to_tensor(self.embeddings)
        flat_codes = nearest_codes(flat, embeddings)
        quantized = tf.reshape(tf.gather(embeddings, flat_codes), tf.shape(latents))
        counts = tf.math.unsorted_segment_sum(
            tf.ones_like(flat_codes, tf.float32), flat_codes, self.num_embeddings
        )
        quantizing = tf.ones([], tf.bool)
        if training:
            quantizing = self.steps.value >= self.quantize_after
            counts = self._update(flat, flat_codes, counts, quantizing)
        return self._output(latents, quantized, flat_codes, counts, quantizing)

    def embed(self, codes):
        """Returns the embeddings of codes, int [...] -> float32 [..., D]."""
        return tf.gather(tf.convert_to_tensor(self.embeddings), codes)

    def mean_embedding(self):
        """Returns the mean of the embeddings weighted by their counts, [D]."""
        counts = tf.convert_to_tensor(self.ema_counts)
        weights = counts / tf.reduce_sum(counts)
        return tf.linalg.matvec(tf.convert_to_tensor(self.embeddings), weights, True)

    def _output(self, latents, quantized, flat_codes, counts, quantizing):
        weight = tf.cast(quantizing, tf.float32)
        straight_through = latents + weight * tf.stop_gradient(quantized - latents)
        commitment = tf.reduce_mean(
            tf.math.squared_difference(tf.stop_gradient(quantized), latents)
        )
        codebook_loss = tf.zeros([])
        if self.codebook_update == "gradient":
            codebook_loss = weight * tf.reduce_mean(
                tf.math.squared_difference(quantized, tf.stop_gradient(latents))
            )
        return VectorQuantizerOutput(
            quantized=tf.cast(straight_through, self.compute_dtype),
            codes=tf.reshape(flat_codes, tf.shape(latents)[:-1]),
            commitment_loss=weight * self.commitment_cost * commitment,
            codebook_loss=codebook_loss,
            codebook_perplexity=codebook_perplexity(counts),
        )

    def _restart_codes(self, flat):
        """Restarts dead codes, and all codes at the first quantized step."""
        context = tf.distribute.get_replica_context()
        counts = tf.convert_to_tensor(self.ema_counts)
        embeddings = tf.convert_to_tensor(self.embeddings)
        step = self.steps.value
        # The count of every code at uniform use.
        latents = tf.shape(flat)[0] * context.num_replicas_in_sync
        uniform = tf.cast(latents, tf.float32) / self.num_embeddings
        dead = counts < self.dead_code_threshold * uniform
        dead &= step > self.quantize_after
        dead |= step == self.quantize_after
        chosen = self._choose_latents(flat, step)
        count = (2 * self.dead_code_threshold or _INITIAL_COUNT) * uniform
        self.embeddings.assign(tf.where(dead[:, None], chosen, embeddings))
        self.ema_counts.assign(tf.where(dead, count, counts))
        if self.codebook_update == "ema":
            sums = tf.convert_to_tensor(self.ema_sums)
            self.ema_sums.assign(tf.where(dead[:, None], count * chosen, sums))

    def _choose_latents(self, flat, step):
        """Chooses K latents of the global batch, spread evenly over it, [K, D].

        Every replica chooses the same indices and provides the latents that it holds.
        The sum over replicas is exact, because the other terms are zero.
        """
        context = tf.distribute.get_replica_context()
        local = tf.shape(flat, tf.int64)[0]
        total = local * context.num_replicas_in_sync
        noise = tf.random.stateless_uniform(
            [2, self.num_embeddings],
            seed=tf.stack([tf.constant(self.seed, tf.int64), step]),
            dtype=tf.float64,
        )
        slot = tf.cast(tf.argsort(noise[0]), tf.float64)
        index = (slot + noise[1]) / self.num_embeddings * tf.cast(total, tf.float64)
        index = tf.minimum(tf.cast(index, tf.int64), total - 1)
        index -= tf.cast(context.replica_id_in_sync_group, tf.int64) * local
        is_local = (index >= 0) & (index < local)
        rows = tf.gather(flat, tf.clip_by_value(index, 0, local - 1))
        return context.all_reduce(
            tf.distribute.ReduceOp.SUM, tf.where(is_local[:, None], rows, 0.0)
        )

    def _update(self, flat, flat_codes, counts, quantizing):
        """Updates the averages and, with "ema", the embeddings.

        Returns the counts over all replicas, [K].
        """
        context = tf.distribute.get_replica_context()
        if self.codebook_update == "ema":
            sums = tf.math.unsorted_segment_sum(flat, flat_codes, self.num_embeddings)
            counts, sums = context.all_reduce(
                tf.distribute.ReduceOp.SUM, [counts, sums]
            )
            self._update_average(self.ema_sums, sums, quantizing)
        else:
            counts = context.all_reduce(tf.distribute.ReduceOp.SUM, counts)
        self._update_average(self.ema_counts, counts, quantizing)
        if self.codebook_update == "ema":
            smoothed = smooth_counts(self.ema_counts.value, self.epsilon)
            means = self.ema_sums.value / smoothed[:, None]
            embeddings = tf.convert_to_tensor(self.embeddings)
            self.embeddings.assign(tf.where(quantizing, means, embeddings))
        self.steps.assign(self.steps.value + 1)
        return counts

    def _update_average(self, average, value, quantizing):
        old = tf.convert_to_tensor(average)
        new = self.decay * old + (1 - self.decay) * value
        average.assign(tf.where(quantizing, new, old))


def nearest_codes(flat: tf.Tensor, embeddings: tf.Tensor) -> tf.Tensor:
    """Returns the index of the nearest embedding of each latent.

    argmin |z - e|^2 = argmax z.e - |e|^2 / 2 needs one matrix product and no tensor of
    [N, K, D].

    Args:
        flat: Latents, float32 [N, D].
        embeddings: Float32 [K, D].

    Returns:
        int32 [N]; the lowest index if embeddings are equally near.
    """
    half_norms = tf.reduce_sum(tf.square(embeddings), axis=1) / 2
    scores = tf.linalg.matmul(flat, embeddings, transpose_b=True) - half_norms
    return tf.argmax(scores, axis=1, output_type=tf.int32)


def smooth_counts(counts: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Laplace-smooths code counts [K], keeping their sum (VQ-VAE, appendix A.1)."""
    total = tf.reduce_sum(counts)
    return (counts + epsilon) / (total + epsilon * counts.shape[0]) * total


def codebook_perplexity(counts: tf.Tensor) -> tf.Tensor:
    """Returns exp of the entropy of the code frequencies: 1 for one code, K if uniform.

    Args:
        counts: Number of uses of each code, float [K], any float dtype.
    """
    shares = counts / tf.maximum(tf.reduce_sum(counts), 1e-12)
    return tf.exp(-tf.reduce_sum(tf.math.xlogy(shares, shares)))
