"""Looks for what is damaged in shards, and says where."""

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import tensorflow as tf

from tfvqgen.data.dataset_info import Shard
from tfvqgen.data.schema import Split, shard_problem
from tfvqgen.data.tfrecords import READ_ERRORS, Records, scan_offsets


@dataclasses.dataclass(frozen=True)
class Damage:
    """One thing that is wrong.

    Attributes:
        path: The shard.
        record: The record's number in the shard, from 0; None if the file is at fault.
        reason: What is wrong with it.
    """

    path: Path
    record: int | None
    reason: str


def find_damage(
    split: Split,
    verify: bool = False,
    progress: Callable[[int], object] = lambda count: None,
) -> Iterator[Damage]:
    """Reads a whole split, going on behind what is damaged.

    Args:
        split: The split.
        verify: Whether to compare the shards' sha256 too.
        progress: Called with the number of records that were dealt with.

    Yields:
        Everything that is wrong, in the order of the shards.
    """
    parse = split.parser()
    for path, shard in zip(split.paths, split.shards, strict=True):
        yield from _find_in_shard(path, shard, parse, verify, progress)


def _find_in_shard(
    path: Path, shard: Shard, parse: Callable, verify: bool, progress: Callable
) -> Iterator[Damage]:
    if not path.is_file():
        yield Damage(path, None, "the file is missing")
        progress(shard.num_examples)
        return
    named = False
    offsets, chain_problem = scan_offsets(path, shard.num_examples)
    for record, reason in _bad_records(Records.at(path, offsets), parse, progress):
        named = True
        yield Damage(path, record, reason)
    if chain_problem:
        named = True
        yield Damage(path, len(offsets), chain_problem)
        progress(max(0, shard.num_examples - len(offsets)))
    problem = shard_problem(path, shard, verify)
    if problem and not named:
        yield Damage(path, None, f"{problem}, though its records can be read")


def _bad_records(
    records: Records, parse: Callable, progress: Callable
) -> Iterator[tuple[int, str]]:
    read = records.reader()

    def check(index: tf.Tensor) -> tf.Tensor:
        # Using the values of all parts keeps the decoding from being pruned.
        return [tf.reduce_max(part) for part in parse(read(index)).values()]

    numbers = tf.data.Dataset.range(records.num_records)
    results = iter(numbers.map(check, num_parallel_calls=os.cpu_count()))
    # An error stands for one element and the iterator goes on behind it.
    for record in range(records.num_records):
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
        return "what is in it cannot be read"
    message = error.message or ""
    if "assertion failed: [" in message:
        return message.split("assertion failed: [")[1].split("]")[0].strip("'\" ")
    return message.split("\n")[0].split("{{")[0].strip() or type(error).__name__
