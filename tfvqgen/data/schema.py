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
from tfvqgen.data.dataset_info import DatasetInfo, SplitInfo
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
# A pass over small data is over before a progress bar could be read.
_QUIET_AT_FIRST = {"unit": "example", "delay": 2, "leave": False}


class Split:
    """The examples of one split, each known by its number from 0.

    Attributes:
        name: ``train``, ``validation`` or ``test``.
        dataset_info: What the whole folder holds.
        info: What this split holds.
        shards: Its shards, as ``dataset.json`` describes them.
        paths: Their files.
    """

    def __init__(self, folder: Path, name: str, info: DatasetInfo):
        self.name = name
        self.dataset_info = info
        self.info: SplitInfo = info.splits[name]
        self.shards = self.info.shards
        self.paths = [folder / shard.path for shard in self.shards]

    @property
    def num_examples(self) -> int:
        """The number of examples."""
        return self.info.num_examples

    @property
    def label_counts(self) -> Mapping[str, int]:
        """Label -> number of examples that have it."""
        return self.info.label_counts

    @functools.cached_property
    def records(self) -> Records:
        """The records; the first use looks for their places in the files."""
        return Records(self.paths, [shard.num_examples for shard in self.info.shards])

    def parser(self) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        """Returns the function for graphs that decodes a record of this split."""
        return example_parser(self.dataset_info)

    def read_labels(self) -> np.ndarray:
        """Reads the labels of all examples, in order: bool [N, L]."""
        return read_labels(self)

    def crop_ids(self, indices: Sequence[int]) -> list[str]:
        """Returns the ``crop/id`` of examples, given their numbers."""
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


class Dataset:
    """A folder of shards.

    Attributes:
        folder: Where it is.
        info: The contents of its ``dataset.json``.
    """

    def __init__(self, folder: str | os.PathLike, info: DatasetInfo):
        self.folder = Path(folder)
        self.info = info

    def fingerprint(self) -> str:
        """Returns a hash of everything that a model learns from."""
        return self.info.fingerprint()

    def split(self, name: str) -> Split:
        """Returns a split by name.

        Raises:
            UserError: There is none of that name, or it is empty.
        """
        present = [key for key, value in self.info.splits.items() if value.num_examples]
        if name not in present:
            raise UserError(
                f"no such split in {self.folder}: expected one of "
                f"{', '.join(present)}. Received: split={name!r}"
            )
        return Split(self.folder, name, self.info)


def open_dataset(data_dir: str | os.PathLike, verify: bool = False) -> Dataset:
    """Opens a folder of shards.

    Args:
        data_dir: The folder with ``dataset.json``.
        verify: Whether to compare the shards' sha256 too, which reads every byte;
            otherwise their existence and size are checked.

    Raises:
        DataError: Something is missing or not as ``dataset.json`` says.
    """
    dataset = Dataset(data_dir, dataset_info.read_info(data_dir))
    for split in dataset.info.splits.values():
        for shard in split.shards:
            problem = shard_problem(dataset.folder / shard.path, shard, verify)
            if problem:
                raise damaged(dataset.folder / shard.path, None, problem)
    return dataset


def image_format(num_channels: int) -> str:
    """Returns how images of so many channels are stored: ``png`` or ``raw``."""
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
        crop_id: The crop's name.
        group: Its group.
        field: Its field of view.
        metadata: Further features by name.
        png: The image as a PNG, if that is at hand and :func:`is_plain_png`.
    """
    height, width, channels = image.shape
    if image_format(channels) == "png":
        encoded = png or encode_png(image)
    else:
        encoded = image.astype(image.dtype.newbyteorder("<")).tobytes()
    features = {
        IMAGE_ENCODED: _bytes_feature(encoded),
        IMAGE_FORMAT: _bytes_feature(image_format(channels).encode()),
        IMAGE_HEIGHT: _int64_feature([height]),
        IMAGE_WIDTH: _int64_feature([width]),
        IMAGE_CHANNELS: _int64_feature([channels]),
        IMAGE_LABEL: _int64_feature(labels),
        CROP_ID: _bytes_feature(crop_id.encode()),
        CROP_GROUP: _bytes_feature(group.encode()),
        CROP_FIELD: _bytes_feature(field.encode()),
    }
    for name, value in (metadata or {}).items():
        prefix = "hpa" if name in HPA_METADATA else "crop"
        features.setdefault(f"{prefix}/{name}", _bytes_feature(value.encode()))
    return tf.train.Example(
        features=tf.train.Features(feature=features)
    ).SerializeToString(deterministic=True)


def is_plain_png(data: bytes, shape: Sequence[int], dtype: str) -> bool:
    """Whether a PNG of this shape and depth has neither palette nor interlacing."""
    header = png_header(*shape, dtype)
    return data[_PNG_HEADER_AT : _PNG_HEADER_AT + len(header)] == header


def example_parser(
    info: DatasetInfo,
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Returns a function for graphs that parses, checks and decodes one record.

    It takes a string [] and returns ``image`` uint8 or uint16 [H, W, C] and ``labels``
    float32 [L], 1 where the example has the label. A record that is not as
    ``dataset.json`` says raises InvalidArgumentError.
    """
    shape = info.image_shape
    num_labels = len(info.labels)
    decode = _png_decoder(info) if shape[2] <= MAX_PNG_CHANNELS else _raw_decoder(info)
    features = {
        IMAGE_ENCODED: tf.io.FixedLenFeature([], tf.string),
        IMAGE_FORMAT: tf.io.FixedLenFeature([], tf.string),
        IMAGE_HEIGHT: tf.io.FixedLenFeature([], tf.int64),
        IMAGE_WIDTH: tf.io.FixedLenFeature([], tf.int64),
        IMAGE_CHANNELS: tf.io.FixedLenFeature([], tf.int64),
        IMAGE_LABEL: tf.io.RaggedFeature(tf.int64),
    }

    def parse(record: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.io.parse_single_example(record, features)
        stated = [values[IMAGE_HEIGHT], values[IMAGE_WIDTH], values[IMAGE_CHANNELS]]
        same_shape = tf.reduce_all(tf.stack(stated) == shape)
        same_format = values[IMAGE_FORMAT] == image_format(shape[2])
        labels = values[IMAGE_LABEL]
        known = tf.reduce_all((labels >= 0) & (labels < num_labels))
        checks = [
            _require(same_shape, "its shape differs"),
            _require(same_format, "its image/format differs"),
            _require(known, "a label is outside the vocabulary"),
        ]
        # The rest waits for the checks, so that the error is always the telling one.
        with tf.control_dependencies(checks):
            encoded, labels = tf.identity(values[IMAGE_ENCODED]), tf.identity(labels)
        ones = tf.ones_like(labels, tf.float32)
        hot = tf.math.unsorted_segment_sum(ones, labels, num_labels)
        return {"image": decode(encoded), "labels": tf.minimum(hot, 1.0)}

    return parse


def read_labels(split: Split) -> np.ndarray:
    """Reads the labels of all examples of a split, in order: bool [N, L].

    Raises:
        tf.errors.OpError: A record is damaged; ``input_pipeline.diagnose`` names it.
    """
    num_labels = len(split.dataset_info.labels)
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
    with tqdm(total=split.num_examples, desc="labels", **_QUIET_AT_FIRST) as progress:
        for part in _record_batches(split).map(parse).as_numpy_iterator():
            parts.append(part)
            progress.update(len(part))
    return np.concatenate(parts)


def read_groups(split: Split) -> list[bytes]:
    """Reads the names of the groups of all examples of a split, in order."""
    features = {CROP_GROUP: tf.io.FixedLenFeature([], tf.string)}

    def parse(records: tf.Tensor) -> tf.Tensor:
        return tf.io.parse_example(records, features)[CROP_GROUP]

    batches = _record_batches(split).map(parse).as_numpy_iterator()
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
        # As many channels as there are (0): the decoder refuses to be asked for 2.
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


def _record_batches(split: Split) -> tf.data.Dataset:
    return tf.data.TFRecordDataset([str(path) for path in split.paths]).batch(1024)


def _require(condition: tf.Tensor, problem: str) -> tf.Operation | None:
    return tf.debugging.Assert(condition, [problem])


def _bytes_feature(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _int64_feature(values: Sequence[int]) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
