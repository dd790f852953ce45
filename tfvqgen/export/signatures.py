"""What an exported model can be asked, as graphs that need nothing but TensorFlow."""

# Shapes: B rows; H x W pixels, C channels; h x w top codes, 2h x 2w bottom codes; L
# labels.

import json
from collections.abc import Callable, Sequence

import tensorflow as tf

from tfvqgen.data.images import text_chunk
from tfvqgen.export.columns import checked, columns
from tfvqgen.export.in_parts import in_parts
from tfvqgen.generation.generator import Generator
from tfvqgen.generation.request import UNCONDITIONAL
from tfvqgen.generation.samples import DISCLAIMER
from tfvqgen.models import Codes
from tfvqgen.sampling.memory import (
    convolved_at_once,
    drawn_at_once,
    scored_at_once,
)

# Signature, inputs. `serving_default` is `generate`.
_HOW = ("seed", "temperature", "top_p", "guidance")
INPUTS = {
    "generate": ("class_id", *_HOW),
    "generate_png": ("class_id", *_HOW),
    "generate_multilabel": ("labels", *_HOW),
    "generate_multilabel_raw": ("labels", *_HOW),
    "encode": ("image",),
    "decode": ("top_codes", "bottom_codes"),
    "reconstruct": ("image",),
    "score": ("image", "labels"),
    "complete": ("image", "mask", "class_id", *_HOW),
    "class_names": ("class_id",),
    "about": ("row",),
}
_PNG_HEADER_END = 33


class Signatures:
    """The signatures of a model, and the weights that they need, each once.

    Args:
        generator: The models.

    Attributes:
        functions: A ``tf.function`` for each signature, by name.
        weights: The variables that the graphs read; no Keras object is among them.
    """

    def __init__(self, generator: Generator):
        known = columns(generator.model_info)
        answers = _Answers(generator)

        def signature(name: str, inputs: Sequence[str]):
            of = [known[name] for name in inputs]
            answer = getattr(answers, name)
            most = generator.model_info.max_rows
            return tf.function(
                lambda *values: answer(*checked(of, values, most)),
                input_signature=[column.spec for column in of],
                autograph=False,
            )

        functions = {name: signature(name, inputs) for name, inputs in INPUTS.items()}
        self.functions = {"serving_default": functions["generate"], **functions}
        graphs = [x.get_concrete_function().graph for x in functions.values()]
        # Several graphs read the same variable.
        read = {id(x): x for graph in graphs for x in graph.variables}
        self.weights = list(read.values())


class _Answers:
    """The signatures' answers in graph, for inputs that are right.

    What several of them do is a function of its own, which is saved once.
    """

    def __init__(self, generator: Generator):
        self._generator, self._about = generator, generator.model_info
        known = {name: x.spec for name, x in columns(self._about).items()}
        image, labels = known["image"], known["labels"]
        codes = Codes(known["top_codes"], known["bottom_codes"])
        keep = [tf.TensorSpec(x.shape, tf.bool) for x in codes]
        how = [known[name] for name in _HOW]
        bits = tf.TensorSpec([None], tf.float32)
        most = self._about.max_rows

        def shared(function: Callable, at_once: int, inputs: Sequence, outputs):
            return tf.function(
                lambda *rows: in_parts(function, rows, at_once, outputs, most),
                input_signature=inputs,
                autograph=False,
            )

        few = convolved_at_once(self._about.image_shape)
        many = drawn_at_once(generator.top.config, generator.bottom.config, most)
        self._encode = shared(generator.encode, few, [image], codes)
        self._decode = shared(
            lambda *codes: generator.decode(Codes(*codes)), few, codes, image
        )
        self._score = shared(
            lambda *rows: generator.score_codes(Codes(*rows[:2]), rows[2]),
            scored_at_once(generator.bottom.config),
            [*codes, labels],
            (bits, bits),
        )
        self._draw = shared(
            lambda *rows: generator.sample_codes(
                *rows[:5], Codes(*rows[5:7]), Codes(*rows[7:])
            ),
            many,
            [labels, *how, *codes, *keep],
            codes,
        )

    def generate(self, class_id, *how):
        return self.generate_multilabel(self._labels(class_id), *how)

    def generate_png(self, class_id, *how):
        image = self.generate(class_id, *how)["image"]
        return {"png_bytes": tf.map_fn(self._png, image, fn_output_signature=tf.string)}

    def generate_multilabel(self, labels, *how):
        # Nothing is kept. A graph without that would be a tenth of a promille faster,
        # and half as much again to save, load and optimize.
        rows = tf.shape(labels)[:1]
        shapes = [
            tf.concat([rows, shape], 0)
            for shape in (self._about.top_shape, self._about.bottom_shape)
        ]
        given = [tf.zeros(shape, tf.int32) for shape in shapes]
        keep = [tf.zeros(shape, tf.bool) for shape in shapes]
        return self._cells(self._draw(labels, *how, *given, *keep))

    def generate_multilabel_raw(self, *inputs):
        """The image as bytes, which REST carries better than numbers."""
        cells = self.generate_multilabel(*inputs)
        image = cells.pop("image")
        return {
            "image_bytes": tf.map_fn(_raw, image, fn_output_signature=tf.string),
            **cells,
        }

    def encode(self, image):
        return _by_name(self._encode(image))

    def decode(self, top_codes, bottom_codes):
        return {"image": self._decode(top_codes, bottom_codes)}

    def reconstruct(self, image):
        return {"image": self._decode(*self._encode(image))}

    def score(self, image, labels):
        top, bottom = self._score(*self._encode(image), labels)
        return {"top_bits": top, "bottom_bits": bottom}

    def complete(self, image, mask, class_id, *how):
        given = self._encode(self._generator.visible(image, mask))
        keep = self._generator.kept(mask)
        return self._cells(self._draw(self._labels(class_id), *how, *given, *keep))

    def class_names(self, class_id):
        names = tf.constant([*self._about.labels, UNCONDITIONAL])
        place = tf.where(class_id < 0, len(self._about.labels), class_id)
        return {"name": tf.gather(names, place)}

    def about(self, row):
        text = json.dumps(self._about.to_json(), sort_keys=True, ensure_ascii=False)
        return {"about_json": tf.fill(tf.shape(row), text)}

    def _cells(self, codes):
        return {"image": self._decode(*codes), **_by_name(codes)}

    def _labels(self, class_id):
        """Multi-hot; -1 has none."""
        return tf.one_hot(class_id, len(self._about.labels))

    def _png(self, image):
        """Encodes [H, W, C] in the display colours, and says within what it is."""
        planes = [
            tf.zeros(image.shape[:2], tf.uint8) if index is None else image[..., index]
            for index in self._about.display_channels
        ]
        if image.dtype == tf.uint16:
            # 65535 / 255 = 257, rounded to nearest.
            planes = [(tf.cast(plane, tf.int32) + 128) // 257 for plane in planes]
        picture = tf.stack([tf.cast(plane, tf.uint8) for plane in planes], axis=-1)
        encoded = tf.io.encode_png(picture)
        parts = [
            tf.strings.substr(encoded, 0, _PNG_HEADER_END),
            text_chunk("Description", DISCLAIMER) + text_chunk("Model", self._about.id),
            tf.strings.substr(encoded, _PNG_HEADER_END, tf.strings.length(encoded)),
        ]
        return tf.strings.join(parts)


def _raw(image):
    """Returns an image's values, little endian, row by row, channels last."""
    size = image.shape.num_elements() * image.dtype.size
    # They are the end of the message that a tensor is written as.
    message = tf.io.serialize_tensor(image)
    return tf.strings.substr(message, -size, size)


def _by_name(codes):
    return {"top_codes": codes.top, "bottom_codes": codes.bottom}
