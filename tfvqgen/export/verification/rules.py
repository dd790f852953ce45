"""The rules of an export: of its graph as a file, and of the answers that it gives."""

# Shapes: B rows; H x W pixels, C channels.

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import graph_pb2, node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow.python.framework import kernels, op_def_registry

Ask = Callable[[str, Mapping[str, Any]], dict[str, np.ndarray]]

SIGNATURES = {
    *("serving_default", "generate", "generate_png", "generate_multilabel"),
    *("generate_multilabel_raw", "encode", "decode", "reconstruct", "score"),
    *("complete", "class_names", "about"),
}
# TensorFlow in Python has these, the stock server does not: calls of Python, and what
# XLA compiles or TPUs run.
_NOT_IN_SERVER = ("PyFunc", "EagerPyFunc", "Xla", "TPU", "Tpu", "_TPU", "_Xla")
_COMPILED = ("_XlaMustCompile", "_XlaCompile")
_BIT_TOLERANCE = 1e-3


def unknown_operations(graph: graph_pb2.GraphDef) -> list[str]:
    """Returns the operations that the stock server does not have on a CPU."""
    functions = {function.signature.name for function in graph.library.function}
    operations = {node.op for node in _nodes(graph)} - functions
    return sorted(name for name in operations if not _is_stock(name))


def compiled_parts(graph: graph_pb2.GraphDef) -> list[str]:
    """Returns nodes and functions that XLA must compile; the stock server cannot."""
    parts = [(node.name, node.attr) for node in _nodes(graph)]
    parts += [(x.signature.name, x.attr) for x in graph.library.function]
    return [
        name
        for name, attributes in parts
        if any(attributes[key].b for key in _COMPILED if key in attributes)
    ]


def batching_faults(signatures: Mapping[str, meta_graph_pb2.SignatureDef]) -> list[str]:
    """Returns the inputs and outputs without a leading batch dimension."""
    faults = []
    for name, signature in signatures.items():
        for key, tensor in [*signature.inputs.items(), *signature.outputs.items()]:
            sizes = [dim.size for dim in tensor.tensor_shape.dim]
            if tensor.tensor_shape.unknown_rank or sizes[:1] != [-1]:
                faults.append(f"{name}.{key} {sizes}")
    return faults


def _nodes(graph: graph_pb2.GraphDef) -> Iterator[node_def_pb2.NodeDef]:
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def _is_stock(name: str) -> bool:
    # The names of operations of other packages contain the package and a ">".
    if name.startswith(_NOT_IN_SERVER) or ">" in name or not op_def_registry.get(name):
        return False
    found = kernels.get_registered_kernels_for_op(name).kernel
    return any(kernel.device_type in ("CPU", "DEFAULT") for kernel in found)


def is_text(values: Iterable[bytes]) -> bool:
    """Returns whether all strings are UTF-8."""
    try:
        return all(value.decode() is not None for value in values)
    except UnicodeDecodeError:
        return False


def decode_pngs(png_bytes: Iterable[bytes]) -> np.ndarray:
    """Decodes PNGs, uint8 [B, H, W, 3]."""
    return np.stack([tf.io.decode_png(x, channels=0).numpy() for x in png_bytes])


def count_differing_rows(
    together: Mapping[str, np.ndarray], alone: Mapping[str, np.ndarray]
) -> int:
    """Returns the number of rows that differ between two answers.

    Other batch sizes add up sums in another order: pixels may differ by 1, and bits in
    their last digits. Codes must be equal.
    """
    rows = len(next(iter(together.values())))
    differ = np.zeros(rows, bool)
    for name, value in together.items():
        other = alone[name]
        if value.shape != other.shape or value.dtype != other.dtype:
            return rows
        if np.issubdtype(value.dtype, np.floating):
            # NaN fails the comparison.
            unequal = ~(np.abs(value - other) <= _BIT_TOLERANCE)
        elif value.dtype in (np.uint8, np.uint16):
            unequal = np.abs(value.astype(int) - other.astype(int)) > 1
        else:
            unequal = value != other
        differ |= unequal.reshape(rows, -1).any(axis=1)
    return int(differ.sum())


def answer_to(ask: Ask, name: str, wrong: Mapping[str, Any], word: str) -> str | None:
    """Returns the answer to a wrong request, None if it is the refusal it must be.

    Args:
        ask: Runs a signature.
        name: The signature.
        wrong: The inputs.
        word: The refusal must contain it.
    """
    try:
        ask(name, wrong)
    except tf.errors.InvalidArgumentError as error:
        _, found, rest = error.message.partition("assertion failed: [")
        sentence = rest.split("]\n")[0] if found else ""
        refused = word in sentence and ": expected " in sentence
        return None if refused else sentence or error.message
    return "it was answered"


def inconsistencies(
    ask: Ask, model_info: Mapping[str, Any], rows: Callable[..., dict[str, np.ndarray]]
) -> list[str]:
    """Returns where signatures contradict each other.

    Args:
        ask: Runs a signature.
        model_info: The content of ``about.json``.
        rows: Returns valid inputs for names.
    """
    sampling = ("seed", "temperature", "top_p", "guidance")
    codes = ("top_codes", "bottom_codes")
    drawn = ask("generate", rows("class_id", *sampling))
    by_labels = ask("generate_multilabel", rows("labels", *sampling))
    raw = ask("generate_multilabel_raw", rows("labels", *sampling))["image_bytes"]
    pngs = decode_pngs(ask("generate_png", rows("class_id", *sampling))["png_bytes"])
    inputs = rows("image", "mask", "class_id", *sampling)
    completed = ask("complete", inputs)
    visible = np.where(inputs["mask"][..., None] == 1, inputs["image"], 0)
    encoded = ask("encode", {"image": visible.astype(model_info["dtype"])})
    labels = model_info["labels"]
    ids = np.arange(-1, len(labels), dtype=np.int32)[: model_info["max_rows"]]
    names = [x.decode() for x in ask("class_names", {"class_id": ids})["name"]]
    little_endian = np.dtype(model_info["dtype"]).newbyteorder("<")
    composites = _composites(drawn["image"], model_info)
    consistent = {
        "serving_default is not generate": _equal(
            ask("serving_default", rows("class_id", *sampling)), drawn
        ),
        "generate_multilabel_raw is not generate_multilabel": (
            [x.tobytes() for x in by_labels["image"].astype(little_endian)] == list(raw)
        ),
        "decode does not return the image of generate": _equal(
            ask("decode", {x: drawn[x] for x in codes}), {"image": drawn["image"]}
        ),
        "reconstruct is not decode after encode": _equal(
            ask("reconstruct", rows("image")),
            ask("decode", ask("encode", rows("image"))),
        ),
        "generate_png does not show the image of generate": (
            np.abs(pngs - composites).max() <= 1
        ),
        "complete does not keep codes": all(
            _kept_codes_equal(inputs["mask"], completed[x], encoded[x]) for x in codes
        ),
        "class_names are not the labels": names[1:] == labels[: len(ids) - 1],
        "about is not assets/about.json": all(
            json.loads(x) == model_info for x in ask("about", rows("row"))["about_json"]
        ),
        "score does not return bits": all(
            np.isfinite(x).all() and (x >= 0).all()
            for x in ask("score", rows("image", "labels")).values()
        ),
    }
    return [fault for fault, holds in consistent.items() if not holds]


def _equal(a, b):
    return a.keys() == b.keys() and count_differing_rows(a, b) == 0


def _composites(image, model_info):
    """Returns images in the display colours, [B, H, W, 3] from 0 to 255."""
    image = image / np.iinfo(model_info["dtype"]).max
    shown = [model_info["display"][color] for color in ("red", "green", "blue")]
    planes = [
        np.zeros(image.shape[:-1])
        if name is None
        else image[..., model_info["channels"].index(name)]
        for name in shown
    ]
    return np.round(255 * np.stack(planes, axis=-1))


def _kept_codes_equal(mask, codes, given):
    height, width = codes.shape[1:]
    patches = mask.reshape(len(mask), height, mask.shape[1] // height, width, -1)
    kept = patches.min(axis=(2, 4)) == 1
    return kept.any() and np.array_equal(codes[kept], given[kept])
