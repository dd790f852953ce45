"""The two nonlinearities of PixelSNAIL (Chen et al. 2017), as van den Oord's nets."""

import math

import keras
import tensorflow as tf

from tfvqgen.layers.causal_conv import CausalConv2D

# Shapes: C channels.


def elu_pair(x: tf.Tensor) -> tf.Tensor:
    """Returns ELU of x and of -x side by side, [..., C] -> [..., 2C].

    Nothing of x is lost, as half of it is in a single ELU. In the order (x, -x).
    """
    return tf.nn.elu(tf.concat([x, -x], axis=-1))


def gate(x: tf.Tensor) -> tf.Tensor:
    """Returns the first half of the channels times the sigmoid of the second.

    [..., 2C] -> [..., C].
    """
    values, gates = tf.split(x, 2, axis=-1)
    return values * tf.sigmoid(gates)


# Shapes: B rows of one replica.


def row_dropout(x: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Sets a share of the features to zero and scales up the others.

    The noise is drawn for the rows of the global batch, and each replica takes its own:
    two replicas drop what one would have dropped on the same global batch.

    Args:
        x: [B, ...], the rows of this replica.
        rate: The share, 0 to below 1.
        seed: Of the draw, int64 [2].

    Returns:
        [B, ...] of the same type.
    """
    keep = replica_rows_uniform(tf.shape(x), seed) >= rate
    return tf.where(keep, x / tf.cast(1 - rate, x.dtype), tf.zeros([], x.dtype))


def replica_rows_uniform(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws uniform numbers for this replica's rows of the global batch.

    Args:
        shape: Of the result; its first entry is B.
        seed: int64 [2], the same on all replicas.

    Returns:
        Float32 in [0, 1).
    """
    context = tf.distribute.get_replica_context()
    rows = shape[0]
    first = context.replica_id_in_sync_group * rows
    total = rows * context.num_replicas_in_sync
    noise = tf.random.stateless_uniform(tf.concat([[total], shape[1:]], 0), seed)
    return noise[first : first + rows]


# Shapes: B maps, H x W positions, C channels, R channels inside, A attended, E context.


@keras.saving.register_keras_serializable("tfvqgen")
class GatedCausalUnit(keras.layers.Layer):
    """A strictly causal, gated unit of two convolutions.

    gate(conv(pair(conv(elu(x + own)))) + context), where pair is that of ELUs.
    Features x of a position know the codes before it; `own`, the position's own code,
    completes them. The first convolution excludes its centre, so that what the unit
    gives at a position depends on completed positions before it only, however many
    units lie below it: that is what lets a sampler compute all units of a network at
    once. The second reads the rows above and, of the first one's result, the position
    itself.

    ``[B, H, W, C] -> [B, H, W, C]``. PixelSNAIL (Chen et al. 2017), figure 2.

    Args:
        residual_width: R, channels between the two convolutions.
        kernel: Side of both kernels.
        dropout: Share of features dropped between them in training.
        gain: Of the second convolution's first weights.
    """

    def __init__(
        self,
        residual_width: int,
        kernel: int,
        dropout: float = 0.0,
        gain: float = 1.0,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        self.residual_width = residual_width
        self.kernel = kernel
        self.dropout = dropout
        self.gain = gain

    def build(self, x_shape, own_shape=None, context_shape=None):
        """Makes the weights for the inputs' channels."""
        *positions, channels = x_shape
        self.narrow = CausalConv2D(self.residual_width, self.kernel, name="narrow")
        self.narrow.build((*positions, channels))
        self.wide = CausalConv2D(
            2 * channels, self.kernel, centre=True, gain=self.gain, name="wide"
        )
        self.wide.build((*positions, 2 * self.residual_width))
        self.context_kernel = add_kernel(
            self, "context_kernel", context_shape[-1], 2 * channels, self.gain
        )

    def call(self, x, own, context, dropout_seed=None):
        """Returns what is added to x, [B, H, W, C] in its type.

        Args:
            x: Features, [B, H, W, C], any float type.
            own: The positions' own codes, embedded, [B, H, W, C].
            context: Labels and condition, [B, H, W, E] or [B, 1, 1, E].
            dropout_seed: int64 [2] in training, else None.
        """
        hidden = elu_pair(self.narrow(tf.nn.elu(x + own)))
        if dropout_seed is not None and self.dropout:
            hidden = row_dropout(hidden, self.dropout, dropout_seed)
        return gate(self.wide(hidden) + matmul(context, self.context_kernel))

    def get_config(self):
        """Returns the constructor's arguments."""
        return {
            **super().get_config(),
            "residual_width": self.residual_width,
            "kernel": self.kernel,
            "dropout": self.dropout,
            "gain": self.gain,
        }


@keras.saving.register_keras_serializable("tfvqgen")
class GatedPointwiseUnit(keras.layers.Layer):
    """A gated unit that sees one position at a time.

    gate(W elu(x) + V attended + context): ``[B, H, W, C] -> [B, H, W, C]``. It joins
    what attention found to the features, and makes up the output stack.

    Args:
        gain: Of the first weights.
    """

    def __init__(self, gain: float = 1.0, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.gain = gain

    def build(self, x_shape, context_shape=None, attended_shape=None):
        """Makes the weights for the inputs' channels."""
        channels = x_shape[-1]
        self.kernel = add_kernel(self, "kernel", channels, 2 * channels, self.gain)
        self.bias = self.add_weight(
            name="bias", shape=(2 * channels,), initializer="zeros"
        )
        self.context_kernel = add_kernel(
            self, "context_kernel", context_shape[-1], 2 * channels, self.gain
        )
        self.attended_kernel = None
        if attended_shape is not None:
            self.attended_kernel = add_kernel(
                self, "attended_kernel", attended_shape[-1], 2 * channels, self.gain
            )

    def call(self, x, context, attended=None):
        """Returns what is added to x, [B, H, W, C] in its type.

        Args:
            x: Features, [B, H, W, C], any float type.
            context: Labels and condition, [B, H, W, E] or [B, 1, 1, E].
            attended: [B, H, W, A], or None.
        """
        update = matmul(tf.nn.elu(x), self.kernel)
        update += matmul(context, self.context_kernel)
        if attended is not None:
            update += matmul(attended, self.attended_kernel)
        return gate(update + tf.cast(self.bias.value, x.dtype))

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "gain": self.gain}


def add_kernel(layer, name: str, inputs: int, outputs: int, gain: float = 1.0):
    """Adds the weights of a 1x1 convolution to a layer, [inputs, outputs]."""
    return layer.add_weight(
        name=name,
        shape=(inputs, outputs),
        initializer=keras.initializers.RandomNormal(stddev=gain / math.sqrt(inputs)),
    )


def matmul(x: tf.Tensor, kernel) -> tf.Tensor:
    """Multiplies the last dimension by a layer's weights, in the type of x."""
    return tf.tensordot(x, tf.cast(kernel.value, x.dtype), 1)
