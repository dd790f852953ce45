"""The network of paired cell inpainting (Lu et al. 2019)."""

# Shapes: B pairs of cells, H x W pixels, M marker channels, F filters of a block.

import keras
import tensorflow as tf

from tfvqgen.errors import UserError

POOL = "pool"
UP = "up"
SOURCE_ENCODER = (96, POOL, 256, POOL, 384, 384, 256)
MARKER_ENCODER = (16, POOL, 32, POOL, 32)
DECODER = (256, 384, 384, UP, 256, UP, 96)
# Pixels that a position of the encoders' outputs spans.
STRIDE = 4
# Where Lu et al. take their features, counted from 1.
FEATURE_BLOCK = 3
NUM_BLOCKS = sum(part != POOL for part in SOURCE_ENCODER)


class PairedInpainting(keras.Model):
    """Paints the protein of a cell from its markers and another cell with the protein.

    The source encoder sees a cell x with its protein; the marker encoder sees the
    markers of a cell y of the same group; the decoder predicts y's protein from both.
    It can do so only where the source encoder says what kind of pattern x shows, apart
    from where x's nucleus and fibres happen to lie: that is what makes its features
    useful. "Learning unsupervised feature representations for single cell microscopy
    images with paired cell inpainting", Lu, Kraus, Cooper and Moses, PLOS Computational
    Biology 2019.

    All convolutions are 3x3 with ReLU, except for the last, which is 1x1 and linear; in
    the encoders batch normalization follows the ReLU, over the batches of all replicas.
    Pairs of 64 x 64 pixels are joined at 16 x 16: [B, 64, 64, 3] and [B, 64, 64, 2]
    become [B, 64, 64, 1]. With two markers and width 1 it has the paper's 7,324,529
    parameters. Fully convolutional: any size that 4 divides.

    Args:
        num_markers: M, the marker channels of both cells.
        width: Multiplies the filters of every layer but the last.
        precision: ``float32`` or ``bfloat16``, the arithmetic of the layers.
    """

    def __init__(
        self,
        num_markers: int = 2,
        width: float = 1.0,
        precision: str = "float32",
        **kwargs,
    ):
        policy = "mixed_bfloat16" if precision == "bfloat16" else "float32"
        super().__init__(dtype=policy, autocast=False, **kwargs)
        self.num_markers = num_markers
        self.width = width
        self.precision = precision
        self.source_encoder = _layers(SOURCE_ENCODER, width, policy, normalized=True)
        self.marker_encoder = _layers(MARKER_ENCODER, width, policy, normalized=True)
        self.decoder = [
            *_layers(DECODER, width, policy, normalized=False),
            keras.layers.Conv2D(1, 1, dtype=policy),
        ]

    def build(self, input_shape=None):
        """Makes every weight by one pass over empty cells."""
        del input_shape
        if not self.built:
            self.built = True
            markers = tf.zeros([1, STRIDE, STRIDE, self.num_markers])
            self(tf.concat([markers[..., :1], markers], axis=-1), markers)

    def call(self, source, markers, training=False):
        """Predicts the protein of the cells y.

        Args:
            source: Float32 [B, H, W, 1 + M] in [0, 1]: the protein and the markers of
                the cells x.
            markers: Float32 [B, H, W, M] in [0, 1]: the markers of the cells y.
            training: Whether batches are normalized by their own statistics.

        Returns:
            Float32 [B, H, W, 1], not clipped.
        """
        policy = self.compute_dtype
        source = _run(self.source_encoder, tf.cast(source, policy), training)
        markers = _run(self.marker_encoder, tf.cast(markers, policy), training)
        joined = tf.concat([source, markers], axis=-1)
        return tf.cast(_run(self.decoder, joined, training), tf.float32)

    def features(self, source, block: int = FEATURE_BLOCK):
        """Returns the spatial maximum of a block of the source encoder.

        Args:
            source: Float32 [B, H, W, 1 + M] in [0, 1], as in :meth:`call`.
            block: Counts convolutions (with ReLU and normalization) from 1.

        Returns:
            Float32 [B, F]; by default the 384 (at width 1) of Lu et al.

        Raises:
            UserError: There is no such block.
        """
        if not 1 <= block <= NUM_BLOCKS:
            raise UserError(
                f"unknown block: expected 1 to {NUM_BLOCKS}. Received: block={block}"
            )
        normalizations = [
            index
            for index, layer in enumerate(self.source_encoder)
            if isinstance(layer, keras.layers.BatchNormalization)
        ]
        layers = self.source_encoder[: normalizations[block - 1] + 1]
        maps = _run(layers, tf.cast(source, self.compute_dtype), training=False)
        return tf.cast(tf.reduce_max(maps, axis=[1, 2]), tf.float32)


def _layers(parts, width: float, policy: str, *, normalized: bool):
    layers = []
    for part in parts:
        if part == POOL:
            layers.append(keras.layers.MaxPooling2D(dtype=policy))
        elif part == UP:
            layers.append(keras.layers.UpSampling2D(dtype=policy))
        else:
            settings = {"padding": "same", "activation": "relu", "dtype": policy}
            filters = max(1, round(part * width))
            layers.append(keras.layers.Conv2D(filters, 3, **settings))
            if normalized:
                # Otherwise two replicas would train another network than one.
                layers.append(
                    keras.layers.BatchNormalization(synchronized=True, dtype=policy)
                )
    return layers


def _run(layers, inputs, training: bool):
    x = inputs
    for layer in layers:
        is_normalization = isinstance(layer, keras.layers.BatchNormalization)
        x = layer(x, training=training) if is_normalization else layer(x)
    return x
