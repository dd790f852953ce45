"""Long batches a part at a time, so that memory does not grow with them."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf


def in_parts(
    function: Callable[..., Any],
    rows: Sequence[tf.Tensor],
    at_once: int,
    outputs: Any,
    most: int,
) -> Any:
    """Calls a function on so many rows at a time, in graph.

    Args:
        function: Takes tensors [b, ...] with b up to `at_once`.
        rows: What it takes, [B, ...] each, B from 1 on.
        at_once: The most rows of a call.
        outputs: ``tf.TensorSpec``s [None, ...] of what it returns, a tensor or any
            structure of them.
        most: The largest B there is; where that is one part, there is no loop.

    Returns:
        What the calls returned, put together: [B, ...].
    """
    if at_once >= most:
        return function(*rows)
    total = tf.shape(rows[0])[0]
    parts = (total + at_once - 1) // at_once
    arrays = [
        tf.TensorArray(x.dtype, parts, element_shape=x.shape, infer_shape=False)
        for x in tf.nest.flatten(outputs)
    ]

    def call(part, arrays):
        some = [x[part * at_once : (part + 1) * at_once] for x in rows]
        made = tf.nest.flatten(function(*some))
        return part + 1, [
            array.write(part, x) for array, x in zip(arrays, made, strict=True)
        ]

    # One part after another: several at once would need the memory of several.
    _, arrays = tf.while_loop(
        lambda part, _: part < parts,
        call,
        [tf.constant(0), arrays],
        parallel_iterations=1,
    )
    return tf.nest.pack_sequence_as(outputs, [array.concat() for array in arrays])
