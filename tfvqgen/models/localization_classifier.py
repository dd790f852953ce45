"""A network that classifies localizations."""

# Shapes: B images, H x W pixels, C channels; L labels, F features.

import keras
import tensorflow as tf

from tfvqgen.layers.gated_units import row_dropout, step_counter

# Maps are halved only if at least this many positions per side remain.
_SMALLEST_MAP = 8
# From this many pixels per side on, the first convolution halves the map; in smaller
# images a centrosome has only one or two pixels.
_LARGE = 128
_BN_MOMENTUM = 0.9


class LocalizationClassifier(keras.Model):
    """Predicts which localizations an image of one cell shows.

    A small residual network (He et al. 2016, "Identity mappings"). The first
    convolution is 3x3, or 5x5 with stride 2 for images of at least 128 pixels. The
    stages have two 3x3 convolutions and a shortcut, with batch normalization and ReLU
    before each convolution. Each stage has twice the filters of the previous one and
    halves the map, until the map has 8 to 15 positions per side: [B, 64, 64, 4] becomes
    [B, 8, 8, 8 * width], and that [B, L]. The features are the mean and the maximum
    over the last map, for patterns that fill a compartment and for single spots.

    The input is the square root of the pixels, because images are dark and shot noise
    then has the same strength in dark and bright regions.

    Args:
        num_labels: L.
        image_shape: (H, W, C).
        width: Filters of the first convolution. Defaults to 16.
        dropout: Dropout rate of the features. Defaults to 0.3.
        precision: ``float32`` (the default) or ``bfloat16``, for the layers.
        seed: Random seed for dropout. Defaults to 0.
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
        large = min(image_shape[:2]) >= _LARGE
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
        """Number of features (F)."""
        return 2 * (self.width << (len(self.stages) - 1))

    def build(self, input_shape=None):
        """Creates every weight with one pass over an empty image."""
        del input_shape
        if self.built:
            return
        self.built = True
        self.steps = step_counter()
        self(tf.zeros([1, *self.image_shape]))

    def call(self, images, training=False):
        """Returns the logit of every label, float32 [B, L].

        Args:
            images: Float32 [B, H, W, C] in [0, 1].
            training: Whether batch statistics and dropout are used; the call counts as
                a training step.
        """
        features = self.features(images, training)
        if training:
            step = self.steps.value + 0
            self.steps.assign(step + 1)
            seed = tf.stack([tf.constant(self.seed, tf.int64), step])
            features = row_dropout(features, self.dropout, seed)
        return self.head(features)

    def features(self, images, training=False):
        """Returns the input of the last layer, float32 [B, F]; see :meth:`call`."""
        x = tf.cast(tf.sqrt(images), self.compute_dtype)
        x = self.stem(self.input_normalization(x, training=training))
        for stage in self.stages:
            x = stage(x, training=training)
        x = tf.nn.relu(self.output_normalization(x, training=training))
        features = [tf.reduce_mean(x, axis=[1, 2]), tf.reduce_max(x, axis=[1, 2])]
        return tf.cast(tf.concat(features, axis=-1), tf.float32)


class _Stage(keras.layers.Layer):
    """Two convolutions with a shortcut: [B, H, W, C] -> [B, H / 2, W / 2, filters].

    If `halves` is false, the map keeps its size and C must be `filters`.
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
        """The layers are built when they are called."""
        del input_shape
        self.built = True

    def call(self, x, training=False):
        """Returns the map for the next stage."""
        normalized = tf.nn.relu(self.first_normalization(x, training=training))
        if self.halves:
            x = self.shortcut(self.pool(normalized))
        inner = self.second_normalization(self.first(normalized), training=training)
        return x + self.second(tf.nn.relu(inner))


def _num_stages(side: int) -> int:
    """Returns the number of stages after which 8 to 15 positions per side remain."""
    side = side // 2 if side >= _LARGE else side
    stages = 1
    while side // 2**stages >= _SMALLEST_MAP:
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
    # Without synchronization, two replicas would train a different network than one.
    return keras.layers.BatchNormalization(
        momentum=_BN_MOMENTUM, synchronized=True, dtype=policy
    )
