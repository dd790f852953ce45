"""The arithmetic of endless streams of examples: shares, batches, seeds, symmetries.

Shapes: [B, ...] batch of one replica; [H, W, C] height, width, channels.

A stream is a function of seed and position, so that resuming is starting to count at
another number, and a worker's share is an arithmetic of positions.
"""

import hashlib
from collections.abc import Callable

import tensorflow as tf

from tfvqgen.errors import UserError

# A function from a number (int64 []) to an example's parts.
Example = Callable[[tf.Tensor], dict[str, tf.Tensor]]


class Share:
    """Which positions of the stream are one worker's.

    Global batch t is positions t * batch_size to (t + 1) * batch_size.

    Args:
        batch_size: The global batch, over all workers and replicas.
        num_workers: How many workers share a global batch.
        worker: This worker's number, from 0.
        num_replicas_per_worker: Consecutive batches go to consecutive replicas.

    Raises:
        UserError: The batch does not divide over workers and replicas.
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
                "batch_size does not divide: expected a multiple of "
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
        """Maps the worker's own count to a position of the global stream."""
        step, offset = number // self.per_worker, number % self.per_worker
        return step * self.batch_size + self._first + offset


def batches(
    numbers: tf.data.Dataset, example: Example, share: Share
) -> tf.data.Dataset:
    """Returns the batches of one replica each, of a worker's numbers in order."""
    auto = tf.data.AUTOTUNE
    examples = numbers.map(example, num_parallel_calls=auto, deterministic=True)
    return examples.batch(share.per_replica, drop_remainder=True).prefetch(auto)


def symmetry(image: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """Applies one of the eight symmetries of the square.

    Args:
        image: [H, W, C].
        number: Integer [] from 0 to 7: bit 0 mirrors columns, bit 1 mirrors rows, bit 2
            transposes afterwards. 0 to 3 keep the shape of any image.
    """
    image = tf.cond(number & 1 > 0, lambda: tf.reverse(image, [1]), lambda: image)
    image = tf.cond(number & 2 > 0, lambda: tf.reverse(image, [0]), lambda: image)
    if image.shape[0] != image.shape[1]:
        return image
    return tf.cond(
        number & 4 > 0, lambda: tf.transpose(image, [1, 0, 2]), lambda: image
    )


def turned_at(image: tf.Tensor, position: tf.Tensor, seed: int) -> tf.Tensor:
    """Applies a symmetry drawn from seed and position to an image [H, W, C]."""
    key = tf.stack([tf.constant(seed, tf.int64), position])
    number = tf.random.stateless_uniform([], key, maxval=8, dtype=tf.int32)
    return symmetry(image, number)


def derived_seed(seed: int, purpose: str) -> int:
    """Returns an int64 that differs between purposes, so that draws are independent."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)
