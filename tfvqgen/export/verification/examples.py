"""Rows to ask signatures with."""

# Shapes: B rows; H x W pixels, C channels; L labels.

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def example_rows(
    about: Mapping[str, Any], names: Iterable[str], rows: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Returns inputs of a model, by name; the first rows of more rows are these.

    Labels, seeds, temperatures and so on differ from row to row; class -1 is among them
    from the second row on.

    Args:
        about: What the model says of itself, as in ``about.json``.
        names: Of the inputs.
        rows: B.
        seed: What all depends on.
    """
    height, width, _ = about["image_shape"]
    labels, codes = len(about["labels"]), about["num_embeddings"]
    place = np.arange(rows)
    classes = np.where(place == 1, -1, (place + seed) % max(labels, 1))
    if not labels:
        classes = np.full(rows, -1)
    multi_hot = classes[:, None] == np.arange(labels)
    # The third row has two labels.
    multi_hot |= (place[:, None] == 2) & (np.arange(labels) < 2)
    columns = (np.arange(width) < width // 2) | (place[:, None] == 3)

    def draw(shape, limit, dtype):
        each = [np.random.default_rng([seed, row]) for row in range(rows)]
        return np.stack([rng.integers(limit, size=shape, dtype=dtype) for rng in each])

    makers = {
        "class_id": lambda: classes.astype(np.int32),
        "labels": lambda: multi_hot.astype(np.float32),
        "seed": lambda: (place + 1000 * seed).astype(np.int64),
        "temperature": lambda: _cycle([1.0, 0.7, 1.0, 1.3, 1.0], rows),
        "top_p": lambda: _cycle([1.0, 1.0, 0.9, 1.0, 0.5], rows),
        "guidance": lambda: _cycle([0.0, 0.0, 1.0, 0.0, 2.5], rows),
        "image": lambda: draw(
            about["image_shape"], np.iinfo(about["dtype"]).max, about["dtype"]
        ),
        "mask": lambda: np.repeat(columns[:, None], height, 1).astype(np.float32),
        "top_codes": lambda: draw(about["top_shape"], codes, np.int32),
        "bottom_codes": lambda: draw(about["bottom_shape"], codes, np.int32),
        "row": lambda: place.astype(np.int32),
    }
    return {name: makers[name]() for name in names}


def wrong_rows(
    about: Mapping[str, Any], names: Iterable[str]
) -> list[tuple[str, str, dict[str, np.ndarray]]]:
    """Returns requests that must be refused, each wrong in one thing.

    Returns:
        For each: what is wrong, a word that the refusal must have, and the inputs.
    """
    names = list(names)
    right = example_rows(about, names, 2)
    labels, codes = len(about["labels"]), about["num_embeddings"]
    values = {
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
        for value in values.get(name, ()):
            wrong = right[name].copy()
            # The last number of the last row.
            wrong.reshape(-1)[-1:] = value
            if wrong.size:
                found.append((f"{name}={value}", name, {**right, name: wrong}))
        found.append(
            (f"{name} of a wrong shape", name, {**right, name: _wide(right[name])})
        )
    if len(names) > 1:
        fewer = {**right, names[-1]: right[names[-1]][:1]}
        found.append((f"fewer rows of {names[-1]}", "shape", fewer))
    many = about["max_rows"] + 1
    found += [(f"{rows} rows", "rows", _first_row(right, rows)) for rows in (0, many)]
    return found


def _wide(value):
    if value.ndim == 1:
        return value[:, None]
    return np.pad(value, [(0, 0)] * (value.ndim - 1) + [(0, 1)])


def _first_row(inputs, rows):
    return {name: np.repeat(x[:1], rows, axis=0) for name, x in inputs.items()}


def _cycle(values, rows):
    return np.resize(values, rows).astype(np.float32)
