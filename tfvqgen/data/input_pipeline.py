"""Endless streams of examples for training, and passes for evaluation.

Shapes: [B, ...] batch of one replica; [H, W, C] height, width, channels.

A stream is a function of seed and position. To resume, it starts at another position,
and the share of a worker is arithmetic on positions.
"""

import hashlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from tfvqgen.data.schema import Split
from tfvqgen.data.tfrecords import READ_ERRORS, damaged, find_damage, shuffled_index
from tfvqgen.errors import DataError, UserError

# A function from a number (int64 []) to an example's tensors.
Example = Callable[[tf.Tensor], dict[str, tf.Tensor]]


class Share:
    """The positions of the stream that belong to one worker.

    Global batch t has the positions t * batch_size to (t + 1) * batch_size.

    Args:
        batch_size: The global batch, over all workers and replicas.
        num_workers: The number of workers that share a global batch.
        worker: The number of this worker, from 0.
        num_replicas_per_worker: Consecutive batches go to consecutive replicas.

    Raises:
        UserError: The batch cannot be divided among workers and replicas.
    """

    def __init__(
        self,
        batch_size: int,
        num_workers: int = 1,
        worker: int = 0,
        num_replicas_per_worker: int = 1,
    ):
        replicas = num_replicas_per_worker
        parts = num_workers * replicas
        if batch_size < 1 or batch_size % parts:
            raise UserError(
                "wrong batch_size: expected a multiple of "
                f"{num_workers} workers * {replicas} replicas. "
                f"Received: batch_size={batch_size}"
            )
        if not 0 <= worker < num_workers:
            raise UserError(
                f"worker: expected 0 to {num_workers - 1}. Received: worker={worker}"
            )
        self.batch_size = batch_size
        self.per_worker = batch_size // num_workers
        self.per_replica = self.per_worker // replicas
        self._first = worker * self.per_worker

    def position(self, number: tf.Tensor) -> tf.Tensor:
        """Returns the position in the global stream of the worker's n-th example."""
        step, offset = number // self.per_worker, number % self.per_worker
        return step * self.batch_size + self._first + offset


def batches(
    numbers: tf.data.Dataset, example: Example, share: Share
) -> tf.data.Dataset:
    """Returns the batches for the replicas of a worker, in order."""
    auto = tf.data.AUTOTUNE
    examples = numbers.map(example, num_parallel_calls=auto, deterministic=True)
    return examples.batch(share.per_replica, drop_remainder=True).prefetch(auto)


def symmetry(image: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """Applies one of the eight symmetries of the square.

    Args:
        image: [H, W, C].
        number: Integer [] from 0 to 7: bit 0 mirrors columns, bit 1 mirrors rows, bit 2
            transposes afterwards (square images only).
    """
    image = tf.cond(number & 1 > 0, lambda: tf.reverse(image, [1]), lambda: image)
    image = tf.cond(number & 2 > 0, lambda: tf.reverse(image, [0]), lambda: image)
    if image.shape[0] != image.shape[1]:
        return image
    return tf.cond(
        number & 4 > 0, lambda: tf.transpose(image, [1, 0, 2]), lambda: image
    )


def turned_at(image: tf.Tensor, position: tf.Tensor, seed: int) -> tf.Tensor:
    """Applies a random symmetry, given seed and position, to an image [H, W, C]."""
    key = tf.stack([tf.constant(seed, tf.int64), position])
    number = tf.random.stateless_uniform([], key, maxval=8, dtype=tf.int32)
    return symmetry(image, number)


def derived_seed(seed: int, purpose: str) -> int:
    """Returns an int64 seed that differs between purposes."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


def training_examples(
    split: Split,
    *,
    seed: int,
    batch_size: int,
    start_step: int = 0,
    augment: bool = False,
    label_balance: float = 0.0,
    cache: bool = False,
    **share: int,
) -> tf.data.Dataset:
    """Returns the endless batches of one worker.

    Args:
        split: The split.
        seed: Random seed of order and symmetries.
        batch_size: The global batch, over all workers and replicas.
        start_step: The number of global batches to skip.
        augment: Whether to apply a random symmetry of the square to each image.
        label_balance: Above 0, examples are sampled with replacement by
            :func:`balancing_weights`.
        cache: Whether to keep all decoded images in memory.
        **share: Further arguments of :class:`Share`.

    Returns:
        A data set of ``image`` [B, H, W, C] as stored, ``labels`` float32 [B, L] and
        ``index`` int64 [B] (numbers in the split), where B is the batch of one replica.

    Raises:
        UserError: A number is out of range.
        DataError: A shard is damaged.
    """
    part = Share(batch_size, **share)
    order = _training_order(split, seed, label_balance)
    fetch = _cached_fetch(split) if cache else _fetch(split)
    turn_seed = derived_seed(seed, "symmetry")

    def example(number: tf.Tensor) -> dict[str, tf.Tensor]:
        position = part.position(number)
        index = order(position)
        parts = fetch(index)
        if augment:
            parts["image"] = turned_at(parts["image"], position, turn_seed)
        return {**parts, "index": index}

    numbers = tf.data.Dataset.range(start_step * part.per_worker, tf.int64.max)
    return batches(numbers, example, part)


def evaluation_examples(
    split: Split, *, batch_size: int, **share: int
) -> tf.data.Dataset:
    """Returns one worker's batches of a pass over a split, in order.

    All batches have the same static shape: the last global batch is padded with copies
    of the last example, which have ``weight`` 0 and ``index`` -1.

    The arguments are those of :func:`training_examples`, and so are the tensors, to
    which ``weight`` float32 [B] is added.
    """
    part = Share(batch_size, **share)
    fetch = _fetch(split)
    last = split.num_examples - 1

    def example(number: tf.Tensor) -> dict[str, tf.Tensor]:
        position = part.position(number)
        real = position <= last
        return {
            **fetch(tf.minimum(position, last)),
            "index": tf.where(real, position, -1),
            "weight": tf.cast(real, tf.float32),
        }

    steps = -(-split.num_examples // batch_size)
    return batches(tf.data.Dataset.range(steps * part.per_worker), example, part)


def diagnose(error: Exception, split: Split) -> DataError:
    """Returns an error that names the file and record that made reading fail.

    Raises:
        Exception: `error` itself, if the files are not damaged.
    """
    if isinstance(error, DataError):
        return error
    if isinstance(error, READ_ERRORS):
        for found in find_damage(split):
            return damaged(found.path, found.record, found.reason)
    raise error


def balancing_weights(labels: np.ndarray, label_balance: float) -> np.ndarray:
    """Returns the probability of each example, float64 [N].

    Examples are grouped by their rarest label (no label is a group of its own), and a
    group of n examples is sampled in proportion to n ** (1 - label_balance). With one
    label per example this is ordinary balancing. With several, rare labels get their
    share, while rare *combinations* of frequent labels are not repeated too often, as
    they would be if whole sets of labels were balanced.

    Args:
        labels: bool [N, L].
        label_balance: From 0 (all examples equal) to 1 (all groups equal).
    """
    counts = labels.sum(axis=0)
    # Absent labels count as infinitely frequent; the first label wins ties.
    rarity = np.where(labels, counts, np.inf)
    none = np.where(labels.any(axis=1), np.inf, 0)
    rarest = np.column_stack([rarity, none]).argmin(axis=1)
    group_sizes = np.bincount(rarest, minlength=labels.shape[1] + 1)
    weights = group_sizes[rarest].astype(np.float64) ** -label_balance
    return weights / weights.sum()


def _fetch(split: Split) -> Example:
    read, parse = split.records.reader(), split.parser()
    return lambda index: parse(read(index))


def _cached_fetch(split: Split) -> Example:
    fetch = _fetch(split)
    numbers = tf.data.Dataset.range(split.num_examples)
    examples = numbers.map(fetch, num_parallel_calls=tf.data.AUTOTUNE)
    arrays = {
        name: np.empty((split.num_examples, *spec.shape), spec.dtype.as_numpy_dtype)
        for name, spec in examples.element_spec.items()
    }
    progress = tqdm(total=split.num_examples, desc="cache", delay=2, leave=False)
    try:
        with progress:
            for batch in examples.batch(256).as_numpy_iterator():
                end = progress.n + len(batch["labels"])
                for name, part in batch.items():
                    arrays[name][progress.n : end] = part
                progress.update(end - progress.n)
    except READ_ERRORS as error:
        raise diagnose(error, split) from error
    with tf.device("CPU"):
        parts = {name: tf.constant(array) for name, array in arrays.items()}
    return lambda index: {name: part[index] for name, part in parts.items()}


def _training_order(
    split: Split, seed: int, label_balance: float
) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns a function from a position of the stream to an example's number."""
    if not 0 <= label_balance <= 1:
        raise UserError(
            f"label_balance: expected 0 to 1. Received: label_balance={label_balance}"
        )
    order_seed = derived_seed(seed, "order")
    if label_balance == 0:
        return lambda position: shuffled_index(position, split.num_examples, order_seed)
    try:
        weights = balancing_weights(split.read_labels(), label_balance)
    except READ_ERRORS as error:
        raise diagnose(error, split) from error
    with tf.device("CPU"):
        # Values above the last boundary are the last example.
        boundaries = tf.constant(np.cumsum(weights)[:-1])

    def draw(position: tf.Tensor) -> tf.Tensor:
        key = tf.stack([tf.constant(order_seed, tf.int64), position])
        uniform = tf.random.stateless_uniform([1], key, dtype=tf.float64)
        return tf.searchsorted(boundaries, uniform, "right", tf.int64)[0]

    return draw
