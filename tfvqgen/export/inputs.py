"""The inputs of the signatures, and their checks in the graph.

A server feeds a graph what a client sends, whatever shapes the signature declares;
therefore the graph checks everything. A wrong row fails the whole request with
INVALID_ARGUMENT. The message starts with ``assertion failed: [what is wrong: expected
what. Received: what]``.
"""

# Shapes: B rows; H x W pixels, C channels; h x w top codes, 2h x 2w bottom codes; L
# labels.

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.generation.rows import RANGES


@dataclasses.dataclass(frozen=True)
class SignatureInput:
    """One input of a signature.

    Attributes:
        name: Name of the input.
        dtype: Type of its values.
        row_shape: The shape of one row.
        expected: The valid values in words.
        is_valid: Returns where a tensor is valid; None accepts all values.
    """

    name: str
    dtype: tf.DType
    row_shape: tuple[int, ...] = ()
    expected: str = ""
    is_valid: Callable[[tf.Tensor], tf.Tensor] | None = None

    @property
    def spec(self) -> tf.TensorSpec:
        """The shape [B, ...], the type and the name."""
        return tf.TensorSpec([None, *self.row_shape], self.dtype, self.name)


def signature_inputs(model_info: ModelInfo) -> dict[str, SignatureInput]:
    """Returns all inputs that the signatures of a model use, by name."""
    classes, codes = len(model_info.labels), model_info.num_embeddings
    class_ids = f"0 to {classes - 1}, or -1 for none" if classes else "-1 (no labels)"
    code = (f"0 to {codes - 1}", lambda x: (x >= 0) & (x < codes))
    inputs = (
        SignatureInput(
            "class_id", tf.int32, (), class_ids, lambda x: (x >= -1) & (x < classes)
        ),
        SignatureInput("seed", tf.int64),
        SignatureInput("temperature", tf.float32, (), *RANGES["temperature"]),
        SignatureInput("top_p", tf.float32, (), *RANGES["top_p"]),
        SignatureInput("guidance", tf.float32, (), *RANGES["guidance"]),
        SignatureInput("labels", tf.float32, (classes,), *RANGES["labels"]),
        SignatureInput("image", tf.as_dtype(model_info.dtype), model_info.image_shape),
        SignatureInput(
            "mask", tf.float32, model_info.image_shape[:2], *RANGES["labels"]
        ),
        SignatureInput("top_codes", tf.int32, model_info.top_shape, *code),
        SignatureInput("bottom_codes", tf.int32, model_info.bottom_shape, *code),
        SignatureInput("row", tf.int32),
    )
    return {each.name: each for each in inputs}


def checked(
    inputs: Sequence[SignatureInput], values: Sequence[tf.Tensor], max_rows: int
) -> list[tf.Tensor]:
    """Returns the values, which the graph uses only after all checks.

    Args:
        inputs: Describes the values.
        values: [B, ...] each.
        max_rows: The largest B.

    Raises:
        tf.errors.InvalidArgumentError: A shape or value is wrong, when the graph runs.
    """
    # Without this the graph optimizer would trust the declared shapes and remove the
    # checks.
    values = [tf.raw_ops.PlaceholderWithDefault(input=x, shape=None) for x in values]
    rows = _num_rows(values[0])
    done: list[tf.Operation] = []
    _require(
        done,
        (rows >= 1) & (rows <= max_rows),
        f"wrong number of rows: expected 1 to {max_rows}. Received: {{}}",
        rows,
    )
    for each, value in zip(inputs, values, strict=True):
        _check_shape(done, each, value, rows)
    for each, value in zip(inputs, values, strict=True):
        _check_values(done, each, value)
    with tf.control_dependencies(done):
        return [
            tf.ensure_shape(value, each.spec.shape)
            for each, value in zip(inputs, values, strict=True)
        ]


def _check_shape(done, each: SignatureInput, value, rows):
    shape = tf.shape(value)
    expected = " ".join(map(str, each.row_shape))
    # Shapes of different lengths cannot be compared, their texts can.
    fits = tf.strings.format("{}", shape[1:], summarize=-1) == f"[{expected}]"
    _require(
        done,
        (_num_rows(value) == rows) & fits & (tf.size(shape) == 1 + len(each.row_shape)),
        f"{each.name} has a wrong shape: expected "
        f"[{{}}{' ' if expected else ''}{expected}]. Received: {{}}",
        rows,
        shape,
    )


def _check_values(done, each: SignatureInput, value):
    if each.is_valid is None:
        return
    with tf.control_dependencies(done):
        flat = tf.reshape(value, [-1])
    valid = each.is_valid(flat)
    # The index of the first wrong value; the extra value is for empty rows.
    index = tf.argmin(tf.cast(tf.concat([valid, [True]], 0), tf.int32))
    row_size = max(1, tf.TensorShape(each.row_shape).num_elements())
    _require(
        done,
        tf.reduce_all(valid),
        f"{each.name} is out of range: expected {each.expected}. "
        f"Received: {each.name}={{}} in row {{}}",
        tf.concat([flat, tf.zeros([1], flat.dtype)], 0)[index],
        index // row_size,
    )


def _num_rows(value):
    """Returns the first dimension, -1 for a scalar."""
    return tf.concat([tf.shape(value), [-1]], 0)[0]


def _require(done, condition, template, *values):
    """Adds a check that runs after the earlier ones, so that the first one reports."""
    with tf.control_dependencies(done):
        sentence = tf.strings.format(template, values, summarize=-1)
        check = tf.raw_ops.Assert(condition=condition, data=[sentence])
    done.append(check)
