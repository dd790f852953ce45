"""The gated units of PixelSNAIL (Chen et al. 2017), and dropout over replicas."""

# Shapes: B maps, H x W positions, C channels, R channels inside a unit, A attended
# channels, E context channels.

import math

import keras
import tensorflow as tf

from tfvqgen.layers.causal_conv import CausalConv2D


def elu_pair(x: tf.Tensor) -> tf.Tensor:
    """Returns ELU(x) and ELU(-x) side by side, [..., C] -> [..., 2C].

    A single ELU would lose half of x.
    """
    return tf.nn.elu(tf.concat([x, -x], axis=-1))


def gate(x: tf.Tensor) -> tf.Tensor:
    """Multiplies the first half of 2C channels by the sigmoid of the second half."""
    values, gates = tf.split(x, 2, axis=-1)
    return values * tf.sigmoid(gates)


def row_dropout(x: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Applies dropout that is the same on one replica and on several.

    The noise is sampled for all rows of the global batch, and each replica uses the
    part for its own rows.

    Args:
        x: [B, ...], the rows of this replica.
        rate: Share of the features that are set to zero, 0 or more and below 1.
        seed: int64 [2].
    """
    keep = replica_rows_uniform(tf.shape(x), seed) >= rate
    return tf.where(keep, x / tf.cast(1 - rate, x.dtype), tf.zeros([], x.dtype))


def replica_rows_uniform(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Samples uniform numbers for this replica's rows of the global batch.

    The shape [B, ...] is that of the result, float32 in [0, 1); the seed, int64 [2], is
    the same on all replicas.
    """
    context = tf.distribute.get_replica_context()
    rows = shape[0]
    first = context.replica_id_in_sync_group * rows
    total = rows * context.num_replicas_in_sync
    noise = tf.random.stateless_uniform(tf.concat([[total], shape[1:]], 0), seed)
    return noise[first : first + rows]


def step_counter() -> keras.Variable:
    """Returns a counter of training calls, which determines dropout.

    Each replica counts its own calls, because replicas cannot synchronize in a loop
    over parts of a batch.
    """
    return keras.Variable(
        0,
        dtype="int64",
        trainable=False,
        autocast=False,
        synchronization="on_read",
        aggregation="only_first_replica",
        name="steps",
    )


@keras.saving.register_keras_serializable("tfvqgen")
class GatedCausalUnit(keras.layers.Layer):
    """A strictly causal gated unit with two convolutions.

    It computes gate(conv(elu_pair(conv(elu(x + own)))) + context). The features x of a
    position depend on earlier codes; `own`, the code of the position, completes them.
    The first convolution excludes its center. Therefore the output at a position
    depends on completed features of earlier positions only, even in a stack of units,
    and a sampler can evaluate all units at once. The second convolution reads the rows
    above and the position itself.

    ``[B, H, W, C] -> [B, H, W, C]``. PixelSNAIL (Chen et al. 2017), figure 2.

    Args:
        residual_width: R, channels between the two convolutions.
        kernel: Side of both kernels.
        dropout: Dropout rate between the convolutions. Defaults to 0.
        gain: Scale of the initial weights of the second convolution. Defaults to 1.
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
        """Creates the weights for the channels of the inputs."""
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
        """Returns the update of x, [B, H, W, C] in the dtype of x.

        Args:
            x: Features, [B, H, W, C].
            own: Embedded codes of the positions, [B, H, W, C].
            context: Labels and condition, [B, H, W, E] or [B, 1, 1, E].
            dropout_seed: int64 [2] in training. Defaults to no dropout.
        """
        hidden = elu_pair(self.narrow(tf.nn.elu(x + own)))
        if dropout_seed is not None and self.dropout:
            hidden = row_dropout(hidden, self.dropout, dropout_seed)
        return gate(self.wide(hidden) + matmul(context, self.context_kernel))


@keras.saving.register_keras_serializable("tfvqgen")
class GatedPointwiseUnit(keras.layers.Layer):
    """A gated unit that reads one position at a time.

    It computes gate(W elu(x) + V attended + context), ``[B, H, W, C] -> [B, H, W, C]``.
    It ends each block, where it adds the attended values to the features, and forms the
    output stack.

    Args:
        gain: Scale of the initial weights. Defaults to 1.
    """

    def __init__(self, gain: float = 1.0, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.gain = gain

    def build(self, x_shape, context_shape=None, attended_shape=None):
        """Creates the weights for the channels of the inputs."""
        outputs = 2 * x_shape[-1]
        self.kernel = add_kernel(self, "kernel", x_shape[-1], outputs, self.gain)
        self.bias = self.add_weight(name="bias", shape=(outputs,), initializer="zeros")
        self.context_kernel = add_kernel(
            self, "context_kernel", context_shape[-1], outputs, self.gain
        )
        self.attended_kernel = None
        if attended_shape is not None:
            self.attended_kernel = add_kernel(
                self, "attended_kernel", attended_shape[-1], outputs, self.gain
            )

    def call(self, x, context, attended=None):
        """Returns the update of x, [B, H, W, C] in the dtype of x.

        Args:
            x: Features, [B, H, W, C].
            context: Labels and condition, [B, H, W, E] or [B, 1, 1, E].
            attended: Attended values, [B, H, W, A], or None.
        """
        update = matmul(tf.nn.elu(x), self.kernel)
        update += matmul(context, self.context_kernel)
        if attended is not None:
            update += matmul(attended, self.attended_kernel)
        return gate(update + tf.cast(self.bias.value, x.dtype))


def add_kernel(layer, name: str, inputs: int, outputs: int, gain: float = 1.0):
    """Adds the weights of a 1x1 convolution to a layer, [inputs, outputs]."""
    normal = keras.initializers.RandomNormal(stddev=gain / math.sqrt(inputs))
    return layer.add_weight(name=name, shape=(inputs, outputs), initializer=normal)


def matmul(x: tf.Tensor, kernel) -> tf.Tensor:
    """Multiplies the last dimension of x by a weight, in the dtype of x."""
    return tf.tensordot(x, tf.cast(kernel.value, x.dtype), 1)
