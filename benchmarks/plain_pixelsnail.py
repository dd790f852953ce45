"""PixelSNAIL as a plain TensorFlow graph, the baseline for the speed of training.

It has raw variables, ``tf`` operations and one ``tf.function`` for a training step, and
uses neither Keras nor layers of this project. It is the same network as
``tfvqgen.models.PixelSNAIL`` and starts from the same weights: the same batches give
the same losses. The step is the same, too: clipping by the global gradient norm, fused
Adam with the same learning rates, moving averages of the weights.
"""

# Shapes: B maps, H x W positions, K codes, C channels, L labels; h heads with
# keys of length d and values of length v.

import math
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from tfvqgen.config import PriorConfig
from tfvqgen.layers.causal_attention import position_features

BETA_1, BETA_2, ADAM_EPSILON = 0.9, 0.999, 1e-7
MASKED = -1e9


class PlainPixelSNAIL:
    """The network and its optimizer.

    Args:
        config: Configuration of the prior.
        values: Initial weights by name, as :func:`named_weights` returns them.
        seed: Random seed of dropout.
    """

    def __init__(
        self, config: PriorConfig, values: Mapping[str, np.ndarray], seed: int = 0
    ):
        self.config, self.seed = config, seed
        self.step = tf.Variable(0, dtype=tf.int64)
        self._w = {name: tf.Variable(_as_filter(name, v)) for name, v in values.items()}
        self.variables = list(self._w.values())
        self.moments = [
            [tf.Variable(tf.zeros(v.shape)) for _ in range(2)] for v in self.variables
        ]
        self.averages = [tf.Variable(v) for v in self.variables]
        self._places = tf.constant(position_features(*config.code_shape))
        self.train_step = tf.function(self._train_step, reduce_retracing=True)

    def _train_step(self, codes, labels, condition=None):
        """Runs a step and returns the mean loss in nats per code.

        Args:
            codes: int32 [B, H, W].
            labels: Multi-hot, float [B, L].
            condition: int32 [B, H / 2, W / 2], or None.
        """
        with tf.GradientTape() as tape:
            logits = self._logits(codes, labels, condition)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(codes, logits)
            )
        gradients = tape.gradient(loss, self.variables)
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        gradients, _ = tf.clip_by_global_norm(gradients, self.config.clip_norm)
        self._apply_adam(gradients)
        self._update_averages()
        self.step.assign_add(1)
        return loss

    def _logits(self, codes, labels, condition):
        config, w = self.config, self._w
        hidden = self._noise([tf.shape(codes)[0]], 0) < config.label_dropout
        labels = tf.where(hidden[:, None], 0.0, labels)
        context = self._context(labels, condition)
        own = tf.gather(w["embeddings"], codes)
        x = self._above("input_conv", own) + self._left("input_conv", own)
        x += tf.tensordot(self._places, w["input_background"], 1)
        found, ends = x, tf.zeros_like(x)
        for block in range(config.blocks):
            for layer in range(config.layers):
                draw = 1 + block * config.layers + layer
                name = f"block_{block}_layer_{layer}"
                found += self._residual(name, found + ends, own, context, draw)
            attended = None
            if config.attention:
                name = f"block_{block}_attention"
                attended = self._attention(name, found, found + ends, own)
            ends += self._pointwise(f"block_{block}_end", found, context, attended)
        x = found + ends
        for layer in range(config.output_layers):
            x += self._pointwise(f"output_{layer}", x, context)
        return tf.tensordot(tf.nn.elu(x), w["head"], 1) + w["head_bias"]

    def _context(self, labels, condition):
        w = self._w
        vectors = w["label_embeddings"]
        context = (vectors[-1:] + tf.matmul(labels, vectors[:-1]))[:, None, None]
        if condition is None:
            return tf.nn.elu(context)
        x = tf.gather(w["condition_stack/embeddings"], condition)
        places = position_features(*condition.shape[1:])
        x += tf.tensordot(places, w["condition_stack/background/kernel"], 1)
        x += w["condition_stack/background/bias"]
        for layer in range(self.config.condition_layers):
            wide = tf.nn.relu(self._conv(f"conv3_{layer}", tf.nn.relu(x)))
            x += self._conv(f"conv1_{layer}", wide)
        x = tf.nn.relu(x)
        batch, height, width, channels = tf.unstack(tf.shape(x))
        shape = [batch, 2 * height, 2 * width, channels]
        kernel = w["condition_stack/upsampling/kernel"]
        x = tf.nn.conv2d_transpose(x, kernel, shape, 2)
        return tf.nn.elu(context + x + w["condition_stack/upsampling/bias"])

    def _conv(self, name, x):
        w, name = self._w, f"condition_stack/stack/{name}"
        x = tf.nn.conv2d(x, w[f"{name}/kernel"], 1, "SAME")
        return tf.nn.bias_add(x, w[f"{name}/bias"])

    def _residual(self, name, x, own, context, draw):
        narrow, wide = f"{name}/narrow", f"{name}/wide"
        x = tf.nn.elu(x + own)
        x = self._above(narrow, x) + self._left(narrow, x)
        x = tf.nn.elu(tf.concat([x, -x], -1))
        keep = self._noise(tf.shape(x), draw) >= self.config.dropout
        x = tf.where(keep, x / (1 - self.config.dropout), 0.0)
        centre = tf.nn.conv2d(x, self._w[f"{wide}/own_row"][None], 1, "VALID")
        x = self._above(wide, x) + centre
        return _gate(x + tf.tensordot(context, self._w[f"{name}/context_kernel"], 1))

    def _above(self, name, x):
        """Convolves the rows above and adds the bias."""
        side = self.config.kernel
        reach = side // 2
        x = tf.pad(x[:, :-1], [[0, 0], [side - 1, 0], [reach, reach], [0, 0]])
        x = tf.nn.conv2d(x, self._w[f"{name}/above"], 1, "VALID")
        return tf.nn.bias_add(x, self._w[f"{name}/bias"])

    def _left(self, name, x):
        """Convolves the positions to the left."""
        x = tf.pad(x[:, :, :-1], [[0, 0], [0, 0], [self.config.kernel // 2, 0], [0, 0]])
        return tf.nn.conv2d(x, self._w[f"{name}/own_row"][None], 1, "VALID")

    def _pointwise(self, name, x, context, attended=None):
        w = self._w
        update = tf.tensordot(tf.nn.elu(x), w[f"{name}/kernel"], 1)
        update += tf.tensordot(context, w[f"{name}/context_kernel"], 1)
        if attended is not None:
            update += tf.tensordot(attended, w[f"{name}/attended_kernel"], 1)
        return _gate(update + w[f"{name}/bias"])

    def _attention(self, name, asking, x, own):
        config, w = self.config, self._w
        positions = math.prod(config.code_shape)

        def project(source, kind):
            y = tf.tensordot(source, w[f"{name}/{kind}"], 1)
            y += tf.tensordot(self._places, w[f"{name}/{kind}_background"], 1)
            return tf.reshape(y, [-1, positions, y.shape[-1]])

        def by_head(y):
            y = tf.reshape(
                y, [-1, positions, config.heads, y.shape[-1] // config.heads]
            )
            return tf.transpose(y, [0, 2, 1, 3])

        def shifted(y, kind):
            start = tf.tile(
                w[f"{name}/start_{kind}"][None, None], [tf.shape(y)[0], 1, 1]
            )
            return tf.concat([start, y[:, :-1]], 1)

        through = tf.nn.elu(x + own)
        queries = by_head(project(tf.nn.elu(asking), "query") * config.key_dim**-0.5)
        keys = by_head(shifted(project(through, "key"), "key"))
        values = by_head(shifted(project(through, "value"), "value"))
        scores = tf.matmul(queries, keys, transpose_b=True)
        causal = tf.linalg.band_part(tf.ones([positions] * 2, tf.bool), -1, 0)
        shares = tf.nn.softmax(tf.where(causal, scores, MASKED))
        found = tf.transpose(tf.matmul(shares, values), [0, 2, 1, 3])
        size = config.heads * config.value_dim
        return tf.reshape(found, [-1, *config.code_shape, size])

    def _noise(self, shape, draw):
        key = tf.stack([tf.constant(self.seed * 4096 + draw, tf.int64), self.step])
        return tf.random.stateless_uniform(shape, key)

    def _apply_adam(self, gradients) -> None:
        step = tf.cast(self.step + 1, tf.float32)
        rate = self._learning_rate()
        for variable, (first, second), gradient in zip(
            self.variables, self.moments, gradients, strict=True
        ):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=first.handle,
                v=second.handle,
                beta1_power=BETA_1**step,
                beta2_power=BETA_2**step,
                lr=rate,
                beta1=BETA_1,
                beta2=BETA_2,
                epsilon=ADAM_EPSILON,
                grad=gradient,
            )

    def _learning_rate(self):
        config = self.config
        step = tf.cast(self.step, tf.float32)
        span = config.steps - config.warmup_steps
        progress = tf.clip_by_value((step - config.warmup_steps) / span, 0.0, 1.0)
        fall = (1 + tf.cos(math.pi * progress)) / 2
        final = config.final_learning_rate
        rise = (step + 1) / config.warmup_steps
        return config.learning_rate * tf.minimum(rise, final + (1 - final) * fall)

    def _update_averages(self) -> None:
        step = tf.cast(self.step, tf.float32) + 1
        share = 1 - tf.minimum(self.config.polyak, step / (step + 9))
        for average, variable in zip(self.averages, self.variables, strict=True):
            average.assign_add(share * (variable - average))


def named_weights(prior) -> dict[str, np.ndarray]:
    """Returns the trainable weights of a ``PixelSNAIL`` by name."""
    return {
        weight.path.partition("/")[2]: weight.numpy()
        for weight in prior.trainable_weights
    }


def _as_filter(name, value):
    """Puts the taps above the row into the order of a convolution, [rows, columns]."""
    return value.transpose([1, 0, 2, 3]) if name.endswith("/above") else value


def _gate(x):
    values, gates = tf.split(x, 2, -1)
    return values * tf.sigmoid(gates)
