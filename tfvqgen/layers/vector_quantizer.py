"""The codebook: nearest-neighbour quantization with a straight-through gradient."""

# Shapes: B images, H x W positions, N = B * H * W latents, K codes of length D.

import math
from typing import NamedTuple

import keras
import tensorflow as tf

CODEBOOK_RULES = ("ema", "gradient")

# Share of even use that codes start from data with where none is revived later.
UNREVIVED_SEED = 0.02


class VectorQuantizerOutput(NamedTuple):
    """What a :class:`VectorQuantizer` returns.

    Attributes:
        quantized: The embedded codes, [B, H, W, D], in the compute dtype; the gradient
            with respect to it goes straight through to the latents.
        codes: Index of each latent's nearest embedding, int32 [B, H, W].
        commitment_loss: beta * mean ||sg[e] - z||^2, float32 scalar.
        codebook_loss: mean ||sg[z] - e||^2 under the gradient rule; 0 under EMA, which
            moves the codebook without a loss. Float32 scalar.
        codebook_perplexity: exp of the entropy of this call's code use (over all
            replicas when training), float32 scalar between 1 and K.
    """

    quantized: tf.Tensor
    codes: tf.Tensor
    commitment_loss: tf.Tensor
    codebook_loss: tf.Tensor
    codebook_perplexity: tf.Tensor


@keras.saving.register_keras_serializable("tfvqgen")
class VectorQuantizer(keras.layers.Layer):
    """Replaces each latent by the nearest of K embeddings.

    VQ-VAE (van den Oord et al. 2017), equation 3 with the straight-through estimator;
    the codebook learns by gradient (equation 3's second term) or by exponential moving
    averages (appendix A.1). For example latents of [16, 32, 32, 64] are 16,384 vectors
    of length 64, and give codes of [16, 32, 32].

    Training calls count as steps. Up to step `quantize_after` the latents pass
    unquantized and there is no loss; then the embeddings start as latents drawn from
    the batch. From there on a code whose moving count falls below the share
    `dead_code_threshold` of even use (latents a step over K) is dead, and is re-seeded
    from the batch, its moving averages with it: with twice the count at which it would
    die,
    so that it has some 70 steps (at a decay of .99) to find its use. Batches are those
    of all replicas together: under a strategy the statistics are summed over the
    replicas before they are used, so that every replica holds the same codebook and it
    is the one that a single replica would have on the same global batch.

    Arithmetic is float32 whatever the policy: distances of half precision pick wrong
    codes, and moving averages in it stand still.

    Args:
        num_embeddings: K, at least 2.
        embedding_dim: D, the latents' last dimension.
        commitment_cost: beta, the weight of the commitment loss.
        codebook_update: ``"ema"`` or ``"gradient"``.
        decay: Of the moving averages.
        epsilon: Laplace smoothing of the counts under the EMA rule.
        dead_code_threshold: Share of even use below which a code is re-seeded; 0
            disables re-seeding.
        data_initialization: Start the embeddings from data; otherwise they keep the
            normal random vectors that they are built with.
        quantize_after: Training calls that pass without quantization.
        seed: Of the draws of latents, and of the first embeddings.

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
        data_initialization: bool = True,
        quantize_after: int = 0,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        _require(num_embeddings >= 2, "at least 2", num_embeddings=num_embeddings)
        _require(embedding_dim >= 1, "at least 1", embedding_dim=embedding_dim)
        _require(commitment_cost >= 0, "at least 0", commitment_cost=commitment_cost)
        _require(
            codebook_update in CODEBOOK_RULES,
            f"one of {', '.join(CODEBOOK_RULES)}",
            codebook_update=codebook_update,
        )
        _require(0 <= decay < 1, "at least 0 and below 1", decay=decay)
        _require(epsilon >= 0, "at least 0", epsilon=epsilon)
        _require(
            dead_code_threshold >= 0,
            "at least 0",
            dead_code_threshold=dead_code_threshold,
        )
        _require(quantize_after >= 0, "at least 0", quantize_after=quantize_after)
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.commitment_cost = commitment_cost
        self.codebook_update = codebook_update
        self.decay = decay
        self.epsilon = epsilon
        self.dead_code_threshold = dead_code_threshold
        self.data_initialization = data_initialization
        self.quantize_after = quantize_after
        self.seed = seed

    def build(self, input_shape):
        """Makes the codebook and its moving averages.

        Raises:
            ValueError: The latents' last dimension is not `embedding_dim`.
        """
        if input_shape[-1] != self.embedding_dim:
            raise ValueError(
                "The latents' last dimension must be embedding_dim: expected "
                f"{self.embedding_dim}. Received: shape={tuple(input_shape)}"
            )
        initializer = keras.initializers.RandomNormal(
            stddev=1 / math.sqrt(self.embedding_dim), seed=self.seed
        )
        shape = (self.num_embeddings, self.embedding_dim)
        # All replicas assign the same value, which the first one's stands for.
        state = {
            "dtype": "float32",
            "autocast": False,
            "aggregation": "only_first_replica",
        }
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=shape,
            initializer=initializer,
            trainable=self.codebook_update == "gradient",
            **state,
        )
        self.ema_counts = self.add_weight(
            name="ema_counts",
            shape=(self.num_embeddings,),
            initializer="ones",
            trainable=False,
            **state,
        )
        if self.codebook_update == "ema":
            # Equal to the embeddings, as it must be while every count is one.
            self.ema_sums = self.add_weight(
                name="ema_sums",
                shape=shape,
                initializer=initializer,
                trainable=False,
                **state,
            )
        self.steps = self.add_weight(
            name="steps",
            shape=(),
            initializer="zeros",
            trainable=False,
            **{**state, "dtype": "int64"},
        )

    def call(self, latents, training=False):
        """Quantizes latents, and when training moves the codebook.

        Args:
            latents: [B, H, W, D], any float dtype.
            training: Whether to count the call as a step and to learn from it.

        Returns:
            A :class:`VectorQuantizerOutput`.
        """
        latents = tf.cast(latents, tf.float32)
        flat = tf.reshape(latents, [-1, self.embedding_dim])
        if training:
            self._reseed(flat)
        embeddings = tf.convert_to_tensor(self.embeddings)
        flat_codes = nearest_codes(flat, embeddings)
        quantized = tf.reshape(tf.gather(embeddings, flat_codes), tf.shape(latents))
        counts = tf.math.unsorted_segment_sum(
            tf.ones_like(flat_codes, tf.float32), flat_codes, self.num_embeddings
        )
        quantizing = tf.ones([], tf.bool)
        if training:
            quantizing = self.steps.value >= self.quantize_after
            counts = self._learn(flat, flat_codes, counts, quantizing)
        return self._output(latents, quantized, flat_codes, counts, quantizing)

    def embed(self, codes):
        """Looks codes up, int [...] -> float32 [..., D]."""
        return tf.gather(tf.convert_to_tensor(self.embeddings), codes)

    def mean_embedding(self):
        """Returns the embedding expected of a code, by how often each is used, [D]."""
        counts = tf.convert_to_tensor(self.ema_counts)
        weights = counts / tf.reduce_sum(counts)
        return tf.linalg.matvec(tf.convert_to_tensor(self.embeddings), weights, True)

    def get_config(self):
        """Returns the constructor's arguments."""
        names = (
            "num_embeddings",
            "embedding_dim",
            "commitment_cost",
            "codebook_update",
            "decay",
            "epsilon",
            "dead_code_threshold",
            "data_initialization",
            "quantize_after",
            "seed",
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

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

    def _reseed(self, flat):
        """Gives dead codes, and at the first quantized step all codes, new values."""
        counts = tf.convert_to_tensor(self.ema_counts)
        embeddings = tf.convert_to_tensor(self.embeddings)
        step = self.steps.value
        even = self._even_use(flat)
        dead = (counts < self.dead_code_threshold * even) & (step > self.quantize_after)
        if self.data_initialization:
            dead = dead | tf.fill([self.num_embeddings], step == self.quantize_after)
        drawn = self._draw(flat, step)
        seeded = (2 * self.dead_code_threshold or UNREVIVED_SEED) * even
        self.embeddings.assign(tf.where(dead[:, None], drawn, embeddings))
        self.ema_counts.assign(tf.where(dead, seeded, counts))
        if self.codebook_update == "ema":
            sums = tf.convert_to_tensor(self.ema_sums)
            self.ema_sums.assign(tf.where(dead[:, None], seeded * drawn, sums))

    def _even_use(self, flat):
        """Returns the count of every code if all were used alike, float32 scalar."""
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        return tf.cast(tf.shape(flat)[0] * replicas, tf.float32) / self.num_embeddings

    def _draw(self, flat, step):
        """Draws K latents of the global batch, spread evenly over it, [K, D].

        Every replica draws the same positions; each puts in those that it holds, and
        the sum over replicas is exact because the other terms are zeros.
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
        place = (slot + noise[1]) / self.num_embeddings * tf.cast(total, tf.float64)
        place = tf.minimum(tf.cast(place, tf.int64), total - 1)
        place -= tf.cast(context.replica_id_in_sync_group, tf.int64) * local
        mine = (place >= 0) & (place < local)
        rows = tf.gather(flat, tf.clip_by_value(place, 0, local - 1))
        return context.all_reduce(
            tf.distribute.ReduceOp.SUM, tf.where(mine[:, None], rows, 0.0)
        )

    def _learn(self, flat, flat_codes, counts, quantizing):
        """Moves the averages, and under EMA the embeddings; returns global counts."""
        context = tf.distribute.get_replica_context()
        if self.codebook_update == "ema":
            sums = tf.math.unsorted_segment_sum(flat, flat_codes, self.num_embeddings)
            counts, sums = context.all_reduce(
                tf.distribute.ReduceOp.SUM, [counts, sums]
            )
            self._move(self.ema_sums, sums, quantizing)
        else:
            counts = context.all_reduce(tf.distribute.ReduceOp.SUM, counts)
        self._move(self.ema_counts, counts, quantizing)
        if self.codebook_update == "ema":
            smoothed = smooth_counts(self.ema_counts.value, self.epsilon)
            moved = self.ema_sums.value / smoothed[:, None]
            self.embeddings.assign(
                tf.where(quantizing, moved, tf.convert_to_tensor(self.embeddings))
            )
        self.steps.assign(self.steps.value + 1)
        return counts

    def _move(self, average, value, quantizing):
        old = tf.convert_to_tensor(average)
        moved = self.decay * old + (1 - self.decay) * value
        average.assign(tf.where(quantizing, moved, old))


def nearest_codes(flat: tf.Tensor, embeddings: tf.Tensor) -> tf.Tensor:
    """Returns the index of the nearest embedding of each latent.

    argmin |z - e|^2 = argmax z.e - |e|^2 / 2: one matmul and no [N, K, D] difference.

    Args:
        flat: Latents, float32 [N, D].
        embeddings: Float32 [K, D].

    Returns:
        int32 [N]; the lowest index where embeddings are equally near.
    """
    half_norms = tf.reduce_sum(tf.square(embeddings), axis=1) / 2
    scores = tf.linalg.matmul(flat, embeddings, transpose_b=True) - half_norms
    return tf.argmax(scores, axis=1, output_type=tf.int32)


def smooth_counts(counts: tf.Tensor, epsilon: float) -> tf.Tensor:
    """Laplace-smooths code counts [K], keeping their sum (VQ-VAE, appendix A.1)."""
    total = tf.reduce_sum(counts)
    return (counts + epsilon) / (total + epsilon * counts.shape[0]) * total


def codebook_perplexity(counts: tf.Tensor) -> tf.Tensor:
    """Returns exp of the entropy of code use: 1 for one code, K for even use.

    Args:
        counts: How often each code was used, float [K], any float dtype.
    """
    shares = counts / tf.maximum(tf.reduce_sum(counts), 1e-12)
    return tf.exp(-tf.reduce_sum(tf.math.xlogy(shares, shares)))


def _require(condition, expected, **received):
    if not condition:
        ((name, value),) = received.items()
        raise ValueError(
            f"{name} is out of range: expected {expected}. Received: {name}={value!r}"
        )
