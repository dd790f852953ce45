"""The autoregressive prior over a code map, PixelSNAIL (Chen et al. 2017)."""

# Shapes: B maps, H x W positions, K codes, C channels, L labels; h x w codes of the
# condition.

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
from tfvqgen.layers.causal_attention import background
from tfvqgen.layers.gated_units import add_kernel, matmul, replica_rows_uniform
from tfvqgen.sampling.incremental_pixelsnail import IncrementalPixelSNAIL


class PixelSNAIL(keras.Model):
    """Gives each code's distribution from the codes before it in raster order.

    Embedded codes go through a causal convolution, then through blocks of residual
    layers (:class:`~tfvqgen.layers.GatedCausalUnit`), each block ended by causal
    attention (if it has any) and a pointwise layer
    (:class:`~tfvqgen.layers.GatedPointwiseUnit`), and through an output stack. Labels,
    as a set, and the codes of the level above are fed to every gated layer.

    Features of a position always know the codes *before* it only. Wherever others read
    them (convolutions, keys, values), the position's own code is added. No kernel reads
    its centre, attention is strictly causal, and at their own position the ends of
    blocks read what the convolutions found, not each other: what they add is for other
    positions and the output stack. So a sampler can do most of the work of a position
    before its turn, and the rest for all layers and all blocks at once. See
    :class:`~tfvqgen.sampling.incremental_pixelsnail.IncrementalPixelSNAIL`.

    Under bfloat16 the layers train in it; logits, and everything when not training, are
    float32, so that likelihoods and samples do not depend on the precision of training.

    Args:
        config: The section ``top`` or ``bottom`` of a configuration.
        seed: Of dropout.
    """

    def __init__(self, config: PriorConfig, seed: int = 0, **kwargs):
        super().__init__(dtype="float32", autocast=False, **kwargs)
        self.config = config
        self.seed = seed
        self._make_body()
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
        """Makes every weight by one pass over a small map."""
        del input_shape
        if self.built:
            return
        self.built = True
        config = self.config
        normal = keras.initializers.RandomNormal(stddev=1.0)
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(config.num_embeddings, config.width),
            initializer=normal,
        )
        self.input_background = add_kernel(
            self,
            "input_background",
            background(2, 2).shape[-1],
            config.width,
            gain=0.5,
        )
        # The vectors of a crop's labels are summed; the last stands for each crop.
        self.label_embeddings = self.add_weight(
            name="label_embeddings",
            shape=(config.num_labels + 1, config.width),
            initializer=normal,
        )
        self.head = add_kernel(self, "head", config.width, config.num_embeddings, 0.5)
        self.head_bias = self.add_weight(
            name="head_bias", shape=(config.num_embeddings,), initializer="zeros"
        )
        # Training calls, of which dropout is a function. Each replica counts its own,
        # because in a loop over parts of a batch they can't wait for each other.
        self.steps = keras.Variable(
            0,
            dtype="int64",
            trainable=False,
            autocast=False,
            synchronization="on_read",
            aggregation="only_first_replica",
            name="steps",
        )
        # No weight depends on the map's size.
        condition = tf.zeros([1, 1, 1], tf.int32) if config.conditioned else None
        self(tf.zeros([1, 2, 2], tf.int32), condition=condition)

    def call(self, codes, labels=None, condition=None, training=False):
        """Returns the logits of every position's code, float32 [B, H, W, K].

        Args:
            codes: int [B, H, W]; any map size.
            labels: Multi-hot, float [B, L]; a row of zeros, and None, is unconditional.
            condition: Codes of the level above, int [B, H / 2, W / 2], if the prior is
                conditioned.
            training: Whether dropout is on; counts as a step.

        Raises:
            ValueError: A shape is wrong, or the condition is missing or not wanted.
        """
        seeds = self._dropout_seeds(training)
        if training and labels is not None:
            labels = self._hide_some(labels, next(seeds))
        dtype = self.config.precision if training else "float32"
        self._check(codes.shape[1:], labels, condition)
        context = tf.cast(self._context(tf.shape(codes)[0], labels, condition), dtype)
        own = tf.cast(tf.gather(tf.convert_to_tensor(self.embeddings), codes), dtype)
        places = tf.cast(background(*codes.shape[1:]), dtype)
        x = self._body(own, places, context, seeds)
        x = tf.nn.elu(tf.cast(x, tf.float32))
        return matmul(x, self.head) + self.head_bias

    def logits(self, codes, labels=None, condition=None, training=False):
        """Returns the logits of every position's code; see :meth:`call`."""
        codes = tf.convert_to_tensor(codes)
        if labels is not None:
            labels = tf.cast(labels, tf.float32)
        if condition is not None:
            condition = tf.convert_to_tensor(condition)
        return self(codes, labels=labels, condition=condition, training=training)

    def incremental(self, rows, labels=None, condition=None) -> IncrementalPixelSNAIL:
        """Returns what a sampler goes through the positions of some maps with.

        Args:
            rows: B, an int32 scalar tensor.
            labels: Multi-hot, float [B, L], or None.
            condition: Codes of the level above, int [B, H / 2, W / 2], or None.

        Raises:
            ValueError: A shape is wrong, or the condition is missing or not wanted.
        """
        self._check(self.code_shape, labels, condition)
        return IncrementalPixelSNAIL(self, rows, self._context(rows, labels, condition))

    @property
    def code_shape(self) -> tuple[int, int]:
        """Height and width of the code map."""
        return self.config.code_shape

    @property
    def num_embeddings(self) -> int:
        """How many codes there are (K)."""
        return self.config.num_embeddings

    def _make_body(self):
        """Makes the layers between the embedding and the logits."""
        config = self.config
        # So many updates of about equal size are summed up to the last features.
        updates = config.blocks * (config.layers + 1) + config.output_layers
        gain = updates**-0.5
        self.input_conv = CausalConv2D(config.width, config.kernel, name="input_conv")
        self.stacks = [
            [
                GatedCausalUnit(
                    config.residual_width,
                    config.kernel,
                    config.dropout,
                    gain,
                    name=f"block_{block}_layer_{layer}",
                )
                for layer in range(config.layers)
            ]
            for block in range(config.blocks)
        ]
        self.attentions = [
            CausalAttention(
                config.heads,
                config.key_dim,
                config.value_dim,
                name=f"block_{block}_attention",
            )
            for block in range(config.blocks if config.attention else 0)
        ]
        self.block_ends = [
            GatedPointwiseUnit(gain, name=f"block_{block}_end")
            for block in range(config.blocks)
        ]
        self.output_stack = [
            GatedPointwiseUnit(gain, name=f"output_{layer}")
            for layer in range(config.output_layers)
        ]

    def _body(self, own, places, context, seeds):
        """Returns the last features, [B, H, W, C].

        Args:
            own: The positions' own codes, embedded, [B, H, W, C].
            places: The background, [H, W, G].
            context: Labels and condition, [B, H, W, C] or [B, 1, 1, C].
            seeds: Yields one for each draw of dropout.
        """
        x = self.input_conv(own) + matmul(places, self.input_background)
        found, ends = x, tf.zeros_like(x)
        for block, stack in enumerate(self.stacks):
            for layer in stack:
                found += layer(found + ends, own, context, next(seeds))
            attended = None
            if self.attentions:
                attended = self.attentions[block](found, found + ends, own, places)
            ends += self.block_ends[block](found, context, attended)
        x = found + ends
        for layer in self.output_stack:
            x += layer(x, context)
        return x

    def _context(self, rows, labels, condition):
        """Returns what gated layers are fed, float32 [B, H, W, C] or [B, 1, 1, C]."""
        vectors = tf.convert_to_tensor(self.label_embeddings)
        vector = tf.tile(vectors[-1:], [rows, 1])
        if labels is not None:
            vector += tf.linalg.matmul(labels, vectors[:-1])
        vector = vector[:, None, None]
        if self.condition_stack is not None:
            vector += self.condition_stack(condition)
        return tf.nn.elu(vector)

    def _check(self, code_shape, labels, condition):
        if labels is not None and labels.shape[-1] != self.config.num_labels:
            raise ValueError(
                f"labels have a wrong length: expected [B, {self.config.num_labels}]. "
                f"Received: shape={tuple(labels.shape)}"
            )
        expected = "None"
        if self.config.conditioned:
            expected = f"[B, {', '.join(str(side // 2) for side in code_shape)}]"
        received = "None"
        if condition is not None:
            received = f"[B, {', '.join(map(str, condition.shape[1:]))}]"
        if received != expected:
            raise ValueError(
                f"condition has a wrong shape: expected {expected}. "
                f"Received: {received}"
            )

    def _dropout_seeds(self, training):
        """Yields a seed for each draw of a step, or None when not training."""
        if not training:
            while True:
                yield None
        step = self.steps.value + 0
        self.steps.assign(step + 1)
        draw = 0
        while True:
            yield tf.stack([tf.constant(self.seed * 4096 + draw, tf.int64), step])
            draw += 1

    def _hide_some(self, labels, seed):
        """Makes a share of the examples unconditional."""
        noise = replica_rows_uniform(tf.shape(labels)[:1], seed)
        hidden = noise < self.config.label_dropout
        return tf.where(hidden[:, None], 0.0, labels)
