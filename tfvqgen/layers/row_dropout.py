"""Dropout that does not depend on how a batch is spread over replicas."""

# Shapes: B rows of one replica.

import tensorflow as tf


def row_dropout(x: tf.Tensor, rate: float, seed: tf.Tensor) -> tf.Tensor:
    """Sets a share of the features to zero and scales up the others.

    The noise is drawn for the rows of the global batch, and each replica takes its own:
    two replicas drop what one would have dropped on the same global batch.

    Args:
        x: [B, ...], the rows of this replica.
        rate: The share, 0 to below 1.
        seed: Of the draw, int64 [2].

    Returns:
        [B, ...] of the same type.
    """
    keep = replica_rows_uniform(tf.shape(x), seed) >= rate
    return tf.where(keep, x / tf.cast(1 - rate, x.dtype), tf.zeros([], x.dtype))


def replica_rows_uniform(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws uniform numbers for this replica's rows of the global batch.

    Args:
        shape: Of the result; its first entry is B.
        seed: int64 [2], the same on all replicas.

    Returns:
        Float32 in [0, 1).
    """
    context = tf.distribute.get_replica_context()
    rows = shape[0]
    first = context.replica_id_in_sync_group * rows
    total = rows * context.num_replicas_in_sync
    noise = tf.random.stateless_uniform(tf.concat([[total], shape[1:]], 0), seed)
    return noise[first : first + rows]
