"""Features of all crops, streamed through the network in batches."""

# Shapes: N crops, B crops of a batch, F features.

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from data_prep.embedding.crop_images import CropImages
from tfvqgen.data.input_pipeline import Share, batches
from tfvqgen.data.schema import to_unit
from tfvqgen.data.tfrecords import READ_ERRORS
from tfvqgen.models import PairedInpainting
from tfvqgen.models.paired_inpainting import FEATURE_BLOCK

BATCH_SIZE = 64


def feature_batches(
    model: PairedInpainting,
    images: CropImages,
    *,
    block: int = FEATURE_BLOCK,
    batch_size: int = BATCH_SIZE,
) -> Iterator[np.ndarray]:
    """Yields the features of all crops, in the table's order.

    A crop's features depend on its image alone. The last batch is filled up, so that
    all run through one graph.

    Args:
        model: With the weights to use.
        images: The crops, their protein first.
        block: Of the source encoder.
        batch_size: B.

    Yields:
        Float32 [B, F], the last one what is left.

    Raises:
        DataError: A crop cannot be read.
    """
    read = images.reader()
    last = len(images) - 1
    share = Share(batch_size)
    steps = -(-len(images) // batch_size)
    numbers = tf.data.Dataset.range(steps * batch_size)
    found = batches(
        numbers, lambda number: {"image": read(tf.minimum(number, last))}, share
    )

    @tf.function
    def features(batch):
        return model.features(to_unit(batch), block)

    with tqdm(total=len(images), desc="features", unit="crop") as progress:
        try:
            for batch in found:
                left = len(images) - progress.n
                values = features(batch["image"]).numpy()[:left]
                progress.update(len(values))
                yield values
        except READ_ERRORS as error:
            raise images.explain(error) from error
