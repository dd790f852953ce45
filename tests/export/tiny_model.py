"""A tiny exported model whose cells a line of numpy foretells."""

# Shapes: N cells of H x W pixels and C channels; L labels.

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.generation.source import Cells

LABELS = ("Golgi apparatus", "Mitochondria", "Nucleoli (fibrillar) µ")


def make_about(dtype: str = "uint8", **changes) -> ModelInfo:
    """Describes the tiny model."""
    return ModelInfo(
        **{
            "preset": "demo",
            "labels": LABELS,
            "channels": ("red", "green", "blue"),
            "display": {"red": "red", "green": "green", "blue": "blue"},
            "dtype": dtype,
            "image_shape": (4, 6, 3),
            "top_shape": (1, 2),
            "bottom_shape": (2, 4),
            "num_embeddings": 32,
            "pixel_size": 0.32,
            "credit": "random noise, \"quoted\" 'twice' µ",
            "max_rows": 40,
            "steps": {"vqvae": 1},
            "fingerprints": {"dataset": "00", "vqvae": dtype},
            **changes,
        }
    )


def expected_cells(about, labels, seeds, temperature, top_p, guidance) -> Cells:
    """Returns the tiny model's cells for arrays with a row each."""
    weights = np.arange(1, len(about.labels) + 1)
    start = (
        np.asarray(labels).astype(np.int64) @ weights * 1009
        + np.asarray(seeds, np.int64) % 65521
        + np.round(np.asarray(temperature, np.float32) * 64).astype(np.int64) * 31
        + np.round(np.asarray(top_p, np.float32) * 64).astype(np.int64) * 37
        + np.round(np.asarray(guidance, np.float32) * 64).astype(np.int64) * 41
    )

    def ramp(shape, modulus, dtype):
        steps = np.arange(np.prod(shape)).reshape(shape) * 7919
        rows = start.reshape(-1, *[1] * len(shape))
        return ((rows + steps) % modulus).astype(dtype)

    return Cells(
        ramp(about.image_shape, np.iinfo(about.dtype).max + 1, about.dtype),
        ramp(about.top_shape, about.num_embeddings, np.int32),
        ramp(about.bottom_shape, about.num_embeddings, np.int32),
    )


def export(base: Path, version: int, about: ModelInfo, without: tuple[str, ...] = ()):
    """Writes the tiny model to ``<base>/<version>``."""
    module = _Module(about)
    names = (
        "about",
        "generate_multilabel",
        "generate_multilabel_raw",
        "generate_png",
        "class_names",
    )
    signatures = {
        name: getattr(module, name).get_concrete_function()
        for name in names
        if name not in without
    }
    tf.saved_model.save(module, str(base / str(version)), signatures)
    return base


class _Module(tf.Module):
    def __init__(self, about: ModelInfo):
        super().__init__()
        text = json.dumps(about.to_json(), ensure_ascii=False)
        rows = tf.TensorSpec([None], tf.int32)
        inputs = [
            tf.TensorSpec([None, len(about.labels)], tf.float32, "labels"),
            tf.TensorSpec([None], tf.int64, "seed"),
            tf.TensorSpec([None], tf.float32, "temperature"),
            tf.TensorSpec([None], tf.float32, "top_p"),
            tf.TensorSpec([None], tf.float32, "guidance"),
        ]

        def generate(labels, seed, temperature, top_p, guidance):
            check = tf.debugging.Assert(
                tf.reduce_all(temperature > 0),
                [
                    "temperature is out of range: expected above 0. Received:",
                    temperature,
                ],
            )
            weights = tf.range(1, len(about.labels) + 1, dtype=tf.int64)
            with tf.control_dependencies([check]):
                start = (
                    tf.linalg.matvec(tf.cast(labels, tf.int64), weights) * 1009
                    + seed % 65521
                    + tf.cast(tf.round(temperature * 64), tf.int64) * 31
                    + tf.cast(tf.round(top_p * 64), tf.int64) * 37
                    + tf.cast(tf.round(guidance * 64), tf.int64) * 41
                )

            def ramp(shape, modulus, dtype):
                steps = np.arange(np.prod(shape)).reshape(shape) * 7919
                rows = tf.reshape(start, [-1, *[1] * len(shape)])
                return tf.cast((rows + steps) % modulus, dtype)

            modulus = np.iinfo(about.dtype).max + 1
            return {
                "image": ramp(about.image_shape, modulus, about.dtype),
                "top_codes": ramp(about.top_shape, about.num_embeddings, tf.int32),
                "bottom_codes": ramp(
                    about.bottom_shape, about.num_embeddings, tf.int32
                ),
            }

        def generate_raw(*inputs):
            outputs = generate(*inputs)
            image = outputs.pop("image")
            size = int(np.prod(about.image_shape)) * image.dtype.size
            raw = tf.bitcast(image, tf.uint8) if image.dtype.size > 1 else image
            strings = tf.gather(_BYTES, tf.cast(tf.reshape(raw, [-1, size]), tf.int32))
            return {"image_bytes": tf.strings.reduce_join(strings, 1), **outputs}

        def generate_png(class_id, seed, temperature, top_p, guidance):
            del seed, temperature, top_p, guidance
            png = tf.io.encode_png(tf.zeros([2, 2, 3], tf.uint8))
            return {"png_bytes": tf.fill(tf.shape(class_id), png)}

        self.generate_multilabel = tf.function(generate, input_signature=inputs)
        self.generate_multilabel_raw = tf.function(generate_raw, input_signature=inputs)
        self.generate_png = tf.function(
            generate_png,
            input_signature=[tf.TensorSpec([None], tf.int32, "class_id"), *inputs[1:]],
        )
        self.model_info = tf.function(
            lambda row: {"about_json": tf.fill(tf.shape(row), text)},
            input_signature=[rows],
        )
        self.class_names = tf.function(
            lambda class_id: {"name": tf.gather(about.labels, class_id)},
            input_signature=[rows],
        )


_BYTES = [bytes([value]) for value in range(256)]
