"""TensorFlow Serving's record of a request, written and read without its package.

``PredictionLog`` holds, several messages deep, a signature's name and its inputs as
``TensorProto``s. Protocol buffers are fields one after another, each a tag, a length
and bytes; of the many that the messages may have, these are needed::

    PredictionLog.predict_log = 6
    PredictLog.request = 1
    PredictRequest.model_spec = 1, .inputs = 2 (entries of a map: key = 1, value = 2)
    ModelSpec.name = 1, .signature_name = 3
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

_PREDICT_LOG, _REQUEST = 6, 1
_MODEL_SPEC, _INPUTS = 1, 2
_NAME, _SIGNATURE_NAME = 1, 3
_KEY, _VALUE = 1, 2
# Wire types: of numbers, of 8 bytes, of bytes with their length, of 4 bytes.
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5


def encode_request(model: str, signature: str, inputs: Mapping[str, Any]) -> bytes:
    """Returns the ``PredictionLog`` of a request, as bytes."""
    entries = b"".join(
        _field(
            _INPUTS,
            _field(_KEY, name.encode())
            + _field(_VALUE, tf.make_tensor_proto(value).SerializeToString()),
        )
        for name, value in inputs.items()
    )
    spec = _field(_NAME, model.encode()) + _field(_SIGNATURE_NAME, signature.encode())
    return _field(_PREDICT_LOG, _field(_REQUEST, _field(_MODEL_SPEC, spec) + entries))


def decode_request(record: bytes) -> tuple[str, dict[str, np.ndarray]]:
    """Returns the signature's name and the inputs of a ``PredictionLog``.

    Raises:
        ValueError: It is not the log of a prediction.
    """
    request = _only(_only(record, _PREDICT_LOG), _REQUEST)
    signature = _only(_only(request, _MODEL_SPEC), _SIGNATURE_NAME).decode()
    inputs = {}
    for number, entry in _fields(request):
        if number == _INPUTS:
            proto = tf.make_tensor_proto(0)
            proto.Clear()
            proto.ParseFromString(_only(entry, _VALUE))
            inputs[_only(entry, _KEY).decode()] = tf.make_ndarray(proto)
    return signature, inputs


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])


def _only(message: bytes, wanted: int) -> bytes:
    found = [value for number, value in _fields(message) if number == wanted]
    if len(found) != 1:
        raise ValueError(f"field {wanted} is there {len(found)} times")
    return found[0]


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the numbers and values of a message's fields of bytes."""
    place = 0
    while place < len(message):
        tag, place = _read_varint(message, place)
        kind = tag & 7
        if kind == _VARINT:
            _, place = _read_varint(message, place)
            continue
        if kind not in (_EIGHT_BYTES, _FOUR_BYTES, _BYTES):
            raise ValueError(f"unknown wire type {kind}")
        size = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}.get(kind)
        if size is None:
            size, place = _read_varint(message, place)
        if place + size > len(message):
            raise ValueError("it is cut short")
        if kind == _BYTES:
            yield tag >> 3, message[place : place + size]
        place += size


def _read_varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place == len(message):
            raise ValueError("it is cut short")
        value |= (message[place] & 127) << shift
        shift += 7
        place += 1
        if message[place - 1] < 128:
            return value, place
