"""What signatures are fed, a row a cell, and the sentences that refuse it.

A server feeds a graph what a client sent, whatever shapes the signature promises, so
everything is checked in the graph itself. A wrong row fails the whole request with
INVALID_ARGUMENT; the message is ``assertion failed: [what is wrong: expected what.
Received: what]`` and what TensorFlow adds after it.
"""

# Shapes: B rows; H x W pixels, C channels; h x w top codes, 2h x 2w bottom codes; L
# labels.

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfvqgen.generation.model_info import ModelInfo


@dataclasses.dataclass(frozen=True)
class Column:
    """One input of a signature.

    Attributes:
        name: Of the input.
        dtype: Of its values.
        row_shape: The shape of a row.
        expected: What values are right, in words.
        fits: Says which values are right, in graph; None takes all.
    """

    name: str
    dtype: tf.DType
    row_shape: tuple[int, ...] = ()
    expected: str = ""
    fits: Callable[[tf.Tensor], tf.Tensor] | None = None

    @property
    def spec(self) -> tf.TensorSpec:
        """The input's shape [B, ...], type and name."""
        return tf.TensorSpec([None, *self.row_shape], self.dtype, self.name)


def columns(about: ModelInfo) -> dict[str, Column]:
    """Returns everything that a signature of this model may be fed, by name."""
    classes, codes = len(about.labels), about.num_embeddings
    image_size = about.image_shape[:2]

    def code_map(name, shape):
        return Column(
            name,
            tf.int32,
            shape,
            f"0 to {codes - 1}",
            lambda x: (x >= 0) & (x < codes),
        )

    def is_binary(x):
        return (x == 0) | (x == 1)

    listed = [
        Column(
            "class_id",
            tf.int32,
            (),
            f"0 to {classes - 1}, or -1 for none" if classes else "-1 (no labels)",
            lambda x: (x >= -1) & (x < classes),
        ),
        Column("seed", tf.int64),
        Column(
            "temperature",
            tf.float32,
            (),
            "a finite number above 0",
            lambda x: (x > 0) & tf.math.is_finite(x),
        ),
        Column(
            "top_p",
            tf.float32,
            (),
            "above 0, at most 1",
            lambda x: (x > 0) & (x <= 1),
        ),
        Column(
            "guidance",
            tf.float32,
            (),
            "a finite number from 0 on",
            lambda x: (x >= 0) & tf.math.is_finite(x),
        ),
        Column("labels", tf.float32, (classes,), "0 or 1", is_binary),
        Column("image", tf.as_dtype(about.dtype), about.image_shape),
        Column("mask", tf.float32, image_size, "0 or 1", is_binary),
        code_map("top_codes", about.top_shape),
        code_map("bottom_codes", about.bottom_shape),
        Column("row", tf.int32),
    ]
    return {column.name: column for column in listed}


def checked(
    of: Sequence[Column], values: Sequence[tf.Tensor], max_rows: int
) -> list[tf.Tensor]:
    """Returns the values, which nothing sees before all of them are found right.

    Args:
        of: What the values are.
        values: [B, ...] each.
        max_rows: The largest B.

    Raises:
        tf.errors.InvalidArgumentError: Something is wrong; when the graph runs.
    """
    # Hidden from what optimizes graphs: it would take the promised shapes as given and
    # leave out the checks.
    values = [tf.raw_ops.PlaceholderWithDefault(input=x, shape=None) for x in values]
    rows = _rows(values[0])
    done: list[tf.Operation] = []
    _require(
        done,
        (rows >= 1) & (rows <= max_rows),
        f"wrong number of rows: expected 1 to {max_rows}. Received: {{}}",
        rows,
    )
    for column, value in zip(of, values, strict=True):
        _check_shape(done, column, value, rows)
    for column, value in zip(of, values, strict=True):
        _check_values(done, column, value)
    with tf.control_dependencies(done):
        return [
            tf.ensure_shape(value, column.spec.shape)
            for column, value in zip(of, values, strict=True)
        ]


def _check_shape(done, column, value, rows):
    shape = tf.shape(value)
    expected = " ".join(map(str, column.row_shape))
    # As text, because shapes of different lengths cannot be compared otherwise.
    fits = tf.strings.format("{}", shape[1:], summarize=-1) == f"[{expected}]"
    _require(
        done,
        (_rows(value) == rows) & fits & (tf.size(shape) == 1 + len(column.row_shape)),
        f"{column.name} has a wrong shape: expected "
        f"[{{}}{' ' if expected else ''}{expected}]. Received: {{}}",
        rows,
        shape,
    )


def _check_values(done, column, value):
    if column.fits is None:
        return
    with tf.control_dependencies(done):
        flat = tf.reshape(value, [-1])
    fits = column.fits(flat)
    # The first wrong one; the added one is there for rows of nothing.
    place = tf.argmin(tf.cast(tf.concat([fits, [True]], 0), tf.int32))
    row_size = max(1, tf.TensorShape(column.row_shape).num_elements())
    _require(
        done,
        tf.reduce_all(fits),
        f"{column.name} is out of range: expected {column.expected}. "
        f"Received: {column.name}={{}} in row {{}}",
        tf.concat([flat, tf.zeros([1], flat.dtype)], 0)[place],
        place // row_size,
    )


def _rows(value):
    """Returns the first dimension, -1 of a scalar."""
    return tf.concat([tf.shape(value), [-1]], 0)[0]


def _require(done, condition, template, *values):
    """Adds a check that comes after those that are there, so that the first speaks."""
    with tf.control_dependencies(done):
        sentence = tf.strings.format(template, values, summarize=-1)
        check = tf.raw_ops.Assert(condition=condition, data=[sentence])
    done.append(check)
