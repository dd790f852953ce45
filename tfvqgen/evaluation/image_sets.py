"""Sets of images, read from shards in batches."""

# Shapes: N images of H x W pixels and C channels, B of a batch; L labels.

import dataclasses
import os
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfvqgen.data import schema
from tfvqgen.data.input_pipeline import diagnose
from tfvqgen.data.schema import Split
from tfvqgen.data.tfrecords import READ_ERRORS
from tfvqgen.errors import DataError
from tfvqgen.training.workdir import Workdir

BATCH_SIZE = 32
# The split that generators are trained on.
TRAINED_ON = "train"


def open_data(workdir: Workdir, data_dir: str | os.PathLike) -> schema.Dataset:
    """Opens the shards that the models of a workdir were trained on.

    Raises:
        DataError: The shards are others, or there is no workdir or no data.
    """
    workdir.load_config()  # Fails if this is not a workdir.
    expected = workdir.load_dataset_info().fingerprint()
    dataset = schema.open_dataset(data_dir)
    if dataset.info.fingerprint() != expected:
        raise DataError(
            "the data are not those that the models were trained on: expected shards "
            f"of fingerprint {expected[:12]}, as {workdir.path} says. Received: "
            f"{data_dir} of fingerprint {dataset.info.fingerprint()[:12]}"
        )
    return dataset


@dataclasses.dataclass(frozen=True)
class ImageSet:
    """Some images of a split, real or generated."""

    split: Split  # The shards that contain them.
    numbers: np.ndarray  # Their indices in the split, int64 [N].
    labels: np.ndarray  # bool [N, L].

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
        """Returns some of the images, by their index in this set."""
        rows = np.asarray(rows, np.int64)
        return ImageSet(self.split, self.numbers[rows], self.labels[rows])

    def batches(self, description: str | None = None) -> Iterator[np.ndarray]:
        """Yields the images in order, uint8 or uint16 [B, H, W, C].

        The description is the text of the progress bar; None shows no bar.
        """
        for batch in read_batches(self.split, self.numbers, description):
            yield batch["image"].numpy()

    def read(self) -> np.ndarray:
        """Returns all :meth:`batches` together, [N, H, W, C]."""
        info = self.split.dataset_info
        empty = np.zeros((0, *info.image_shape), info.dtype)
        return np.concatenate([empty, *self.batches()])


def read_batches(
    split: Split,
    numbers: Sequence[int],
    description: str | None,
    batch_size: int = BATCH_SIZE,
) -> Iterator[dict[str, tf.Tensor]]:
    """Reads examples of a split by their index, in batches.

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
    shown = {"desc": description, "unit": "crop", "disable": description is None}
    with tqdm(total=len(numbers), **shown) as progress:
        try:
            for batch in examples.batch(batch_size).prefetch(tf.data.AUTOTUNE):
                yield batch
                progress.update(len(batch["labels"]))
        except READ_ERRORS as error:
            raise diagnose(error, split) from error
