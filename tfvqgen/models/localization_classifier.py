"""The network that recognises localizations."""

# Shapes: B images, H x W pixels, C channels; L labels, F features.

import keras
import tensorflow as tf

from tfvqgen.layers.row_dropout import row_dropout

# The side, in positions, below which maps are not halved any more.
SMALLEST_MAP = 8


class LocalizationClassifier(keras.Model):
    """Recognises which localizations an image of one cell shows.

    A small residual network (He et al. 2016): a 3x3 convolution, then stages of two
    3x3 convolutions with batch normalization around a shortcut. Each stage doubles the
    filters and halves the map, until it has 8 to 15 positions a side. Images of 128
    pixels and more are halved by the first convolution already. The features are the
    mean and the maximum over the last map: what fills a compartment shows in the one, a
    single spot (a centrosome) in the other. [B, 64, 64, 4] becomes [B, L].

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
        width: int = 24,
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
        raise NotImplementedError

    @property
    def num_features(self) -> int:
        """F."""
        raise NotImplementedError

    def call(self, images, training=False):
        """Returns the logits of every label, float32 [B, L].

        Args:
            images: Float32 [B, H, W, C] in [0, 1].
            training: Whether batches are normalized by their own statistics and
                features are dropped; counts as a step.
        """
        features = self.features(images, training)
        if training:
            features = row_dropout(features, self.dropout, self._next_seed())
        return tf.cast(self.head(features), tf.float32)

    def features(self, images, training=False):
        """Returns what the last layer sees, float32 [B, F]."""
        raise NotImplementedError
