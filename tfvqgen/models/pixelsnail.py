"""The autoregressive prior over a code map, PixelSNAIL (Chen et al. 2017)."""

# Shapes: B maps, H x W positions, K codes, C channels, L labels; h x w codes of the
# condition.

import itertools

import keras
import tensorflow as tf

from tfvqgen.config import PriorConfig
from tfvqgen.layers import (
    CausalAttention,
    CausalConv2D,
    ConditionStack,
    GatedCausalUnit,
    GatedPointwiseUnit,
)
from tfvqgen.layers.causal_attention import position_features
from tfvqgen.layers.gated_units import (
    add_kernel,
    matmul,
    replica_rows_uniform,
    step_counter,
)


class PixelSNAIL(keras.Model):
    """Predicts the distribution of each code from the codes before it in raster order.

    Embedded codes pass through a causal convolution, then through blocks of residual
    layers (:class:`~tfvqgen.layers.GatedCausalUnit`), and an output stack. Each block
    ends with causal attention (if enabled) and a pointwise unit
    (:class:`~tfvqgen.layers.GatedPointwiseUnit`). The set of labels and the codes of
    the level above are inputs of every gated unit.

    The features of a position depend on *earlier* codes only. Convolutions, keys and
    values that read them add the position's own code. No kernel reads its center,
    attention is strictly causal, and at its own position the end of a block reads the
    result of the convolutions but not the ends of other blocks, which only other
    positions and the output stack read. Therefore a sampler can do most of the work for
    a position before its turn, and the rest for all layers and blocks at once; see
    :class:`~tfvqgen.sampling.incremental_pixelsnail.IncrementalPixelSNAIL`.

    With bfloat16 the layers train in that precision. Logits, and everything outside
    training, are float32, so that likelihoods and samples do not depend on the training
    precision.

    Args:
        config: The section ``top`` or ``bottom`` of a configuration.
        seed: Random seed for dropout. Defaults to 0.
    """

    def __init__(self, config: PriorConfig, seed: int = 0, **kwargs):
        super().__init__(dtype="float32", autocast=False, **kwargs)
        self.config = config
        self.seed = seed
        # The last features are a sum of this many updates of about equal size.
        updates = config.blocks * (config.layers + 1) + config.output_layers
        gain = updates**-0.5
        blocks = range(config.blocks)
        unit = (config.residual_width, config.kernel, config.dropout, gain)
        heads = (config.heads, config.key_dim, config.value_dim)
        self.input_conv = CausalConv2D(config.width, config.kernel, name="input_conv")
        self.stacks = [
            [
                GatedCausalUnit(*unit, name=f"block_{block}_layer_{layer}")
                for layer in range(config.layers)
            ]
            for block in blocks
        ]
        self.attentions = [
            CausalAttention(*heads, name=f"block_{block}_attention")
            for block in (blocks if config.attention else ())
        ]
        self.block_ends = [
            GatedPointwiseUnit(gain, name=f"block_{block}_end") for block in blocks
        ]
        self.output_stack = [
            GatedPointwiseUnit(gain, name=f"output_{layer}")
            for layer in range(config.output_layers)
        ]
        self.condition_stack = None
        if config.conditioned:
            self.condition_stack = ConditionStack(
                config.num_embeddings,
                config.width,
                config.condition_layers,
                config.residual_width,
                name="condition_stack",
            )

    def build(self, input_shape=None):
        """Creates every weight with one pass over a small map."""
        del input_shape
        if self.built:
            return
        self.built = True
        config = self.config
        normal = keras.initializers.RandomNormal(stddev=1.0)
        shape = (config.num_embeddings, config.width)
        self.embeddings = self.add_weight(shape, normal, name="embeddings")
        features = position_features(2, 2).shape[-1]
        self.input_background = add_kernel(
            self, "input_background", features, config.width, gain=0.5
        )
        # The embeddings of a crop's labels are added to the last one, which is common.
        shape = (config.num_labels + 1, config.width)
        self.label_embeddings = self.add_weight(shape, normal, name="label_embeddings")
        self.head = add_kernel(self, "head", config.width, config.num_embeddings, 0.5)
        shape = (config.num_embeddings,)
        self.head_bias = self.add_weight(shape, "zeros", name="head_bias")
        self.steps = step_counter()
        # No weight depends on the size of the map.
        condition = tf.zeros([1, 1, 1], tf.int32) if config.conditioned else None
        self(tf.zeros([1, 2, 2], tf.int32), condition=condition)

    def call(self, codes, labels=None, condition=None, training=False):
        """Returns the logits of the code of every position, float32 [B, H, W, K].

        Args:
            codes: int [B, H, W]; any map size.
            labels: Multi-hot, float [B, L]; a row of zeros, and None, is unconditional.
            condition: Codes of the level above, int [B, H / 2, W / 2], if the prior has
                a condition.
            training: Whether dropout is active; the call counts as a training step.

        Raises:
            ValueError: A shape is wrong, or the condition is missing or not expected.
        """
        seeds = self._dropout_seeds(training)
        if training and labels is not None:
            labels = self._drop_labels(labels, next(seeds))
        dtype = self.config.precision if training else "float32"
        context = self.context(tf.shape(codes)[0], codes.shape[1:], labels, condition)
        own = tf.gather(tf.convert_to_tensor(self.embeddings), codes)
        x = self._features(
            tf.cast(own, dtype),
            tf.cast(position_features(*codes.shape[1:]), dtype),
            tf.cast(context, dtype),
            seeds,
        )
        x = tf.nn.elu(tf.cast(x, tf.float32))
        return matmul(x, self.head) + self.head_bias

    def logits(self, codes, labels=None, condition=None, training=False):
        """Returns the logits of the code of every position; see :meth:`call`."""
        codes = tf.convert_to_tensor(codes)
        if labels is not None:
            labels = tf.cast(labels, tf.float32)
        if condition is not None:
            condition = tf.convert_to_tensor(condition)
        return self(codes, labels=labels, condition=condition, training=training)

    def context(self, maps, code_shape, labels=None, condition=None):
        """Returns the input of all gated units, float32 [B, H, W, C] or [B, 1, 1, C].

        Args:
            maps: B, an int32 scalar tensor.
            code_shape: (H, W).
            labels: Multi-hot, float [B, L], or None.
            condition: Codes of the level above, int [B, H / 2, W / 2], or None.

        Raises:
            ValueError: A shape is wrong, or the condition is missing or not expected.
        """
        self._check(code_shape, labels, condition)
        vectors = tf.convert_to_tensor(self.label_embeddings)
        context = tf.tile(vectors[-1:], [maps, 1])
        if labels is not None:
            context += tf.linalg.matmul(labels, vectors[:-1])
        context = context[:, None, None]
        if self.condition_stack is not None:
            context += self.condition_stack(condition)
        return tf.nn.elu(context)

    @property
    def code_shape(self) -> tuple[int, int]:
        """Height and width of the code map."""
        return self.config.code_shape

    @property
    def num_embeddings(self) -> int:
        """Number of codes (K)."""
        return self.config.num_embeddings

    def _features(self, own, positions, context, seeds):
        """Returns the last features, [B, H, W, C].

        Args:
            own: Embedded codes of the positions, [B, H, W, C].
            positions: Position features, [H, W, G].
            context: Labels and condition, [B, H, W, C] or [B, 1, 1, C].
            seeds: Iterator of the seeds of dropout.
        """
        x = self.input_conv(own) + matmul(positions, self.input_background)
        ends = tf.zeros_like(x)
        for block, stack in enumerate(self.stacks):
            for layer in stack:
                x += layer(x + ends, own, context, next(seeds))
            attended = None
            if self.attentions:
                attended = self.attentions[block](x, x + ends, own, positions)
            ends += self.block_ends[block](x, context, attended)
        x += ends
        for layer in self.output_stack:
            x += layer(x, context)
        return x

    def _check(self, code_shape, labels, condition):
        if labels is not None and labels.shape[-1] != self.config.num_labels:
            raise ValueError(
                f"labels have a wrong length: expected [B, {self.config.num_labels}]. "
                f"Received: shape={tuple(labels.shape)}"
            )
        expected = received = "None"
        if self.config.conditioned:
            expected = f"[B, {', '.join(str(side // 2) for side in code_shape)}]"
        if condition is not None:
            received = f"[B, {', '.join(map(str, condition.shape[1:]))}]"
        if received != expected:
            raise ValueError(
                f"condition has a wrong shape: expected {expected}. "
                f"Received: {received}"
            )

    def _dropout_seeds(self, training):
        """Yields the seeds of a training step, or None outside training."""
        if not training:
            yield from itertools.repeat(None)
        step = self.steps.value + 0
        self.steps.assign(step + 1)
        for index in itertools.count(self.seed * 4096):
            yield tf.stack([tf.constant(index, tf.int64), step])

    def _drop_labels(self, labels, seed):
        """Removes the labels of a share of the examples."""
        noise = replica_rows_uniform(tf.shape(labels)[:1], seed)
        dropped = noise < self.config.label_dropout
        return tf.where(dropped[:, None], 0.0, labels)
