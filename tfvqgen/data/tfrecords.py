"""Shards of records: TFRecord files that are read at any record, in any order.

When a shard is opened, the length headers are followed to find the offset of each
record. This needs 8 bytes of memory per record, proves that the file is complete, and
lets a graph read record i directly, without a shuffle buffer or open files.

A TFRecord file is a chain of: length (8 bytes, little endian), masked CRC-32C of the
length (4), data, masked CRC-32C of the data (4).
"""

import contextlib
import errno
import os
import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfvqgen.data.dataset_info import Shard
from tfvqgen.errors import DataError
from tfvqgen.files import blamed_on, sha256_of_file, sync_folder

# Errors of reading a damaged record. TensorFlow's message quotes the bytes of the
# record; if they are not UTF-8, Python raises a UnicodeDecodeError instead.
READ_ERRORS = (tf.errors.OpError, UnicodeDecodeError)

_HEADER_BYTES = 12
_FOOTER_BYTES = 4
_OS_ERRORS = {
    tf.errors.NotFoundError: errno.ENOENT,
    tf.errors.PermissionDeniedError: errno.EACCES,
    tf.errors.ResourceExhaustedError: errno.ENOSPC,
    tf.errors.OutOfRangeError: errno.EFBIG,
    tf.errors.FailedPreconditionError: errno.ENOTDIR,
}


def shard_name(split: str, index: int, num_shards: int) -> str:
    """Returns e.g. ``train-00000-of-00008.tfrecord``."""
    return f"{split}-{index:05d}-of-{num_shards:05d}.tfrecord"


def is_shard_name(name: str, splits: Container[str]) -> bool:
    """Returns whether a file name is that of a shard of one of the splits."""
    found = re.fullmatch(r"(\w+)-[0-9]{5,}-of-[0-9]{5,}\.tfrecord", name)
    return found is not None and found[1] in splits


def write_shard(path: str | os.PathLike, records: Iterable[bytes]) -> Shard:
    """Writes records to `path`, which appears only when it is complete.

    Raises:
        OSError: It cannot be written; the error names `path`.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        count = _write_records(temporary, path, records)
        with blamed_on(path, temporary):
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            shard = Shard(
                path=path.name,
                bytes=temporary.stat().st_size,
                num_examples=count,
                sha256=sha256_of_file(temporary),
            )
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    sync_folder(path.parent)
    return shard


def scan_offsets(
    path: str | os.PathLike, num_examples: int
) -> tuple[np.ndarray, str | None]:
    """Finds the offsets of the `num_examples` records of a shard.

    Returns:
        The offsets up to the first damaged length header, int64 [N], and the problem of
        the record after them (None if the file is complete).
    """
    offsets, headers = [], []
    with open(path, "rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        offset = 0
        while offset < size:
            header = os.pread(file.fileno(), _HEADER_BYTES, offset)
            offsets.append(offset)
            headers.append(header.ljust(_HEADER_BYTES, b"\0"))
            length = int.from_bytes(header[:8], "little")
            offset += length + _HEADER_BYTES + _FOOTER_BYTES
    table = np.frombuffer(b"".join(headers), np.uint8).reshape(-1, _HEADER_BYTES)
    stored = np.ascontiguousarray(table[:, 8:]).view("<u4")[:, 0]
    bad = np.flatnonzero(_masked_crc32c(table[:, :8]) != stored)
    result = np.array(offsets, np.int64)
    cut = bool(headers) and size - offsets[-1] < _HEADER_BYTES
    if bad.size and not (cut and bad[0] == len(offsets) - 1):
        return result[: bad[0]], "the length of this record is damaged"
    if offset > size:
        return result[:-1], "the file ends within this record"
    if len(offsets) != num_examples:
        problem = f"the file ends after {len(offsets)} records, not {num_examples}"
        return result[:num_examples], problem
    return result, None


def _write_records(temporary: Path, path: Path, records: Iterable[bytes]) -> int:
    """Writes the file and returns the number of records."""
    # Only errors of the writer name `path`; those of `records` stay as they are.
    with as_os_error(path):
        writer = tf.io.TFRecordWriter(str(temporary))
    count = 0
    try:
        for record in records:
            with as_os_error(path):
                writer.write(record)
            count += 1
    finally:
        with as_os_error(path):
            writer.close()
    return count


@contextlib.contextmanager
def as_os_error(path: str | os.PathLike) -> Iterator[None]:
    """Converts TensorFlow's errors of writing a file to OSErrors that name `path`."""
    try:
        yield
    except tf.errors.OpError as error:
        code = _OS_ERRORS.get(type(error), errno.EIO)
        raise OSError(code, os.strerror(code), str(path)) from error


class Records:
    """The records of several shards, numbered consecutively.

    Raises:
        DataError: A file is missing or damaged, or has another number of records.
    """

    def __init__(self, paths: Sequence[str | os.PathLike], counts: Sequence[int]):
        offsets = []
        for path, count in zip(paths, counts, strict=True):
            if not Path(path).is_file():
                raise damaged(path, None, "the file is missing")
            found, problem = scan_offsets(path, count)
            if problem:
                raise damaged(path, len(found), problem)
            offsets.append(found)
        self._paths = [str(path) for path in paths]
        # starts[i] is the number of the first record of shard i.
        self._starts = np.cumsum([0] + [len(part) for part in offsets])
        self._offsets = np.concatenate(offsets or [np.zeros(0, np.int64)])

    def reader(self):
        """Returns a function for graphs: a number (int64 []) to bytes (string [])."""
        with tf.device("CPU"):
            paths = tf.constant(self._paths, tf.string)
            starts = tf.constant(self._starts, tf.int64)
            offsets = tf.constant(self._offsets, tf.int64)

        def read(index: tf.Tensor) -> tf.Tensor:
            shard = tf.searchsorted(starts, index[None], side="right")[0] - 1
            return _read_at(paths[shard], offsets[index])

        return read


class Damage(NamedTuple):
    """A damaged shard, or a damaged record in it, numbered from 0."""

    path: Path
    record: int | None
    reason: str

    def __str__(self):
        record = "" if self.record is None else f" record {self.record}"
        return f"{self.path}{record} ({self.reason})"


def damaged(path: str | os.PathLike, record: int | None, reason: str) -> DataError:
    """Returns an error that names a damaged file and, from 0, the record in it."""
    return DataError(
        "damaged shard: expected the file that dataset.json describes. "
        f"Received: {Damage(Path(path), record, reason)}"
    )


def shard_problem(path: Path, shard: Shard, verify: bool = False) -> str | None:
    """Returns how a file differs from its description, or None if it does not."""
    if not path.is_file():
        return "the file is missing"
    size = path.stat().st_size
    if size != shard.bytes:
        return f"it has {size} bytes, not {shard.bytes}"
    if verify and sha256_of_file(path) != shard.sha256:
        return "its sha256 differs"
    return None


def find_damage(
    split, verify: bool = False, progress: Callable[[int], object] = lambda count: None
) -> Iterator[Damage]:
    """Reads a whole split and yields all damage, in the order of the shards.

    With `verify`, the sha256 of the shards is compared too. `progress` is called with
    the number of records that were checked since the last call.
    """
    parse = split.parser()
    for path, shard in zip(split.paths, split.shards, strict=True):
        if not path.is_file():
            yield Damage(path, None, "the file is missing")
            progress(shard.num_examples)
            continue
        offsets, chain_problem = scan_offsets(path, shard.num_examples)
        found = bool(chain_problem)
        for record, reason in _bad_records(path, offsets, parse, progress):
            found = True
            yield Damage(path, record, reason)
        if chain_problem:
            yield Damage(path, len(offsets), chain_problem)
            progress(max(0, shard.num_examples - len(offsets)))
        problem = shard_problem(path, shard, verify)
        if problem and not found:
            yield Damage(path, None, f"{problem}, though its records can be read")


def _bad_records(
    path: Path, offsets: np.ndarray, parse: Callable, progress: Callable
) -> Iterator[tuple[int, str]]:
    def check(offset: tf.Tensor) -> tf.Tensor:
        # TensorFlow does not prune the decoding of values that are used.
        values = parse(_read_at(tf.constant(str(path)), offset)).values()
        return [tf.reduce_max(part) for part in values]

    starts = tf.data.Dataset.from_tensor_slices(offsets)
    results = iter(starts.map(check, num_parallel_calls=os.cpu_count()))
    # The iterator continues after an error, which stands for one element.
    for record in range(len(offsets)):
        try:
            next(results)
        except tf.errors.DataLossError:
            yield record, "its bytes do not fit their checksum"
        except READ_ERRORS as error:
            yield record, _reason(error)
        progress(1)


def _reason(error: Exception) -> str:
    """Returns the sentence of a failed check, or the first line of another error."""
    if isinstance(error, UnicodeDecodeError):
        return "its contents cannot be parsed"
    message = error.message or ""
    if "assertion failed: [" in message:
        return message.split("assertion failed: [")[1].split("]")[0].strip("'\" ")
    return message.split("\n")[0].split("{{")[0].strip() or type(error).__name__


def shuffled_index(position: tf.Tensor, num_records: int, seed: int) -> tf.Tensor:
    """Returns the number of the record at a position of an endless shuffled stream.

    Every epoch (``num_records`` positions) has each record once, in a different order.
    Nothing is stored, so that any position is reached directly.

    The position is an int64 [] from 0, the seed an int64; the result is an int64 [] in
    [0, num_records).
    """
    if num_records == 1:
        return tf.zeros_like(position)
    epoch = position // num_records
    return tf.random.experimental.index_shuffle(
        position % num_records,
        seed=tf.stack([tf.constant(seed, tf.int64), epoch]),
        max_index=tf.constant(num_records - 1, tf.int64),
    )


def _read_at(path: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """Reads the record at an offset of a file, in graph; the file is closed again."""
    dataset = tf.raw_ops.TFRecordDatasetV2(
        filenames=path[None],
        compression_type="",
        buffer_size=tf.constant(0, tf.int64),
        byte_offsets=offset[None],
    )
    types = {"output_types": [tf.string], "output_shapes": [[]]}
    dataset = tf.raw_ops.TakeDataset(
        input_dataset=dataset, count=tf.constant(1, tf.int64), **types
    )
    (record,) = tf.raw_ops.DatasetToSingleElement(dataset=dataset, **types)
    return record


def _crc_table() -> np.ndarray:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        # 0x82F63B78 is the Castagnoli polynomial with reversed bits.
        table = (table >> 1) ^ np.where(table & 1, np.uint32(0x82F63B78), np.uint32(0))
    return table


_CRC_TABLE = _crc_table()


def _masked_crc32c(rows: np.ndarray) -> np.ndarray:
    """Returns TFRecord's masked CRC-32C of each row of uint8 [N, n], as uint32 [N]."""
    crc = np.full(len(rows), 0xFFFFFFFF, np.uint32)
    for column in rows.T:
        crc = _CRC_TABLE[(crc ^ column) & 0xFF] ^ (crc >> 8)
    crc ^= np.uint32(0xFFFFFFFF)
    rotated = (crc >> np.uint32(15)) | (crc << np.uint32(17))
    return rotated + np.uint32(0xA282EAD8)
