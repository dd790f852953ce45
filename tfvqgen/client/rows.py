"""The rows of a request for cells, checked as the server checks them.

A server that merges the requests of several users into one batch refuses all of them
for one bad row. So a bad row is not sent.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tfvqgen.errors import UserError
from tfvqgen.generation.model_info import ModelInfo

# Shapes: N rows, L labels.


# Enough for the sampler to be near its best, and few enough that a bar moves and that
# the REST server's own limit of 30 seconds is far.
DEFAULT_ROWS = 16
# What a reply may measure. Its longest number is 5 bytes: "255, " in JSON; protobuf
# takes at most 3 for a uint16.
REPLY_BYTES = 64 * 2**20
_BYTES_OF_A_NUMBER = 5


class Rows(NamedTuple):
    """What cells are asked for; the names are those of the signature's inputs.

    Attributes:
        labels: Multi-hot, float32 [N, L]; a row of zeros is unconditional.
        seed: int64 [N].
        temperature: Float32 [N].
        top_p: Float32 [N].
        guidance: Float32 [N].
    """

    labels: np.ndarray
    seed: np.ndarray
    temperature: np.ndarray
    top_p: np.ndarray
    guidance: np.ndarray

    def batches(self, size: int) -> Iterator["Rows"]:
        """Yields the rows in batches of at most `size`."""
        for start in range(0, len(self.seed), size):
            yield Rows(*(column[start : start + size] for column in self))


def check_rows(about: ModelInfo, labels, seeds, temperature, top_p, guidance) -> Rows:
    """Brings what is asked for into one form, and refuses what no model takes.

    Args:
        about: The model.
        labels: Multi-hot [N, L].
        seeds: Whole numbers of 64 bits [N].
        temperature: Above 0; [N] or one number for all, as the next two.
        top_p: Above 0, at most 1.
        guidance: At least 0.

    Raises:
        UserError: A shape or a value is wrong; the message names the first such row.
    """
    seed = _seeds(seeds)
    rows = Rows(
        _labels(labels, len(seed), len(about.labels)),
        seed,
        _numbers("temperature", temperature, len(seed)),
        _numbers("top_p", top_p, len(seed)),
        _numbers("guidance", guidance, len(seed)),
    )
    # In this form so that what is not a number is refused as well.
    _check("temperature", rows.temperature, "a number above 0", rows.temperature > 0)
    _check(
        "top_p", rows.top_p, "above 0, at most 1", (rows.top_p > 0) & (rows.top_p <= 1)
    )
    _check("guidance", rows.guidance, "a number from 0 on", rows.guidance >= 0)
    return rows


def rows_per_request(about: ModelInfo, wanted: int | None) -> int:
    """Returns how many rows are sent at a time.

    Args:
        about: The model.
        wanted: At most so many; None leaves it to this function.

    Raises:
        UserError: The model does not take so many.
    """
    if wanted is not None:
        if not 1 <= wanted <= about.max_rows:
            raise UserError(
                f"rows per request are out of range: expected 1 to {about.max_rows}. "
                f"Received: {wanted}"
            )
        return wanted
    shapes = (about.image_shape, about.top_shape, about.bottom_shape)
    numbers = sum(int(np.prod(shape)) for shape in shapes)
    fitting = REPLY_BYTES // (_BYTES_OF_A_NUMBER * numbers)
    return max(1, min(DEFAULT_ROWS, about.max_rows, fitting))


def _seeds(seeds) -> np.ndarray:
    seed = np.asarray(seeds)
    if seed.size == 0:
        seed = seed.astype(np.int64)
    if seed.ndim != 1 or seed.dtype.kind not in "iu":
        raise UserError(
            "wrong seeds: expected whole numbers, one a row. "
            f"Received: shape={seed.shape}, dtype={seed.dtype}"
        )
    _check("seed", seed, "whole numbers of 64 bits", seed <= np.iinfo(np.int64).max)
    return seed.astype(np.int64)


def _labels(labels, rows: int, vocabulary: int) -> np.ndarray:
    labels = _array("labels", labels)
    if labels.shape != (rows, vocabulary):
        raise UserError(
            f"labels have a wrong shape: expected {(rows, vocabulary)}, a row a seed "
            f"and a column a label of the model. Received: shape={labels.shape}"
        )
    known = (labels == 0) | (labels == 1)
    _check("labels", labels, "0 or 1", known)
    return labels


def _numbers(name: str, value, rows: int) -> np.ndarray:
    value = _array(name, value)
    if value.shape not in ((), (rows,)):
        raise UserError(
            f"{name} has a wrong shape: expected one number, or one a seed, {(rows,)}. "
            f"Received: shape={value.shape}"
        )
    value = np.broadcast_to(value, (rows,))
    _check(name, value, "finite numbers of 32 bits", np.isfinite(value))
    return value


def _array(name: str, value) -> np.ndarray:
    try:
        with np.errstate(over="ignore"):
            return np.asarray(value, np.float32)
    except (TypeError, ValueError):
        raise UserError(
            f"wrong {name}: expected numbers. Received: {value!r}"
        ) from None


def _check(name: str, value: np.ndarray, expected: str, good: np.ndarray) -> None:
    if not good.all():
        place = tuple(int(i) for i in np.argwhere(~good)[0])
        raise UserError(
            f"{name} is out of range: expected {expected}. "
            f"Received: {name}{list(place)}={value[place]}"
        )
