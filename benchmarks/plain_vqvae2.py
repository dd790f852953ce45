"""A two-level VQ-VAE-2 as a plain TensorFlow graph, the baseline of the benchmarks.

It has raw variables, ``tf.nn`` operations and one ``tf.function`` for a training step,
and uses neither Keras nor layers of this project. It follows the widely used PyTorch
implementation of Razavi et al. 2019 (https://arxiv.org/abs/1906.00446): the same
convolutions, weights and biases drawn from U(-1/sqrt(fan in), 1/sqrt(fan in)), EMA
codebooks with decay .99, Adam. It differs in three points: images are in [0, 1] instead
of [-1, 1], the codebooks are initialized from encoder outputs instead of normal noise,
and unused codes are re-initialized from the batch.

B: batch, H, W: image rows and columns, C: channels, D: embedding dimension,
K: number of embeddings, N: vectors in a batch of latents.
"""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

COMMITMENT_COST = 0.25
DECAY = 0.99
EPSILON = 1e-5
DEAD_BELOW = 0.1
BETA_1, BETA_2, ADAM_EPSILON = 0.9, 0.999, 1e-8


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of the network."""

    channels: int = 3
    hidden: int = 128
    residual_layers: int = 2
    residual_width: int = 64
    num_embeddings: int = 512
    embedding_dim: int = 64


class Weights:
    """Makes convolutions and keeps their variables in order."""

    def __init__(self, seed: int):
        self.variables: list[tf.Variable] = []
        self._generator = tf.random.Generator.from_seed(seed)

    def conv(self, size: int, inputs: int, outputs: int, stride: int = 1) -> Callable:
        """Returns a convolution with bias that keeps rows and columns / stride."""
        kernel, bias = self._make([size, size, inputs, outputs], outputs)

        def apply(x):
            return tf.nn.bias_add(tf.nn.conv2d(x, kernel, stride, "SAME"), bias)

        return apply

    def transposed_conv(self, inputs: int, outputs: int) -> Callable:
        """Returns a 4x4 transposed convolution that doubles rows and columns."""
        kernel, bias = self._make([4, 4, outputs, inputs], outputs)

        def apply(x):
            batch, height, width, _ = tf.unstack(tf.shape(x))
            shape = [batch, 2 * height, 2 * width, outputs]
            return tf.nn.bias_add(tf.nn.conv2d_transpose(x, kernel, shape, 2), bias)

        return apply

    def _make(self, shape: list[int], outputs: int) -> list[tf.Variable]:
        limit = (shape[0] * shape[1] * shape[2]) ** -0.5
        made = [
            tf.Variable(self._generator.uniform(s, -limit, limit))
            for s in (shape, [outputs])
        ]
        self.variables += made
        return made


class Codebook:
    """The EMA codebook of one level: embeddings [K, D] and their moving averages."""

    def __init__(self, sizes: Sizes):
        shape = [sizes.num_embeddings, sizes.embedding_dim]
        self.embeddings = tf.Variable(tf.zeros(shape))
        self.sums = tf.Variable(tf.zeros(shape))
        self.counts = tf.Variable(tf.ones(shape[:1]))

    def look_up(self, latents):
        """Quantizes latents [B, H, W, D] to (quantized, codes [B, H, W])."""
        flat = tf.reshape(latents, [-1, self.embeddings.shape[1]])
        half_squares = tf.reduce_sum(tf.square(self.embeddings), axis=1) / 2
        scores = tf.matmul(flat, self.embeddings, transpose_b=True) - half_squares
        codes = tf.argmax(scores, axis=1, output_type=tf.int32)
        codes = tf.reshape(codes, tf.shape(latents)[:-1])
        return tf.gather(self.embeddings, codes), codes

    def start_from(self, latents, seed) -> None:
        """Initializes the embeddings with random latents, each used once."""
        drawn = self._draw(tf.reshape(latents, [-1, self.embeddings.shape[1]]), seed)
        self.embeddings.assign(drawn)
        self.sums.assign(drawn)
        self.counts.assign(tf.ones_like(self.counts))

    def update(self, latents, codes, seed) -> None:
        """Updates the embeddings; re-initializes dead codes from the latents."""
        num_embeddings, dim = self.embeddings.shape
        flat, codes = tf.reshape(latents, [-1, dim]), tf.reshape(codes, [-1])
        used = tf.math.unsorted_segment_sum(
            tf.ones_like(codes, tf.float32), codes, num_embeddings
        )
        summed = tf.math.unsorted_segment_sum(flat, codes, num_embeddings)
        counts = DECAY * self.counts + (1 - DECAY) * used
        sums = DECAY * self.sums + (1 - DECAY) * summed
        dead = counts < DEAD_BELOW
        counts = tf.where(dead, 1.0, counts)
        sums = tf.where(dead[:, None], self._draw(flat, seed), sums)
        self.counts.assign(counts)
        self.sums.assign(sums)
        total = tf.reduce_sum(counts)
        smoothed = (counts + EPSILON) / (total + num_embeddings * EPSILON) * total
        self.embeddings.assign(sums / smoothed[:, None])

    def _draw(self, flat, seed):
        rows = tf.random.stateless_uniform(
            self.counts.shape, seed, 0, tf.shape(flat)[0], tf.int32
        )
        return tf.gather(flat, rows)


def _residual_stack(weights: Weights, sizes: Sizes) -> Callable:
    pairs = [
        (
            weights.conv(3, sizes.hidden, sizes.residual_width),
            weights.conv(1, sizes.residual_width, sizes.hidden),
        )
        for _ in range(sizes.residual_layers)
    ]

    def apply(x):
        for spatial, pointwise in pairs:
            x = x + pointwise(tf.nn.relu(spatial(tf.nn.relu(x))))
        return tf.nn.relu(x)

    return apply


def _chain(*layers: Callable) -> Callable:
    def apply(x):
        for layer in layers:
            x = layer(x)
        return x

    return apply


class PlainVQVAE2:
    """The network, its codebooks and Adam; the seed is for weights and codebooks."""

    def __init__(self, sizes: Sizes, learning_rate: float, seed: int):
        self.learning_rate, self.seed = learning_rate, seed
        self.step = tf.Variable(0, dtype=tf.int64)
        weights = Weights(seed)
        self._make_network(weights, sizes)
        self.variables = weights.variables
        self.moments = [
            [tf.Variable(tf.zeros(v.shape)) for _ in range(2)] for v in self.variables
        ]
        self.top, self.bottom = Codebook(sizes), Codebook(sizes)
        shape = [None, None, None, sizes.channels]
        images = tf.TensorSpec(shape, tf.float32)
        self.train_step = tf.function(self._train_step, input_signature=[images])
        self.reconstruct = tf.function(self._reconstruct, input_signature=[images])

    def _make_network(self, weights: Weights, sizes: Sizes) -> None:
        hidden, dim, half = sizes.hidden, sizes.embedding_dim, sizes.hidden // 2
        relu = tf.nn.relu
        self._encode_bottom = _chain(
            weights.conv(4, sizes.channels, half, stride=2),
            relu,
            weights.conv(4, half, hidden, stride=2),
            relu,
            weights.conv(3, hidden, hidden),
            _residual_stack(weights, sizes),
        )
        self._encode_top = _chain(
            weights.conv(4, hidden, half, stride=2),
            relu,
            weights.conv(3, half, hidden),
            _residual_stack(weights, sizes),
        )
        self._to_top = weights.conv(1, hidden, dim)
        self._decode_top = _chain(
            weights.conv(3, dim, hidden),
            _residual_stack(weights, sizes),
            weights.transposed_conv(hidden, dim),
        )
        self._to_bottom = weights.conv(1, dim + hidden, dim)
        self._enlarge_top = weights.transposed_conv(dim, dim)
        self._decode = _chain(
            weights.conv(3, 2 * dim, hidden),
            _residual_stack(weights, sizes),
            weights.transposed_conv(hidden, half),
            relu,
            weights.transposed_conv(half, sizes.channels),
        )

    def start_codebooks(self, images) -> None:
        """Initializes both codebooks from the latents of images [B, H, W, C]."""
        features = self._encode_bottom(images)
        self.top.start_from(self._to_top(self._encode_top(features)), self._draw(0))
        _, bottom = self._quantize(images)
        self.bottom.start_from(bottom[0], self._draw(1))

    def _quantize(self, images):
        """Returns the results of `_quantize_level` for top and bottom."""
        features = self._encode_bottom(images)
        top = _quantize_level(self.top, self._to_top(self._encode_top(features)))
        decoded = self._decode_top(top[1])
        latents = self._to_bottom(tf.concat([decoded, features], axis=-1))
        bottom = _quantize_level(self.bottom, latents)
        return top, bottom

    def _forward(self, images):
        top, bottom = self._quantize(images)
        quantized = tf.concat([self._enlarge_top(top[1]), bottom[1]], axis=-1)
        return self._decode(quantized), top, bottom

    def _reconstruct(self, images):
        """Returns the reconstruction of images in [0, 1] and both levels' codes."""
        reconstruction, top, bottom = self._forward(images)
        return reconstruction, top[2], bottom[2]

    def _train_step(self, images):
        """Runs a step on images [B, H, W, C] in [0, 1]; returns the squared error."""
        with tf.GradientTape() as tape:
            reconstruction, top, bottom = self._forward(images)
            error = tf.reduce_mean(tf.square(reconstruction - images))
            loss = error + COMMITMENT_COST * (top[3] + bottom[3])
        gradients = tape.gradient(loss, self.variables)
        self.step.assign_add(1)
        self._apply_adam(gradients)
        self.top.update(top[0], top[2], self._draw(0))
        self.bottom.update(bottom[0], bottom[2], self._draw(1))
        return error

    def _apply_adam(self, gradients) -> None:
        step = tf.cast(self.step, tf.float32)
        for variable, (first, second), gradient in zip(
            self.variables, self.moments, gradients, strict=True
        ):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=first.handle,
                v=second.handle,
                beta1_power=BETA_1**step,
                beta2_power=BETA_2**step,
                lr=self.learning_rate,
                beta1=BETA_1,
                beta2=BETA_2,
                epsilon=ADAM_EPSILON,
                grad=gradient,
            )

    def _draw(self, level: int):
        return tf.stack([self.seed, 2 * self.step + level])


def _quantize_level(codebook: Codebook, latents):
    """Returns latents, straight-through quantized, codes and the commitment loss."""
    quantized, codes = codebook.look_up(tf.stop_gradient(latents))
    quantized = tf.stop_gradient(quantized)
    commitment = tf.reduce_mean(tf.square(latents - quantized))
    straight = latents + tf.stop_gradient(quantized - latents)
    return latents, straight, codes, commitment
