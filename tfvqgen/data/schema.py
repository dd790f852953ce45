"""The format of shards: the only home of the records' feature keys.

Shapes: [B, H, W, C] batch, height, width, channels; L labels.

A folder of shards has ``dataset.json`` (see ``dataset_info``) and TFRecord files whose
records are ``tf.train.Example``s with the features below. Images of 1 to 4 channels are
PNGs, others raw bytes (little endian, row by row, channels last).
"""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfvqgen.data import dataset_info
from tfvqgen.data.dataset_info import DatasetInfo, Shard, SplitInfo
from tfvqgen.data.images import MAX_PNG_CHANNELS, encode_png, png_header
from tfvqgen.data.tfrecords import Records, damaged, shard_problem
from tfvqgen.errors import UserError

IMAGE_ENCODED = "image/encoded"
IMAGE_FORMAT = "image/format"
IMAGE_HEIGHT = "image/height"
IMAGE_WIDTH = "image/width"
IMAGE_CHANNELS = "image/channels"
IMAGE_LABEL = "image/label"
CROP_ID = "crop/id"
CROP_GROUP = "crop/group"
CROP_FIELD = "crop/field"
# Metadata of the Human Protein Atlas are stored as hpa/<name>, others as crop/<name>.
HPA_METADATA = ("gene", "antibody", "cell_line", "plate", "well", "location")

_PNG_HEADER_AT = 16
# A pass over small data ends before a progress bar is worth showing.
_QUIET_AT_FIRST = {"unit": "example", "delay": 2, "leave": False}


class RecordSplit:
    """The records of one split, each with a number from 0."""

    def __init__(self, folder, name: str, shards: Sequence[Shard], labels: tuple):
        self.name = name
        self.shards = shards
        self.paths = [Path(folder) / shard.path for shard in shards]
        self._num_labels = len(labels)

    @property
    def num_examples(self) -> int:
        """The number of records in all shards."""
        return sum(shard.num_examples for shard in self.shards)

    @functools.cached_property
    def records(self) -> Records:
        """The records; the first use finds their offsets in the files."""
        return Records(self.paths, [shard.num_examples for shard in self.shards])

    def read_labels(self) -> np.ndarray:
        """Reads the labels of all records, in order: bool [N, L].

        For a damaged record, it raises an error that ``input_pipeline.diagnose`` reads.
        """
        num_labels = self._num_labels
        features = {IMAGE_LABEL: tf.io.RaggedFeature(tf.int64)}

        def parse(records: tf.Tensor) -> tf.Tensor:
            labels = tf.io.parse_example(records, features)[IMAGE_LABEL]
            known = tf.reduce_all((labels.values >= 0) & (labels.values < num_labels))
            _require(known, "a label is outside the vocabulary")
            rows = tf.cast(labels.value_rowids(), tf.int64)
            rows = tf.stack([rows, labels.values], axis=-1)
            ones = tf.ones_like(labels.values, tf.int32)
            size = tf.shape(records, tf.int64)[0]
            return tf.scatter_nd(rows, ones, [size, num_labels]) > 0

        parts = [np.zeros((0, num_labels), bool)]
        with tqdm(total=self.num_examples, desc="labels", **_QUIET_AT_FIRST) as bar:
            for part in self.record_batches().map(parse).as_numpy_iterator():
                parts.append(part)
                bar.update(len(part))
        return np.concatenate(parts)

    def record_batches(self) -> tf.data.Dataset:
        """Returns batches of undecoded records in order."""
        return tf.data.TFRecordDataset([str(path) for path in self.paths]).batch(1024)

    def crop_ids(self, indices: Sequence[int]) -> list[str]:
        """Returns the ``crop/id`` of records, given their numbers."""
        if not len(indices):
            return []
        ids = self._read_crop_ids(tf.constant(np.asarray(indices), tf.int64))
        return [crop_id.decode() for crop_id in ids.numpy().tolist()]

    @functools.cached_property
    def _read_crop_ids(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """A graph from numbers int64 [N] to ids string [N], reading in parallel."""
        read = self.records.reader()
        features = {CROP_ID: tf.io.FixedLenFeature([], tf.string)}

        def crop_id(number: tf.Tensor) -> tf.Tensor:
            return tf.io.parse_single_example(read(number), features)[CROP_ID]

        @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)])
        def crop_ids(numbers: tf.Tensor) -> tf.Tensor:
            ids = tf.data.Dataset.from_tensor_slices(numbers).map(
                crop_id, num_parallel_calls=os.cpu_count(), deterministic=True
            )
            return ids.batch(tf.size(numbers, tf.int64)).get_single_element()

        return crop_ids


class Split(RecordSplit):
    """The examples of one split; ``info`` is its part of ``dataset_info``."""

    def __init__(self, folder: Path, name: str, info: DatasetInfo):
        self.dataset_info = info
        self.info: SplitInfo = info.splits[name]
        super().__init__(folder, name, self.info.shards, info.labels)

    def parser(self) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        """See :func:`example_parser`."""
        return example_parser(self.dataset_info)


class Dataset:
    """A folder of shards, and the contents of its ``dataset.json``."""

    def __init__(self, folder: str | os.PathLike, info: DatasetInfo):
        self.folder = Path(folder)
        self.info = info

    def split(self, name: str) -> Split:
        """Returns a split by name.

        Raises:
            UserError: There is no such split, or it is empty.
        """
        present = [key for key, value in self.info.splits.items() if value.num_examples]
        if name not in present:
            raise UserError(
                f"no such split in {self.folder}: expected one of "
                f"{', '.join(present)}. Received: split={name!r}"
            )
        return Split(self.folder, name, self.info)


def open_dataset(data_dir: str | os.PathLike, verify: bool = False) -> Dataset:
    """Opens a folder of shards; checks that they exist and have the right size.

    Args:
        data_dir: The folder with ``dataset.json``.
        verify: Whether to compare their sha256 too, which reads every byte.

    Raises:
        DataError: A file is missing, or differs from ``dataset.json``.
    """
    dataset = Dataset(data_dir, dataset_info.read_info(data_dir))
    for split in dataset.info.splits.values():
        for shard in split.shards:
            path = dataset.folder / shard.path
            if problem := shard_problem(path, shard, verify):
                raise damaged(path, None, problem)
    return dataset


def _image_format(num_channels: int) -> str:
    return "png" if num_channels <= MAX_PNG_CHANNELS else "raw"


def serialize_example(
    image: np.ndarray,
    labels: Sequence[int],
    *,
    crop_id: str,
    group: str,
    field: str = "",
    metadata: Mapping[str, str] | None = None,
    png: bytes | None = None,
) -> bytes:
    """Makes the record of one crop.

    Args:
        image: uint8 or uint16 [H, W, C].
        labels: Indices into the vocabulary; none means unknown.
        crop_id: The name of the crop.
        group: The group of the crop.
        field: The field of view of the crop.
        metadata: Further features by name.
        png: The image as a PNG that :func:`is_plain_png` accepts, if there is one.
    """
    height, width, channels = image.shape
    if _image_format(channels) == "png":
        encoded = png or encode_png(image)
    else:
        encoded = image.astype(image.dtype.newbyteorder("<")).tobytes()
    values: dict[str, bytes | Sequence[int]] = {
        IMAGE_ENCODED: encoded,
        IMAGE_FORMAT: _image_format(channels).encode(),
        IMAGE_HEIGHT: [height],
        IMAGE_WIDTH: [width],
        IMAGE_CHANNELS: [channels],
        IMAGE_LABEL: labels,
        CROP_ID: crop_id.encode(),
        CROP_GROUP: group.encode(),
        CROP_FIELD: field.encode(),
    }
    for name, value in (metadata or {}).items():
        prefix = "hpa" if name in HPA_METADATA else "crop"
        values.setdefault(f"{prefix}/{name}", value.encode())
    return serialize(values)


def serialize(values: Mapping[str, bytes | Sequence[int]]) -> bytes:
    """Makes a ``tf.train.Example`` of byte strings and lists of integers by name."""
    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        if isinstance(value, bytes)
        else tf.train.Feature(int64_list=tf.train.Int64List(value=value))
        for name, value in values.items()
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)


def is_plain_png(data: bytes, shape: Sequence[int], dtype: str) -> bool:
    """Whether a PNG of this shape and depth has neither palette nor interlacing."""
    header = png_header(*shape, dtype)
    return data[_PNG_HEADER_AT : _PNG_HEADER_AT + len(header)] == header


def example_parser(info: DatasetInfo) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Returns a function for graphs that parses, checks and decodes one record.

    It takes a string [] and returns ``image`` uint8 or uint16 [H, W, C] and ``labels``
    float32 [L], 1 where the example has the label. A record that differs from
    ``dataset.json`` raises InvalidArgumentError.
    """
    shape = info.image_shape
    num_labels = len(info.labels)
    decode = _png_decoder(info) if shape[2] <= MAX_PNG_CHANNELS else _raw_decoder(info)
    text, number = (tf.io.FixedLenFeature([], kind) for kind in (tf.string, tf.int64))
    features = dict.fromkeys((IMAGE_HEIGHT, IMAGE_WIDTH, IMAGE_CHANNELS), number)
    features |= {IMAGE_ENCODED: text, IMAGE_FORMAT: text}
    features[IMAGE_LABEL] = tf.io.RaggedFeature(tf.int64)

    def parse(record: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.io.parse_single_example(record, features)
        stated = [values[IMAGE_HEIGHT], values[IMAGE_WIDTH], values[IMAGE_CHANNELS]]
        same_shape = tf.reduce_all(tf.stack(stated) == shape)
        same_format = values[IMAGE_FORMAT] == _image_format(shape[2])
        labels = values[IMAGE_LABEL]
        known = tf.reduce_all((labels >= 0) & (labels < num_labels))
        checks = [
            _require(same_shape, "its shape differs"),
            _require(same_format, "its image/format differs"),
            _require(known, "a label is outside the vocabulary"),
        ]
        # Decoding waits for the checks, so that the error is always theirs.
        with tf.control_dependencies(checks):
            encoded, labels = tf.identity(values[IMAGE_ENCODED]), tf.identity(labels)
        return {"image": decode(encoded), "labels": multi_hot(labels, num_labels)}

    return parse


def multi_hot(labels: tf.Tensor, num_labels: int) -> tf.Tensor:
    """Returns float32 [L] with 1 at the indices in `labels`, int64 [n]."""
    ones = tf.ones_like(labels, tf.float32)
    return tf.minimum(tf.math.unsorted_segment_sum(ones, labels, num_labels), 1.0)


def read_groups(split: Split) -> list[bytes]:
    """Reads the names of the groups of all examples of a split, in order."""
    features = {CROP_GROUP: tf.io.FixedLenFeature([], tf.string)}

    def parse(records: tf.Tensor) -> tf.Tensor:
        return tf.io.parse_example(records, features)[CROP_GROUP]

    batches = split.record_batches().map(parse).as_numpy_iterator()
    return [group for batch in batches for group in batch.tolist()]


def read_images(split: Split, indices: Sequence[int]) -> list[np.ndarray]:
    """Reads the images of some examples, given their numbers: each [H, W, C]."""
    read, parse = split.records.reader(), example_parser(split.dataset_info)
    numbers = [tf.constant(int(index), tf.int64) for index in indices]
    return [parse(read(number))["image"].numpy() for number in numbers]


def to_unit(images: tf.Tensor) -> tf.Tensor:
    """Scales stored images (uint8 or uint16) to float32 in [0, 1]."""
    images = tf.convert_to_tensor(images)
    return tf.cast(images, tf.float32) / images.dtype.max


def from_unit(images: tf.Tensor, dtype: str) -> tf.Tensor:
    """Turns images in [0, 1] into ``uint8`` or ``uint16``, clipped and rounded."""
    images = tf.clip_by_value(tf.cast(images, tf.float32), 0.0, 1.0)
    dtype = tf.as_dtype(dtype)
    # uint16 has no kernel for the cast from float everywhere; int32 has.
    return tf.cast(tf.cast(tf.round(images * dtype.max), tf.int32), dtype)


def _png_decoder(info: DatasetInfo) -> Callable[[tf.Tensor], tf.Tensor]:
    header = png_header(*info.image_shape, info.dtype)

    def decode(encoded: tf.Tensor) -> tf.Tensor:
        found = tf.strings.substr(encoded, _PNG_HEADER_AT, len(header))
        check = _require(found == header, "its PNG has another shape or depth")
        with tf.control_dependencies([check]):
            encoded = tf.identity(encoded)
        # channels=0: as many as there are; the decoder refuses 2.
        image = tf.io.decode_png(encoded, channels=0, dtype=tf.as_dtype(info.dtype))
        return tf.ensure_shape(image, info.image_shape)

    return decode


def _raw_decoder(info: DatasetInfo) -> Callable[[tf.Tensor], tf.Tensor]:
    dtype = tf.as_dtype(info.dtype)
    size = int(np.prod(info.image_shape)) * dtype.size

    def decode(encoded: tf.Tensor) -> tf.Tensor:
        same = tf.strings.length(encoded) == size
        with tf.control_dependencies([_require(same, "its image has another size")]):
            encoded = tf.identity(encoded)
        return tf.reshape(tf.io.decode_raw(encoded, dtype), info.image_shape)

    return decode


def _require(condition: tf.Tensor, problem: str) -> tf.Operation | None:
    return tf.debugging.Assert(condition, [problem])
