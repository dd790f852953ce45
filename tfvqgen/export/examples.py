"""Example requests for the signatures of an export, valid and wrong, and its warm-up.

TensorFlow Serving replays the warm-up requests of a model when it loads it. They are
``PredictionLog`` messages, which TensorFlow does not contain; the few fields that a
request needs are written here::

    PredictionLog.predict_log = 6, PredictLog.request = 1
    PredictRequest.model_spec = 1, .inputs = 2 (map: key = 1, value = 2)
    ModelSpec.name = 1, .signature_name = 3
"""

# Shapes: B rows; H x W pixels, C channels; L labels.

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

WARM_UP = "assets.extra/tf_serving_warmup_requests"


def example_rows(
    model_info: Mapping[str, Any], names: Iterable[str], rows: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Returns valid inputs by name; more rows start with the rows of fewer.

    `model_info` is the content of ``about.json``. All rows have different values.
    """
    height, width, _ = model_info["image_shape"]
    labels, codes = len(model_info["labels"]), model_info["num_embeddings"]
    index = np.arange(rows)
    # The second row is unconditional, the third has two labels.
    unconditional = (index == 1) | (labels == 0)
    classes = np.where(unconditional, -1, (index + seed) % max(labels, 1))
    multi_hot = classes[:, None] == np.arange(labels)
    multi_hot |= (index[:, None] == 2) & (np.arange(labels) < 2)
    # The left half of an image is kept; the fourth row keeps everything.
    columns = (np.arange(width) < width // 2) | (index[:, None] == 3)

    def random(shape, limit, dtype):
        rngs = [np.random.default_rng([seed, row]) for row in range(rows)]
        return np.stack([rng.integers(limit, size=shape, dtype=dtype) for rng in rngs])

    def cycle(*values):
        return np.resize(values, rows).astype(np.float32)

    dtype = model_info["dtype"]
    makers = {
        "class_id": lambda: classes.astype(np.int32),
        "labels": lambda: multi_hot.astype(np.float32),
        "seed": lambda: (index + 1000 * seed).astype(np.int64),
        "temperature": lambda: cycle(1, 0.7, 1, 1.3, 1),
        "top_p": lambda: cycle(1, 1, 0.9, 1, 0.5),
        "guidance": lambda: cycle(0, 0, 1, 0, 2.5),
        "image": lambda: random(model_info["image_shape"], np.iinfo(dtype).max, dtype),
        "mask": lambda: np.repeat(columns[:, None], height, 1).astype(np.float32),
        "top_codes": lambda: random(model_info["top_shape"], codes, np.int32),
        "bottom_codes": lambda: random(model_info["bottom_shape"], codes, np.int32),
        "row": lambda: index.astype(np.int32),
    }
    return {name: makers[name]() for name in names}


def wrong_rows(
    model_info: Mapping[str, Any], names: Iterable[str]
) -> list[tuple[str, str, dict[str, np.ndarray]]]:
    """Returns requests with one mistake each.

    Each is the mistake, a word that the error message must contain, and the inputs.
    """
    names = list(names)
    valid = example_rows(model_info, names, 2)
    labels, codes = len(model_info["labels"]), model_info["num_embeddings"]
    wrong_values = {
        "class_id": (labels, -2),
        "temperature": (0, -1, np.nan, np.inf),
        "top_p": (0, 1.5, np.nan),
        "guidance": (-1, np.nan, np.inf),
        "labels": (0.5, np.nan),
        "mask": (0.5, np.nan),
        "top_codes": (codes, -1),
        "bottom_codes": (codes, -1),
    }
    found = []
    for name in names:
        for value in wrong_values.get(name, ()):
            wrong = valid[name].copy()
            # The last number of the last row.
            wrong.reshape(-1)[-1:] = value
            if wrong.size:
                found.append((f"{name}={value}", name, {**valid, name: wrong}))
        deeper = {**valid, name: valid[name][..., None]}
        found.append((f"{name} of a wrong shape", name, deeper))
    if len(names) > 1:
        fewer = {**valid, names[-1]: valid[names[-1]][:1]}
        found.append((f"fewer rows of {names[-1]}", "shape", fewer))
    for rows in (0, model_info["max_rows"] + 1):
        repeated = {name: np.repeat(x[:1], rows, axis=0) for name, x in valid.items()}
        found.append((f"{rows} rows", "rows", repeated))
    return found


def encode_request(model: str, signature: str, inputs: Mapping[str, Any]) -> bytes:
    """Returns the serialized ``PredictionLog`` of a request."""
    spec = _field(1, model.encode()) + _field(3, signature.encode())
    request = _field(1, spec)
    for name, value in inputs.items():
        tensor = tf.make_tensor_proto(value).SerializeToString()
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))
    return _field(6, _field(1, request))


def _field(number: int, value: bytes) -> bytes:
    """Returns a field of bytes in the wire format: tag, length, value."""
    length, rest = bytearray(), len(value)
    while rest > 127:
        length.append(rest & 127 | 128)
        rest >>= 7
    return bytes([number << 3 | 2, *length, rest]) + value
