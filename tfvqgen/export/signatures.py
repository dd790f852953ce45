"""The signatures of an export, as graphs that need nothing but TensorFlow.

A server feeds a graph what a client sends, whatever shapes the signature declares;
therefore the graph checks everything. A wrong row fails the whole request with
INVALID_ARGUMENT. The message starts with ``assertion failed: [what is wrong: expected
what. Received: what]``.
"""

# Shapes: B rows; H x W pixels, C channels; h x w top codes, 2h x 2w bottom codes; L
# labels.

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from tfvqgen.data.images import text_chunk
from tfvqgen.generation.generator import Generator
from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.generation.request import RANGES, UNCONDITIONAL
from tfvqgen.generation.samples import DISCLAIMER
from tfvqgen.generation.saved_model import INPUTS, SAMPLING_INPUTS
from tfvqgen.models import Codes
from tfvqgen.sampling.incremental_pixelsnail import memory_per_map

_PNG_HEADER_END = 33
# A long request is processed in parts, so that its memory does not grow with its rows.
# Sampling uses about this many bytes, and at least this many rows, because matrix
# products of fewer rows are slow.
_SAMPLING_BYTES = 2_000_000_000
_MIN_SAMPLED_ROWS = 16
# Two passes for guidance. Measured, a pass needs 3.2 times the memory that is kept: for
# the terms of the next row, the concatenated inputs of products, and their results.
_COPIES = 2 * 4
# Pixels in one pass through the autoencoder, and bottom codes in one scoring pass.
_CONVOLVED_PIXELS = 1 << 20
_SCORED_CODES = 1 << 14


class SignatureInput(NamedTuple):
    """One input of a signature."""

    spec: tf.TensorSpec  # The shape [B, ...], the type and the name.
    expected: str = ""  # The valid values in words.
    is_valid: Callable[[tf.Tensor], tf.Tensor] | None = None  # None accepts all.


def signature_inputs(model_info: ModelInfo) -> dict[str, SignatureInput]:
    """Returns all inputs that the signatures of a model use, by name."""
    classes, codes = len(model_info.labels), model_info.num_embeddings
    height, width, _ = model_info.image_shape
    class_ids = f"0 to {classes - 1}, or -1 for none" if classes else "-1 (no labels)"
    class_id = (class_ids, lambda x: (x >= -1) & (x < classes))
    code = (f"0 to {codes - 1}", lambda x: (x >= 0) & (x < codes))
    inputs = {
        "class_id": (tf.int32, (), *class_id),
        "seed": (tf.int64, ()),
        "temperature": (tf.float32, (), *RANGES["temperature"]),
        "top_p": (tf.float32, (), *RANGES["top_p"]),
        "guidance": (tf.float32, (), *RANGES["guidance"]),
        "labels": (tf.float32, (classes,), *RANGES["labels"]),
        "image": (tf.as_dtype(model_info.dtype), model_info.image_shape),
        "mask": (tf.float32, (height, width), *RANGES["labels"]),
        "top_codes": (tf.int32, model_info.top_shape, *code),
        "bottom_codes": (tf.int32, model_info.bottom_shape, *code),
        "row": (tf.int32, ()),
    }
    return {
        name: SignatureInput(tf.TensorSpec([None, *shape], dtype, name), *valid)
        for name, (dtype, shape, *valid) in inputs.items()
    }


def checked(
    inputs: Sequence[SignatureInput], values: Sequence[tf.Tensor], max_rows: int
) -> list[tf.Tensor]:
    """Returns the values [B, ...], which the graph uses only after all checks.

    Raises:
        tf.errors.InvalidArgumentError: A shape or value is wrong, or B is not 1 to
            `max_rows`, when the graph runs.
    """
    # Without this the graph optimizer would trust the declared shapes and remove the
    # checks.
    values = [tf.raw_ops.PlaceholderWithDefault(input=x, shape=None) for x in values]
    pairs = list(zip(inputs, values, strict=True))
    rows = _num_rows(values[0])
    checks: list[tf.Operation] = []
    _require(
        checks,
        (rows >= 1) & (rows <= max_rows),
        f"wrong number of rows: expected 1 to {max_rows}. Received: {{}}",
        rows,
    )
    for (spec, _, _), value in pairs:
        shape, row_shape = tf.shape(value), spec.shape[1:]
        expected = " ".join(map(str, row_shape))
        # Shapes of different lengths cannot be compared, their texts can.
        fits = tf.strings.format("{}", shape[1:], summarize=-1) == f"[{expected}]"
        fits &= tf.size(shape) == 1 + len(row_shape)
        _require(
            checks,
            (_num_rows(value) == rows) & fits,
            f"{spec.name} has a wrong shape: expected "
            f"[{{}}{' ' if expected else ''}{expected}]. Received: {{}}",
            rows,
            shape,
        )
    for (spec, valid_range, is_valid), value in pairs:
        if is_valid is None:
            continue
        with tf.control_dependencies(checks):
            flat = tf.reshape(value, [-1])
        valid = is_valid(flat)
        # The index of the first wrong value; the extra value is for empty rows.
        index = tf.argmin(tf.cast(tf.concat([valid, [True]], 0), tf.int32))
        _require(
            checks,
            tf.reduce_all(valid),
            f"{spec.name} is out of range: expected {valid_range}. "
            f"Received: {spec.name}={{}} in row {{}}",
            tf.concat([flat, tf.zeros([1], flat.dtype)], 0)[index],
            index // max(1, spec.shape[1:].num_elements()),
        )
    with tf.control_dependencies(checks):
        return [tf.ensure_shape(value, spec.shape) for (spec, _, _), value in pairs]


def _require(checks: list, condition: tf.Tensor, template: str, *received) -> None:
    """Adds a check that runs after the earlier ones: the first failure reports."""
    with tf.control_dependencies(checks):
        sentence = tf.strings.format(template, received, summarize=-1)
        check = tf.raw_ops.Assert(condition=condition, data=[sentence])
    checks.append(check)


class Signatures:
    """The signatures of a model, and the weights that they need.

    Attributes:
        functions: A ``tf.function`` for each signature, by name.
        weights: The variables that the graphs read, each once; no Keras objects.
    """

    def __init__(self, generator: Generator):
        known = signature_inputs(generator.model_info)
        answers = _Answers(generator, known)

        def signature(name: str, names: Sequence[str]):
            inputs = [known[each] for each in names]
            answer = getattr(answers, name)
            max_rows = generator.model_info.max_rows
            return tf.function(
                lambda *values: answer(*checked(inputs, values, max_rows)),
                input_signature=[each.spec for each in inputs],
                autograph=False,
            )

        functions = {name: signature(name, names) for name, names in INPUTS.items()}
        self.functions = {"serving_default": functions["generate"], **functions}
        graphs = [x.get_concrete_function().graph for x in functions.values()]
        # Several graphs read the same variable.
        read = {id(x): x for graph in graphs for x in graph.variables}
        self.weights = list(read.values())


class _Answers:
    """The outputs of the signatures in graph, for checked inputs.

    What several signatures compute is a function of its own, which is saved once.
    """

    def __init__(self, generator: Generator, inputs: dict[str, SignatureInput]):
        self._generator, self._info = generator, generator.model_info
        specs = {name: x.spec for name, x in inputs.items()}
        image, labels = specs["image"], specs["labels"]
        codes = Codes(specs["top_codes"], specs["bottom_codes"])
        keep = [tf.TensorSpec(x.shape, tf.bool) for x in codes]
        sampling = [specs[name] for name in SAMPLING_INPUTS]
        bits = tf.TensorSpec([None], tf.float32)
        max_rows = self._info.max_rows

        def shared(function: Callable, at_once: int, inputs: Sequence, outputs):
            return tf.function(
                lambda *rows: in_parts(function, rows, at_once, outputs, max_rows),
                input_signature=inputs,
                autograph=False,
            )

        def rows_of(positions, shape):
            return max(1, positions // (shape[0] * shape[1]))

        images = rows_of(_CONVOLVED_PIXELS, self._info.image_shape)
        priors = (generator.top.config, generator.bottom.config)
        row_bytes = _COPIES * max(map(memory_per_map, priors))
        self._encode = shared(generator.encode, images, [image], codes)

        def decode(*codes):
            return generator.decode(Codes(*codes))

        def score(top, bottom, labels):
            return generator.score_codes(Codes(top, bottom), labels)

        def sample(*rows):
            given, keep = Codes(*rows[5:7]), Codes(*rows[7:])
            return generator.sample_codes(*rows[:5], given, keep)

        self._decode = shared(decode, images, codes, image)
        scores = rows_of(_SCORED_CODES, self._info.bottom_shape)
        self._score = shared(score, scores, [*codes, labels], (bits, bits))
        samples = max(_MIN_SAMPLED_ROWS, _SAMPLING_BYTES // row_bytes)
        inputs = [labels, *sampling, *codes, *keep]
        self._sample = shared(sample, samples, inputs, codes)

    def generate(self, class_id, *sampling):
        return self.generate_multilabel(self._labels(class_id), *sampling)

    def generate_png(self, class_id, *sampling):
        image = self.generate(class_id, *sampling)["image"]
        return {"png_bytes": tf.map_fn(self._png, image, fn_output_signature=tf.string)}

    def generate_multilabel(self, labels, *sampling):
        # No code is given. A second graph without given codes would hardly be faster,
        # and would take half as much time again to save, load and optimize.
        maps = (self._info.top_shape, self._info.bottom_shape)
        shapes = [tf.concat([tf.shape(labels)[:1], x], 0) for x in maps]
        given = [tf.zeros(shape, tf.int32) for shape in shapes]
        keep = [tf.zeros(shape, tf.bool) for shape in shapes]
        return self._cells(self._sample(labels, *sampling, *given, *keep))

    def generate_multilabel_raw(self, *inputs):
        """Returns the image as bytes, which REST transfers better than numbers."""
        cells = self.generate_multilabel(*inputs)
        image = cells.pop("image")
        cells["image_bytes"] = tf.map_fn(_raw, image, fn_output_signature=tf.string)
        return cells

    def encode(self, image):
        return _by_name(self._encode(image))

    def decode(self, top_codes, bottom_codes):
        return {"image": self._decode(top_codes, bottom_codes)}

    def reconstruct(self, image):
        return {"image": self._decode(*self._encode(image))}

    def score(self, image, labels):
        top, bottom = self._score(*self._encode(image), labels)
        return {"top_bits": top, "bottom_bits": bottom}

    def complete(self, image, mask, class_id, *sampling):
        given = self._encode(self._generator.visible(image, mask))
        keep = self._generator.kept(mask)
        labels = self._labels(class_id)
        return self._cells(self._sample(labels, *sampling, *given, *keep))

    def class_names(self, class_id):
        names = tf.constant([*self._info.labels, UNCONDITIONAL])
        index = tf.where(class_id < 0, len(self._info.labels), class_id)
        return {"name": tf.gather(names, index)}

    def about(self, row):
        text = json.dumps(self._info.to_json(), sort_keys=True, ensure_ascii=False)
        return {"about_json": tf.fill(tf.shape(row), text)}

    def _cells(self, codes):
        return {"image": self._decode(*codes), **_by_name(codes)}

    def _labels(self, class_id):
        """Returns multi-hot labels; those of -1 are all zero."""
        return tf.one_hot(class_id, len(self._info.labels))

    def _png(self, image):
        """Encodes [H, W, C] in the display colors, with a disclaimer in the file."""
        planes = [
            tf.zeros(image.shape[:2], tf.uint8) if index is None else image[..., index]
            for index in self._info.display_channels
        ]
        if image.dtype == tf.uint16:
            # 65535 / 255 = 257, rounded to nearest.
            planes = [(tf.cast(plane, tf.int32) + 128) // 257 for plane in planes]
        composite = tf.stack([tf.cast(plane, tf.uint8) for plane in planes], axis=-1)
        encoded = tf.io.encode_png(composite)
        parts = [
            tf.strings.substr(encoded, 0, _PNG_HEADER_END),
            text_chunk("Description", DISCLAIMER) + text_chunk("Model", self._info.id),
            tf.strings.substr(encoded, _PNG_HEADER_END, tf.strings.length(encoded)),
        ]
        return tf.strings.join(parts)


def in_parts(
    function: Callable, rows: Sequence[tf.Tensor], at_once: int, outputs, max_rows: int
) -> Any:
    """Calls a function on parts of a batch, so that memory does not grow with it.

    Args:
        function: Takes tensors [b, ...] with b up to `at_once`.
        rows: The arguments, [B, ...] each, B from 1.
        at_once: The largest number of rows of a call.
        outputs: ``tf.TensorSpec``s [None, ...] of the results, in any structure.
        max_rows: The largest B; if it is one part, there is no loop.

    Returns:
        The results of the calls, concatenated: [B, ...].
    """
    if at_once >= max_rows:
        return function(*rows)
    parts = (tf.shape(rows[0])[0] + at_once - 1) // at_once
    arrays = [
        tf.TensorArray(x.dtype, parts, element_shape=x.shape, infer_shape=False)
        for x in tf.nest.flatten(outputs)
    ]

    def call(part, arrays):
        some = [x[part * at_once : (part + 1) * at_once] for x in rows]
        results = tf.nest.flatten(function(*some))
        return part + 1, [
            array.write(part, x) for array, x in zip(arrays, results, strict=True)
        ]

    # Parts that run at the same time would need the memory of several.
    start = [tf.constant(0), arrays]
    _, arrays = tf.while_loop(
        lambda part, _: part < parts, call, start, parallel_iterations=1
    )
    return tf.nest.pack_sequence_as(outputs, [array.concat() for array in arrays])


def _num_rows(value):
    """Returns the first dimension, -1 for a scalar."""
    return tf.concat([tf.shape(value), [-1]], 0)[0]


def _raw(image):
    """Returns the values of an image as bytes, little endian, channels last."""
    size = image.shape.num_elements() * image.dtype.size
    # A serialized tensor ends with its values.
    message = tf.io.serialize_tensor(image)
    return tf.strings.substr(message, -size, size)


def _by_name(codes):
    return {"top_codes": codes.top, "bottom_codes": codes.bottom}
