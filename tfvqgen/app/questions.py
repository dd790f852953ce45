"""What the page sends, checked value by value."""

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfvqgen.app.limits import MOST_CELLS_AT_ONCE, MOST_UPLOAD_BYTES
from tfvqgen.errors import UserError, require_in_range
from tfvqgen.generation.model_info import ModelInfo
from tfvqgen.generation.request import Request, label_set

_KINDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    list: "a list",
    dict: "an object",
}


def value(body: Mapping[str, Any], name: str, kind: type) -> Any:
    """Returns a named value of the type that is expected.

    Raises:
        UserError: It is missing, or of another type.
    """
    found = body.get(name)
    fits = type(found) is kind or (kind is float and type(found) is int)
    if not fits:
        raise UserError(
            f"wrong {name}: expected {_KINDS[kind]}. Received: {str(found)[:60]!r}"
        )
    if kind is float:
        try:
            return float(found)
        except OverflowError:
            return math.inf
    return found


def request(body: Mapping[str, Any], about: ModelInfo) -> Request:
    """Reads what cells are asked for: one set of labels, none is unconditional."""
    labels = value(body, "labels", list)
    if not all(isinstance(label, str) for label in labels):
        raise UserError(f"wrong labels: expected texts. Received: {str(labels)[:60]}")
    count = value(body, "count", int)
    most = min(MOST_CELLS_AT_ONCE, about.max_rows)
    require_in_range("count", count, 1 <= count <= most, f"1 to {most} at once")
    return Request(
        label_sets=(label_set(labels, about.labels),),
        num_per_label=count,
        seed=value(body, "seed", int),
        **{x: value(body, x, float) for x in ("temperature", "top_p", "guidance")},
    )


def mask(body: Mapping[str, Any], about: ModelInfo) -> np.ndarray:
    """Reads the rectangle to redraw; returns 1 where pixels are kept, float32 [H, W].

    Raises:
        UserError: It is empty, or reaches beyond the image.
    """
    redraw = value(body, "redraw", dict)
    x, y, width, height = (value(redraw, n, int) for n in ("x", "y", "width", "height"))
    rows, columns = about.image_shape[:2]
    inside = 0 <= x < x + width <= columns and 0 <= y < y + height <= rows
    if not inside:
        raise UserError(
            f"wrong rectangle: expected one within {columns} x {rows} pixels. "
            f"Received: {width} x {height} at x={x}, y={y}"
        )
    kept = np.ones((rows, columns), np.float32)
    kept[y : y + height, x : x + width] = 0
    return kept


def files(body: Mapping[str, Any]) -> dict[str, bytes]:
    """Reads uploaded files, by name."""
    found: dict[str, bytes] = {}
    for one in value(body, "files", list):
        one = one if isinstance(one, dict) else {}
        name = value(one, "name", str)
        try:
            found[name] = base64.b64decode(value(one, "data", str), validate=True)
        except (binascii.Error, ValueError):
            raise UserError(
                f"wrong file: expected base64. Received: {name[:60]!r}"
            ) from None
    size = sum(map(len, found.values()))
    if size > MOST_UPLOAD_BYTES:
        raise UserError(
            f"too large an upload: expected {MOST_UPLOAD_BYTES:,} bytes at most. "
            f"Received: {size:,}"
        )
    return found
