"""Code shards: the training data of the priors, written by one autoencoder.

Shapes: top codes [h, w], bottom codes [2h, 2w]; L labels.

A folder has ``codes.json`` and, for each split, shards with the names of the image
shards. A record is a ``tf.train.Example`` of one crop: code maps, labels and id.
"""

import dataclasses
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfvqgen.data import schema
from tfvqgen.data.dataset_info import Shard
from tfvqgen.data.schema import CROP_ID, IMAGE_LABEL
from tfvqgen.data.tfrecords import Damage, find_damage, shard_problem
from tfvqgen.errors import DataError
from tfvqgen.files import read_sealed_json, write_sealed_json
from tfvqgen.validation import key, read

FORMAT = "tfvqgen-codes-1"
FILE_NAME = "codes.json"
TOP = "codes/top"
BOTTOM = "codes/bottom"


@dataclasses.dataclass(frozen=True)
class CodesInfo:
    """The contents of ``codes.json``.

    Attributes:
        top_shape: (h, w) of the top code maps.
        bottom_shape: (2h, 2w) of the bottom code maps.
        num_embeddings: K; codes are 0 to K - 1.
        symmetries: The number of symmetries of the square in which each training image
            was encoded.
        labels: The vocabulary in order.
        dataset_fingerprint: The hash of the images.
        autoencoder_fingerprint: The hash of the weights that encoded them.
        splits: The shards of each split.
    """

    top_shape: tuple[int, int] = key(low=1)
    bottom_shape: tuple[int, int] = key(low=1)
    num_embeddings: int = key(low=1)
    symmetries: int = key(low=1)
    labels: tuple[str, ...]
    dataset_fingerprint: str
    autoencoder_fingerprint: str
    splits: Mapping[str, tuple[Shard, ...]]


class CodeSplit(schema.RecordSplit):
    """The code maps of one split, with the interface of ``schema.Split``."""

    def __init__(self, folder: str | os.PathLike, name: str, info: CodesInfo):
        super().__init__(folder, name, info.splits[name], info.labels)
        self.info = info

    def parser(self) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        """See :func:`codes_parser`."""
        return codes_parser(self.info)

    def batches(self, size: int = 1024) -> Iterator[dict[str, np.ndarray]]:
        """Yields all records in order; the last batch may be smaller.

        Raises:
            DataError: A record is damaged; the message names file and record.
        """
        records = tf.data.TFRecordDataset([str(path) for path in self.paths])
        parsed = records.map(self.parser(), num_parallel_calls=tf.data.AUTOTUNE)
        try:
            yield from parsed.batch(size).as_numpy_iterator()
        except tf.errors.OpError as error:
            for found in find_damage(self):
                raise _damaged(found) from error
            raise


def serialize_codes(
    top: np.ndarray, bottom: np.ndarray, labels: Sequence[int], crop_id: str
) -> bytes:
    """Makes the record of one crop's codes, stored as little-endian uint16.

    The codes are integers, and the labels are indices into the vocabulary.
    """
    return schema.serialize(
        {
            TOP: np.asarray(top).astype("<u2").tobytes(),
            BOTTOM: np.asarray(bottom).astype("<u2").tobytes(),
            IMAGE_LABEL: labels,
            CROP_ID: crop_id.encode(),
        }
    )


def codes_parser(info: CodesInfo) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Returns a function for graphs that parses one record.

    It takes a string [] and returns ``top`` int32 [h, w], ``bottom`` int32 [2h, 2w] and
    ``labels`` float32 [L], 1 where the crop has the label.
    """
    features = {
        TOP: tf.io.FixedLenFeature([], tf.string),
        BOTTOM: tf.io.FixedLenFeature([], tf.string),
        IMAGE_LABEL: tf.io.RaggedFeature(tf.int64),
    }

    def read_map(encoded, shape):
        codes = tf.io.decode_raw(encoded, tf.uint16)
        return tf.reshape(tf.cast(codes, tf.int32), shape)

    def parse(record: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.io.parse_single_example(record, features)
        return {
            "top": read_map(values[TOP], info.top_shape),
            "bottom": read_map(values[BOTTOM], info.bottom_shape),
            "labels": schema.multi_hot(values[IMAGE_LABEL], len(info.labels)),
        }

    return parse


def write_codes_info(folder: str | os.PathLike, info: CodesInfo) -> None:
    """Writes ``codes.json``, the last file of a folder of code shards."""
    value = {"format": FORMAT, **dataclasses.asdict(info)}
    write_sealed_json(Path(folder) / FILE_NAME, value)


def read_codes_info(folder: str | os.PathLike) -> CodesInfo:
    """Reads ``codes.json`` and checks that its shards are there, of the right size.

    Raises:
        DataError: Something is missing or damaged.
    """
    path = Path(folder) / FILE_NAME
    if not path.exists():
        raise DataError(
            "no codes: expected a folder that train.py --stage=codes wrote. "
            f"Received: {folder}"
        )
    values = read_sealed_json(path)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise DataError(f"wrong format: expected {FORMAT}. Received: {path}")
    info = read(CodesInfo, values, path)
    require_whole(folder, info, verify=False)
    return info


def require_current(
    info: CodesInfo, *, dataset_fingerprint: str, autoencoder_fingerprint: str
) -> None:
    """Raises a DataError if codes are of other images or by other weights."""
    for what, found, expected in (
        ("images", info.dataset_fingerprint, dataset_fingerprint),
        ("autoencoder", info.autoencoder_fingerprint, autoencoder_fingerprint),
    ):
        if found != expected:
            raise DataError(
                f"the codes are stale: expected codes of {what} {expected[:12]}; run "
                f"--stage=codes again. Received: codes of {what} {found[:12]}"
            )


def require_whole(
    folder: str | os.PathLike, info: CodesInfo, verify: bool = True
) -> None:
    """Raises a DataError if a shard is missing or damaged.

    The sha256 of the shards is only compared with `verify`.
    """
    for shard in itertools.chain(*info.splits.values()):
        path = Path(folder) / shard.path
        if problem := shard_problem(path, shard, verify):
            raise _damaged(Damage(path, None, problem))


def _damaged(damage: Damage) -> DataError:
    return DataError(
        "damaged code shard: expected the file that codes.json describes; run "
        f"train.py --stage=codes to write it again. Received: {damage}"
    )
