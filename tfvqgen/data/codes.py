"""Code shards: the training data of the priors, written by one autoencoder.

A folder of code shards has ``codes.json`` and, for each split, shards with the names of
the image shards. A record is a ``tf.train.Example`` of one crop: its two code maps, its
labels and its id.
"""

# Shapes: top codes [h, w], bottom codes [2h, 2w]; L labels.

import dataclasses
import functools
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfvqgen.data.dataset_info import Shard
from tfvqgen.data.tfrecords import Records, find_damage, shard_problem
from tfvqgen.errors import DataError
from tfvqgen.files import read_sealed_json, write_sealed_json
from tfvqgen.validation import key, read

FORMAT = "tfvqgen-codes-1"
FILE_NAME = "codes.json"
TOP = "codes/top"
BOTTOM = "codes/bottom"
LABEL = "image/label"
CROP_ID = "crop/id"


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


class CodeSplit:
    """The code maps of one split, each known by its number from 0.

    The input pipeline reads it as it reads a :class:`~tfvqgen.data.schema.Split`.

    Args:
        folder: Where ``codes.json`` is.
        name: ``train``, ``validation`` or ``test``.
        info: The contents of ``codes.json``.
    """

    def __init__(self, folder: str | os.PathLike, name: str, info: CodesInfo):
        self.name = name
        self.info = info
        self.shards = info.splits[name]
        self.paths = [Path(folder) / shard.path for shard in self.shards]

    @property
    def num_examples(self) -> int:
        """The number of records in all shards."""
        return sum(shard.num_examples for shard in self.shards)

    @functools.cached_property
    def records(self) -> Records:
        """The records; the first use looks for their places in the files."""
        return Records(self.paths, [shard.num_examples for shard in self.shards])

    def parser(self) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        """See :func:`codes_parser`."""
        return codes_parser(self.info)

    def read_labels(self) -> np.ndarray:
        """Reads the labels of all records, in order: bool [N, L]."""
        return np.concatenate([batch["labels"] for batch in self.batches()]) > 0

    def crop_ids(self, indices: Sequence[int]) -> list[str]:
        """Returns the ``crop/id`` of records, given their numbers."""
        read = self.records.reader()
        records = [read(tf.constant(int(i), tf.int64)).numpy() for i in indices]
        return [
            tf.train.Example.FromString(record)
            .features.feature[CROP_ID]
            .bytes_list.value[0]
            .decode()
            for record in records
        ]

    def batches(self, size: int = 1024) -> Iterator[dict[str, np.ndarray]]:
        """Goes through all records in order, the last batch being what is left.

        Raises:
            DataError: One is damaged; names file and record.
        """
        records = tf.data.TFRecordDataset([str(path) for path in self.paths])
        parsed = records.map(self.parser(), num_parallel_calls=tf.data.AUTOTUNE)
        try:
            yield from parsed.batch(size).as_numpy_iterator()
        except tf.errors.OpError as error:
            for found in find_damage(self):
                raise _damaged(found.path, found.record, found.reason) from error
            raise


def serialize_codes(
    top: np.ndarray, bottom: np.ndarray, labels: Sequence[int], crop_id: str
) -> bytes:
    """Makes the record of one crop's codes, stored as little-endian uint16.

    Args:
        top: Integers [h, w].
        bottom: Integers [2h, 2w].
        labels: Indices into the vocabulary.
        crop_id: The crop's name.
    """

    def as_bytes(*values):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))

    features = {
        TOP: as_bytes(np.asarray(top).astype("<u2").tobytes()),
        BOTTOM: as_bytes(np.asarray(bottom).astype("<u2").tobytes()),
        LABEL: tf.train.Feature(int64_list=tf.train.Int64List(value=labels)),
        CROP_ID: as_bytes(crop_id.encode()),
    }
    return tf.train.Example(
        features=tf.train.Features(feature=features)
    ).SerializeToString(deterministic=True)


def codes_parser(info: CodesInfo) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Returns a function for graphs that parses one record.

    It takes a string [] and returns ``top`` int32 [h, w], ``bottom`` int32 [2h, 2w] and
    ``labels`` float32 [L], 1 where the crop has the label.
    """
    features = {
        TOP: tf.io.FixedLenFeature([], tf.string),
        BOTTOM: tf.io.FixedLenFeature([], tf.string),
        LABEL: tf.io.RaggedFeature(tf.int64),
    }

    def read_map(encoded, shape):
        return tf.reshape(
            tf.cast(tf.io.decode_raw(encoded, tf.uint16), tf.int32), shape
        )

    def parse(record: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.io.parse_single_example(record, features)
        ones = tf.ones_like(values[LABEL], tf.float32)
        labels = tf.math.unsorted_segment_sum(ones, values[LABEL], len(info.labels))
        return {
            "top": read_map(values[TOP], info.top_shape),
            "bottom": read_map(values[BOTTOM], info.bottom_shape),
            "labels": tf.minimum(labels, 1.0),
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
    for shard in itertools.chain(*info.splits.values()):
        if problem := shard_problem(Path(folder) / shard.path, shard):
            raise _damaged(Path(folder) / shard.path, None, problem)
    return info


def require_current(
    info: CodesInfo, *, dataset_fingerprint: str, autoencoder_fingerprint: str
) -> None:
    """Refuses stale codes.

    Raises:
        DataError: They were written from other images or by other weights.
    """
    for what, found, expected in (
        ("images", info.dataset_fingerprint, dataset_fingerprint),
        ("autoencoder", info.autoencoder_fingerprint, autoencoder_fingerprint),
    ):
        if found != expected:
            raise DataError(
                f"the codes are stale: expected codes of {what} {expected[:12]}; run "
                f"--stage=codes again. Received: codes of {what} {found[:12]}"
            )


def require_whole(folder: str | os.PathLike, info: CodesInfo) -> None:
    """Reads every byte of the shards, which are small, and compares their sha256.

    Raises:
        DataError: One is damaged.
    """
    for shard in itertools.chain(*info.splits.values()):
        path = Path(folder) / shard.path
        if problem := shard_problem(path, shard, verify=True):
            raise _damaged(path, None, problem)


def _damaged(path: Path, record: int | None, problem: str) -> DataError:
    where = "" if record is None else f" record {record}"
    return DataError(
        "damaged code shard: expected the file that codes.json describes; run "
        "train.py --stage=codes to write it again. "
        f"Received: {path}{where} ({problem})"
    )
