"""Sets of images that measures are compared over, read from shards in batches."""

# Shapes: N images of H x W pixels and C channels, B of a batch; L labels.

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfvqgen.data.input_pipeline import diagnose
from tfvqgen.data.schema import Split
from tfvqgen.data.tfrecords import READ_ERRORS

BATCH_SIZE = 32


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Some images of a split: real ones, or such as a model has made.

    Attributes:
        split: Where they are; see :mod:`tfvqgen.evaluation.image_store` for those that
            are made.
        numbers: Which ones, int64 [N].
        labels: Theirs, bool [N, L].
    """

    split: Split
    numbers: np.ndarray
    labels: np.ndarray

    @classmethod
    def of_split(cls, split: Split) -> "ImageSet":
        """Returns all images of a split."""
        try:
            labels = split.read_labels()
        except READ_ERRORS as error:
            raise diagnose(error, split) from error
        return cls(split, np.arange(split.num_examples, dtype=np.int64), labels)

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: Sequence[int]) -> "ImageSet":
        """Returns some of them, by their place in this set."""
        rows = np.asarray(rows, np.int64)
        return ImageSet(self.split, self.numbers[rows], self.labels[rows])

    def batches(self, what: str) -> Iterator[np.ndarray]:
        """Yields their images in order, uint8 or uint16 [B, H, W, C], with progress.

        Args:
            what: What the progress bar says.

        Raises:
            DataError: A record is damaged.
        """
        for batch in read_batches(self.split, self.numbers, what, BATCH_SIZE):
            yield batch["image"].numpy()

    def read(self) -> np.ndarray:
        """Reads all of a few images at once, uint8 or uint16 [N, H, W, C].

        Raises:
            DataError: A record is damaged.
        """
        info = self.split.dataset_info
        empty = np.zeros((0, *info.image_shape), info.dtype)
        batches = read_batches(self.split, self.numbers, None, BATCH_SIZE)
        return np.concatenate([empty, *(batch["image"].numpy() for batch in batches)])


def read_batches(
    split: Split, numbers: Sequence[int], what: str | None, batch_size: int
) -> Iterator[dict[str, tf.Tensor]]:
    """Reads some examples in batches.

    Args:
        split: Where they are.
        numbers: Which ones.
        what: What the progress bar says; without it there is none.
        batch_size: How many at a time.

    Yields:
        ``image`` uint8 or uint16 [B, H, W, C] and ``labels`` float32 [B, L].

    Raises:
        DataError: A record is damaged.
    """
    read, parse = split.records.reader(), split.parser()
    examples = tf.data.Dataset.from_tensor_slices(np.asarray(numbers, np.int64)).map(
        lambda number: parse(read(number)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    silent = what is None
    with tqdm(desc=what, total=len(numbers), unit="crop", disable=silent) as progress:
        try:
            for batch in examples.batch(batch_size).prefetch(tf.data.AUTOTUNE):
                yield batch
                progress.update(len(batch["labels"]))
        except READ_ERRORS as error:
            raise diagnose(error, split) from error
