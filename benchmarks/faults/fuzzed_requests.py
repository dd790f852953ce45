"""Requests for a served model, most of them wrong in one way, by a seed."""

# Shapes: B rows.

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from tfvqgen.export.verification.examples import example_rows, wrong_rows
from tfvqgen.generation.saved_model import INPUTS

MOST_ROWS = 5
FAR_TOO_MANY = 4096
_SIGNATURES = {"serving_default": INPUTS["generate"], **INPUTS}
_TYPES = ("float64", "float16", "int64", "int32", "uint8", "bool", "complex64")
_NO_SIGNATURES = (
    "nope",
    "Generate",
    "generate ",
    "__saved_model_init_op",
    "générer µ",
    "../generate",
    # More than about 8 kB in a message is refused by gRPC itself, in other words.
    "x" * 5_000,
)


@dataclasses.dataclass(frozen=True)
class Fuzzed:
    """A request.

    Attributes:
        kind: In what way it is unusual.
        request: What is sent.
        wrong: Whether it must be refused; else it must be answered.
    """

    kind: str
    request: predict_pb2.PredictRequest
    wrong: bool


def fuzzed_requests(
    about: Mapping[str, Any], number: int, seed: int, model: str = "tfvqgen"
) -> Iterator[Fuzzed]:
    """Yields requests of all kinds over all signatures, in a mixed order.

    Args:
        about: What the model says of itself, as in ``about.json``.
        number: How many.
        seed: What all depends on.
        model: The model's name on the server.
    """
    rng = np.random.default_rng(seed)
    kinds = rng.permutation(np.resize(list(_KINDS), number))
    signatures = rng.permutation(np.resize(list(_SIGNATURES), number))
    for kind, signature in zip(kinds, signatures, strict=True):
        draw = _Draw(about, str(signature), model, rng)
        request, wrong = _KINDS[str(kind)](draw)
        yield Fuzzed(str(kind), request, wrong)


class _Draw:
    """The right request that a fuzzed one differs from.

    Attributes:
        about: What the model says of itself.
        signature: Its name.
        names: Of the inputs.
        inputs: The inputs, right ones.
        rng: For everything else.
    """

    def __init__(self, about, signature: str, model: str, rng: np.random.Generator):
        self.model_info, self.signature, self.rng = about, signature, rng
        self._model = model
        self.names = list(_SIGNATURES[signature])
        rows, seed = int(rng.integers(1, MOST_ROWS + 1)), int(rng.integers(1000))
        self.inputs = example_rows(about, self.names, rows, seed)

    def one_of(self, things):
        """Picks one."""
        return things[int(self.rng.integers(len(things)))]

    def request(self, inputs=None, **changes) -> predict_pb2.PredictRequest:
        """Returns the message with other inputs, or with a changed spec."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name = changes.get("model", self._model)
        request.model_spec.signature_name = changes.get("signature", self.signature)
        if "version" in changes:
            request.model_spec.version.value = changes["version"]
        request.output_filter.extend(changes.get("wanted", ()))
        for name, value in (self.inputs if inputs is None else inputs).items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        return request


def _right(draw):
    return draw.request(), False


def _huge_seed(draw):
    inputs = dict(draw.inputs)
    if "seed" in inputs:
        limits = np.iinfo(np.int64)
        inputs["seed"] = draw.rng.choice(
            np.array([limits.min, limits.max, -1, 2**53 + 1]), len(inputs["seed"])
        )
    return draw.request(inputs), False


def _value(draw):
    _, _, inputs = draw.one_of(wrong_rows(draw.model_info, draw.names))
    return draw.request(inputs), True


def _shape(draw):
    name = draw.one_of(draw.names)
    value = draw.inputs[name]
    changed = {
        "scalar": value.reshape(-1)[0],
        "flat": value.reshape(-1) if value.ndim > 1 else value[None],
        "deep": value[..., None],
        "many ones": value.reshape(*[1] * 7, *value.shape),
        "nothing within": np.empty((len(value), *value.shape[1:], 0), value.dtype),
        "rows twice": np.concatenate([value, value]),
    }
    # Where there is one input only, more rows of it are right.
    kinds = [x for x in changed if x != "rows twice" or len(draw.names) > 1]
    return draw.request({**draw.inputs, name: changed[draw.one_of(kinds)]}), True


def _type(draw):
    name = draw.one_of(draw.names)
    value = draw.inputs[name]
    dtype = draw.one_of([x for x in _TYPES if x != value.dtype])
    with np.errstate(over="ignore"):
        return draw.request({**draw.inputs, name: value.astype(dtype)}), True


def _string(draw):
    name = draw.one_of(draw.names)
    text = np.char.mod("%s", draw.inputs[name]).astype(object)
    return draw.request({**draw.inputs, name: text}), True


def _empty(draw):
    return draw.request({x: y[:0] for x, y in draw.inputs.items()}), True


def _many(draw):
    first = {x: y[:1] for x, y in draw.inputs.items()}
    many = {x: np.repeat(y, FAR_TOO_MANY, axis=0) for x, y in first.items()}
    return draw.request(many), True


def _missing(draw):
    kept = dict(draw.inputs)
    if draw.rng.integers(4):
        del kept[draw.one_of(draw.names)]
    else:
        kept.clear()
    return draw.request(kept), True


def _unknown(draw):
    inputs = dict(draw.inputs)
    if draw.rng.integers(2):
        inputs["extra"] = np.zeros(3, np.float32)
    else:
        name = draw.one_of(draw.names)
        inputs[name.upper()] = inputs.pop(name)
    return draw.request(inputs), True


def _no_signature(draw):
    if draw.names == _SIGNATURES["serving_default"] and draw.rng.integers(2):
        # That of the default.
        return draw.request(signature=""), False
    return draw.request(signature=draw.one_of(_NO_SIGNATURES)), True


def _no_model(draw):
    changes = [{"model": "nope"}, {"model": ""}, {"version": 2**40}, {"version": -1}]
    return draw.request(**draw.one_of(changes)), True


def _no_output(draw):
    return draw.request(wanted=["nope"]), True


def _broken(draw):
    """A tensor that contradicts itself."""
    request = draw.request()
    tensor = request.inputs[draw.one_of(draw.names)]
    match draw.one_of(["bytes", "shape", "type"]):
        case "bytes":
            value = tf.make_ndarray(tensor)
            tensor.CopyFrom(tf.make_tensor_proto(np.stack([value, value])))
            tensor.tensor_content = tensor.tensor_content[:-1] or b"\0"
        case "shape":
            tensor.tensor_shape.dim[0].size = -2
        case "type":
            tensor.dtype = 0
    return request, True


_KINDS: dict[str, Callable[[_Draw], tuple[predict_pb2.PredictRequest, bool]]] = {
    "right": _right,
    "huge seed": _huge_seed,
    "wrong value": _value,
    "wrong shape": _shape,
    "wrong type": _type,
    "strings": _string,
    "no rows": _empty,
    "too many rows": _many,
    "missing input": _missing,
    "unknown input": _unknown,
    "unknown signature": _no_signature,
    "unknown model": _no_model,
    "unknown output": _no_output,
    "broken tensor": _broken,
}
