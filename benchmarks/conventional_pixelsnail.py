"""A conventional PixelSNAIL: what the fast architecture's likelihood is compared with.

As in the paper (Chen et al. 2017, https://arxiv.org/abs/1712.09763) and its popular
implementations: after the first convolution, which reads strictly earlier positions,
every causal kernel includes its centre; a block's residual layers, attention and the
layer that joins them update one stream of features, which the next block goes on with;
queries and keys are made by gated layers of their own, from the features and the
background, and for keys the input beside. Embedding, labels, condition, dropout, first
weights and head are ours.
"""

# Shapes: B maps, H x W positions, C channels, R channels inside, D channels in.

import dataclasses
import math

import keras
import tensorflow as tf

from tfvqgen.config import PriorConfig
from tfvqgen.layers import CausalAttention, CausalConv2D
from tfvqgen.layers.gated_units import add_kernel, elu_pair, gate, matmul, row_dropout
from tfvqgen.models import PixelSNAIL


class CentredCausalConv2D(CausalConv2D):
    """A causal convolution over the rows above and its own row up to its centre."""

    def build(self, input_shape):
        """Makes the weights for the input's channels."""
        super().build(input_shape)
        taps = (self.kernel - 1) * self.kernel + self.kernel // 2 + 1
        self.centre_kernel = add_kernel(
            self, "centre", input_shape[-1], self.filters, self.gain * taps**-0.5
        )

    def call(self, inputs):
        """Returns the filtered map, [B, H, W, F]."""
        return super().call(inputs) + matmul(inputs, self.centre_kernel)


class GatedResidualUnit(keras.layers.Layer):
    """gate(conv(pair(conv(elu(x)) + V attended)) + context), to be added to features.

    ``[B, H, W, D] -> [B, H, W, C]``.

    Args:
        filters: C.
        config: The prior's sizes.
        gain: Of the second convolution's first weights.
        pointwise: Whether its kernels have one tap.
    """

    def __init__(
        self,
        filters: int,
        config: PriorConfig,
        gain: float,
        pointwise: bool = False,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.inside, self.outside = config.residual_width, 2 * filters
        if pointwise:
            self.narrow = _pointwise(self.inside, 1.0, "narrow")
            self.wide = _pointwise(self.outside, gain, "wide")
        else:
            side = config.kernel
            self.narrow = CentredCausalConv2D(self.inside, side, name="narrow")
            self.wide = CentredCausalConv2D(self.outside, side, gain=gain, name="wide")
        self.dropout = 0.0 if pointwise else config.dropout
        self.gain = gain

    def build(self, x_shape, context_shape=None, attended_shape=None):
        """Makes the weights for the inputs' channels."""
        *positions, _ = x_shape
        self.narrow.build(x_shape)
        self.wide.build((*positions, 2 * self.inside))
        self.context_kernel = self.attended_kernel = None
        if context_shape is not None:
            self.context_kernel = add_kernel(
                self, "context", context_shape[-1], self.outside, self.gain
            )
        if attended_shape is not None:
            self.attended_kernel = add_kernel(
                self, "attended", attended_shape[-1], self.inside
            )

    def call(self, x, context=None, attended=None, dropout_seed=None):
        """Returns what is added to the features, [B, H, W, C].

        Args:
            x: Features, [B, H, W, D].
            context: Labels and condition, [B, H, W, C] or [B, 1, 1, C], or None.
            attended: [B, H, W, A], or None.
            dropout_seed: int64 [2] in training, else None.
        """
        hidden = self.narrow(tf.nn.elu(x))
        if attended is not None:
            hidden += matmul(attended, self.attended_kernel)
        hidden = elu_pair(hidden)
        if dropout_seed is not None and self.dropout:
            hidden = row_dropout(hidden, self.dropout, dropout_seed)
        update = self.wide(hidden)
        if context is not None:
            update += matmul(context, self.context_kernel)
        return gate(update)


class ConventionalPixelSNAIL(PixelSNAIL):
    """A prior like :class:`~tfvqgen.models.PixelSNAIL`, built conventionally.

    It has no steps for a sampler; its logits are for likelihoods.
    """

    def _make_body(self):
        config = self.config
        updates = config.blocks * (config.layers + 1) + config.output_layers
        gain = updates**-0.5

        def unit(name, pointwise=True):
            return GatedResidualUnit(config.width, config, gain, pointwise, name=name)

        self.input_conv = CausalConv2D(config.width, config.kernel, name="input_conv")
        blocks = range(config.blocks)
        self.stacks = [
            [unit(f"block_{b}_layer_{i}", False) for i in range(config.layers)]
            for b in blocks
        ]
        attending = blocks if config.attention else ()
        self.query_units = [unit(f"block_{b}_query") for b in attending]
        self.key_units = [unit(f"block_{b}_key") for b in attending]
        self.attentions = [
            CausalAttention(
                config.heads, config.key_dim, config.value_dim, name=f"attention_{b}"
            )
            for b in attending
        ]
        self.block_ends = [unit(f"block_{b}_end") for b in blocks]
        self.output_stack = [unit(f"output_{i}") for i in range(config.output_layers)]

    def _body(self, own, places, context, seeds):
        x = self.input_conv(own) + matmul(places, self.input_background)
        for block, stack in enumerate(self.stacks):
            for layer in stack:
                x += layer(x, context, dropout_seed=next(seeds))
            attended = self._attended(block, x, own, places)
            x += self.block_ends[block](x, context, attended)
        for layer in self.output_stack:
            x += layer(x, context)
        return x

    def _attended(self, block, x, own, places):
        """Returns what a block's attention finds, [B, H, W, A], if it has any."""
        if not self.attentions:
            return None
        everywhere = tf.broadcast_to(
            places, [*tf.unstack(tf.shape(x))[:3], *places.shape[2:]]
        )
        asking = x + self.query_units[block](tf.concat([x, everywhere], -1))
        telling = x + self.key_units[block](tf.concat([x, own, everywhere], -1))
        return self.attentions[block](asking, telling, own, places)


def matched(config: PriorConfig, parameters: int) -> PriorConfig:
    """Returns a configuration whose conventional prior has as many parameters.

    Width and residual width are what changes, in about the same proportion; of those
    that come within .3 % the one nearest to that proportion counts, else the one
    nearest in parameters.
    """
    proportion = config.residual_width / config.width
    candidates = [
        dataclasses.replace(config, width=width, residual_width=inside)
        for width in range(round(0.92 * config.width), config.width + 1)
        for inside in (round(proportion * width) + change for change in (-1, 0, 1))
    ]

    def misfit(sizes):
        change = sizes.residual_width / sizes.width / proportion - 1
        return max(abs(count(sizes) / parameters - 1), 0.003), abs(change)

    return min(candidates, key=misfit)


def count(config: PriorConfig, model_class: type[PixelSNAIL] | None = None) -> int:
    """Returns how many trainable numbers a prior has, a conventional one by default."""
    prior = (model_class or ConventionalPixelSNAIL)(config)
    prior.build()
    return sum(math.prod(weight.shape) for weight in prior.trainable_weights)


def _pointwise(filters, gain, name):
    initializer = keras.initializers.VarianceScaling(
        gain**2, "fan_in", "untruncated_normal"
    )
    return keras.layers.Dense(filters, kernel_initializer=initializer, name=name)
