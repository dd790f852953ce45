"""The network that recognises localizations."""

# Shapes: B images, H x W pixels, C channels; L labels, F features.

import keras
import tensorflow as tf

from tfvqgen.layers.gated_units import row_dropout

# Positions a side below which maps are not halved any more.
SMALLEST_MAP = 8
# Pixels a side from which on the first convolution halves the map; in smaller images a
# centrosome is a pixel or two.
LARGE = 128
_BN_MOMENTUM = 0.9


class LocalizationClassifier(keras.Model):
    """Recognises which localizations an image of one cell shows.

    A small residual network (He et al. 2016, "Identity mappings"): a 3x3 convolution
    (5x5 of stride 2 from 128 pixels on), then stages of two 3x3 convolutions beside a
    shortcut, batch normalization and ReLU before each. A stage has twice the filters of
    the one before and halves its map, until that has 8 to 15 positions a side:
    [B, 64, 64, 4] becomes [B, 8, 8, 8 * width], and that [B, L]. The features are the
    mean and the maximum over the last map: what fills a compartment shows in the one, a
    single spot in the other.

    Pixels are seen as their square roots, normalized over batches: stainings are dark,
    and shot noise then is as strong in dark places as in bright ones.

    Args:
        num_labels: L.
        image_shape: (H, W, C).
        width: Filters of the first convolution.
        dropout: Share of the features that is dropped before the last layer.
        precision: ``float32`` or ``bfloat16``, the arithmetic of the layers.
        seed: Of dropout.
    """

    def __init__(
        self,
        num_labels: int,
        image_shape: tuple[int, int, int],
        width: int = 16,
        dropout: float = 0.3,
        precision: str = "float32",
        seed: int = 0,
        **kwargs,
    ):
        policy = "mixed_bfloat16" if precision == "bfloat16" else "float32"
        super().__init__(dtype=policy, autocast=False, **kwargs)
        self.num_labels = num_labels
        self.image_shape = tuple(image_shape)
        self.width = width
        self.dropout = dropout
        self.precision = precision
        self.seed = seed
        self.input_normalization = _normalization(policy)
        large = min(image_shape[:2]) >= LARGE
        self.stem = _convolution(width, *((5, 2) if large else (3, 1)), policy)
        self.stages = [
            _Stage(
                width << number, halves=number > 0, policy=policy, name=f"stage{number}"
            )
            for number in range(_num_stages(min(image_shape[:2])))
        ]
        self.output_normalization = _normalization(policy)
        self.head = keras.layers.Dense(num_labels, dtype="float32")

    @property
    def num_features(self) -> int:
        """F."""
        return 2 * (self.width << (len(self.stages) - 1))

    def build(self, input_shape=None):
        """Makes every weight by one pass over an empty image."""
        del input_shape
        if self.built:
            return
        self.built = True
        # Training calls, of which dropout is a function; each replica counts its own.
        self.steps = keras.Variable(
            0,
            dtype="int64",
            trainable=False,
            autocast=False,
            synchronization="on_read",
            aggregation="only_first_replica",
            name="steps",
        )
        self(tf.zeros([1, *self.image_shape]))

    def call(self, images, training=False):
        """Returns the logits of every label, float32 [B, L].

        Args:
            images: Float32 [B, H, W, C] in [0, 1].
            training: Whether batches are normalized by their own statistics and
                features are dropped; counts as a step.
        """
        features = self.features(images, training)
        if training:
            step = self.steps.value + 0
            self.steps.assign(step + 1)
            seed = tf.stack([tf.constant(self.seed, tf.int64), step])
            features = row_dropout(features, self.dropout, seed)
        return self.head(features)

    def features(self, images, training=False):
        """Returns what the last layer decides by, float32 [B, F].

        Args:
            images: Float32 [B, H, W, C] in [0, 1].
            training: Whether batches are normalized by their own statistics.
        """
        x = tf.cast(tf.sqrt(images), self.compute_dtype)
        x = self.stem(self.input_normalization(x, training=training))
        for stage in self.stages:
            x = stage(x, training=training)
        x = tf.nn.relu(self.output_normalization(x, training=training))
        found = [tf.reduce_mean(x, axis=[1, 2]), tf.reduce_max(x, axis=[1, 2])]
        return tf.cast(tf.concat(found, axis=-1), tf.float32)


class _Stage(keras.layers.Layer):
    """Two convolutions beside a shortcut: [B, H, W, C] -> [B, H / 2, W / 2, F].

    Args:
        filters: F.
        halves: Whether the map is halved; otherwise C is F.
        policy: Of the layers' types.
        name: The layer's.
    """

    def __init__(self, filters: int, halves: bool, policy: str, name: str):
        super().__init__(dtype=policy, name=name)
        self.halves = halves
        self.first_normalization = _normalization(policy)
        self.first = _convolution(filters, 3, 2 if halves else 1, policy)
        self.second_normalization = _normalization(policy)
        self.second = _convolution(filters, 3, 1, policy)
        self.shortcut = _convolution(filters, 1, 1, policy) if halves else None
        self.pool = keras.layers.AveragePooling2D(2, padding="same", dtype=policy)

    def build(self, input_shape):
        """The layers are made as they are called."""
        del input_shape
        self.built = True

    def call(self, x, training=False):
        """Returns the maps of the next stage."""
        normalized = tf.nn.relu(self.first_normalization(x, training=training))
        if self.halves:
            x = self.shortcut(self.pool(normalized))
        inner = self.second_normalization(self.first(normalized), training=training)
        return x + self.second(tf.nn.relu(inner))


def _num_stages(side: int) -> int:
    """Returns how many stages leave 8 to 15 positions of so many pixels."""
    side = side // 2 if side >= LARGE else side
    stages = 1
    while side // 2**stages >= SMALLEST_MAP:
        stages += 1
    return stages


def _convolution(filters: int, side: int, stride: int, policy: str):
    return keras.layers.Conv2D(
        filters,
        side,
        stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        dtype=policy,
    )


def _normalization(policy: str):
    # Otherwise two replicas would train another network than one.
    return keras.layers.BatchNormalization(
        momentum=_BN_MOMENTUM, synchronized=True, dtype=policy
    )
