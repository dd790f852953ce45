"""The rows of a request: their valid values, and a check before they are sent.

The ranges are checked twice: here with numpy, and in the graphs of an export with
TensorFlow.
"""

# Shapes: N rows, L labels.

import numpy as np

from tfvqgen.errors import UserError
from tfvqgen.generation.model_info import ModelInfo

# Name of an input: its valid values in words, and as a function of an array or a
# tensor. NaN fails every comparison.
RANGES = {
    "labels": ("0 or 1", lambda x: (x == 0) | (x == 1)),
    "temperature": ("a finite number above 0", lambda x: (x > 0) & (x < np.inf)),
    "top_p": ("above 0, at most 1", lambda x: (x > 0) & (x <= 1)),
    "guidance": ("a finite number, 0 or more", lambda x: (x >= 0) & (x < np.inf)),
}


def check_rows(
    model_info: ModelInfo, labels, seeds, temperature, top_p, guidance
) -> dict[str, np.ndarray]:
    """Converts the inputs of a request, and refuses those that no model accepts.

    A server that merges the requests of several users into one batch refuses the whole
    batch because of one wrong row; therefore a wrong row is never sent.

    Args:
        model_info: Describes the model.
        labels: Multi-hot [N, L].
        seeds: Integers of 64 bits [N].
        temperature: Above 0; [N] or one number for all rows.
        top_p: Above 0, at most 1; [N] or one number.
        guidance: 0 or more; [N] or one number.

    Returns:
        The inputs of ``generate_multilabel`` by name: ``seed`` is int64 [N], the others
        are float32.

    Raises:
        UserError: A shape or a value is wrong; the message names the first such row.
    """
    seed = np.asarray(seeds)
    if seed.ndim != 1 or seed.size == 0 or seed.dtype.kind not in "iu":
        raise UserError(
            "seeds are wrong: expected integers, one for each row. "
            f"Received: shape={seed.shape}, dtype={seed.dtype}"
        )
    _check("seed", seed, seed <= np.iinfo(np.int64).max, "integers of 64 bits")
    one_each = [(), seed.shape]
    rows = {
        "labels": _floats("labels", labels, [(*seed.shape, len(model_info.labels))])
    }
    rows["seed"] = seed.astype(np.int64)
    for name, value in (
        ("temperature", temperature),
        ("top_p", top_p),
        ("guidance", guidance),
    ):
        rows[name] = np.broadcast_to(_floats(name, value, one_each), seed.shape)
    for name, (expected, is_valid) in RANGES.items():
        _check(name, rows[name], is_valid(rows[name]), expected)
    return rows


def _floats(name: str, value, shapes: list[tuple[int, ...]]) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):
            value = np.asarray(value, np.float32)
    except (TypeError, ValueError):
        raise UserError(f"{name}: expected numbers. Received: {value!r}") from None
    if value.shape not in shapes:
        raise UserError(
            f"{name} has a wrong shape: expected {' or '.join(map(str, shapes))}. "
            f"Received: shape={value.shape}"
        )
    return value


def _check(name: str, value: np.ndarray, valid: np.ndarray, expected: str) -> None:
    if not valid.all():
        index = tuple(int(i) for i in np.argwhere(~valid)[0])
        raise UserError(
            f"{name} is out of range: expected {expected}. "
            f"Received: {name}{list(index)}={value[index]}"
        )
