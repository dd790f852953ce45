"""What an export must do, tried on it; each function returns what went wrong."""

# Shapes: B rows; H x W pixels, C channels.

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

Ask = Callable[[str, Mapping[str, Any]], dict[str, np.ndarray]]

# Between batches of different shapes sums are added up in another order: a code may
# come out otherwise where two are equally good to the last digits, seldom; the levels
# of a pixel by one; bits in their last digits.
_BIT_TOLERANCE = 1e-3


def differing_rows(
    together: Mapping[str, np.ndarray], alone: Mapping[str, np.ndarray]
) -> int:
    """Returns how many rows of two answers are not the same."""
    rows = len(next(iter(together.values())))
    differ = np.zeros(rows, bool)
    for name, value in together.items():
        other = alone[name]
        if value.shape != other.shape or value.dtype != other.dtype:
            return rows
        if np.issubdtype(value.dtype, np.floating):
            # Not "larger than": that is false for what is not a number.
            unequal = ~(np.abs(value - other) <= _BIT_TOLERANCE)
        elif value.dtype in (np.uint8, np.uint16):
            unequal = np.abs(value.astype(int) - other.astype(int)) > 1
        else:
            unequal = value != other
        differ |= unequal.reshape(rows, -1).any(axis=1)
    return int(differ.sum())


def pictures(png_bytes: Iterable[bytes]) -> np.ndarray:
    """Decodes PNGs, uint8 [B, H, W, 3]."""
    with tf.device("CPU"):
        return np.stack([tf.io.decode_png(x, channels=0).numpy() for x in png_bytes])


def accepted(ask: Ask, name: str, wrong: Iterable[tuple[str, str, dict]]) -> list[str]:
    """Returns the wrong requests that a signature answers, or refuses without words."""
    found = []
    for what, word, inputs in wrong:
        try:
            ask(name, inputs)
        except tf.errors.InvalidArgumentError as error:
            sentence = refusal(error)
            if word not in sentence or ": expected " not in sentence:
                found.append(f"{name}: {what}: {sentence or error.message}"[:200])
            continue
        found.append(f"{name} answers {what}")
    return found


def refusal(error: tf.errors.OpError) -> str:
    """Returns the sentence of a graph that refuses a request, "" if it has none."""
    _, found, rest = error.message.partition("assertion failed: [")
    return rest.split("]\n")[0].strip() if found else ""


def contradictions(
    ask: Ask, about: Mapping[str, Any], rows: Callable[..., dict[str, np.ndarray]]
) -> list[str]:
    """Returns where signatures contradict each other.

    Args:
        ask: Asks a signature.
        about: What the export says of itself.
        rows: Gives inputs by their names.
    """
    how = ("seed", "temperature", "top_p", "guidance")
    drawn = ask("generate", rows("class_id", *how))
    inputs = rows("image", "mask", "class_id", *how)
    completed = ask("complete", inputs)
    dark = np.where(inputs["mask"][..., None] == 1, inputs["image"], 0)
    encoded = ask("encode", {"image": dark.astype(about["dtype"])})
    given = ask("encode", rows("image"))
    ids = np.arange(-1, len(about["labels"]), dtype=np.int32)[: about["max_rows"]]
    names = [x.decode() for x in ask("class_names", {"class_id": ids})["name"]]
    said = ask("about", rows("row"))["about_json"]
    largest = np.iinfo(about["dtype"]).max
    little = np.dtype(about["dtype"]).newbyteorder("<")
    composites = _composites(drawn["image"] / largest, about)
    labels = rows("labels", *how)
    by_labels = ask("generate_multilabel", labels)
    raw = ask("generate_multilabel_raw", labels)["image_bytes"]
    png = pictures(ask("generate_png", rows("class_id", *how))["png_bytes"])
    agree = {
        "serving_default is not generate": _same(
            ask("serving_default", rows("class_id", *how)), drawn
        ),
        "generate_multilabel_raw is not generate_multilabel": (
            [x.tobytes() for x in by_labels["image"].astype(little)] == list(raw)
        ),
        "decode does not give generate's image": _same(
            ask("decode", {x: drawn[x] for x in ("top_codes", "bottom_codes")}),
            {"image": drawn["image"]},
        ),
        "reconstruct is not decode after encode": _same(
            ask("reconstruct", rows("image")), ask("decode", given)
        ),
        "generate_png does not show generate's image": (
            np.abs(png - composites).max() <= 1
        ),
        "complete does not keep codes": all(
            _kept_codes_equal(inputs["mask"], completed[x], encoded[x])
            for x in ("top_codes", "bottom_codes")
        ),
        "class_names are not the labels": names[1:] == about["labels"][: len(ids) - 1],
        "about is not assets/about.json": all(json.loads(x) == about for x in said),
        "score gives no bits": all(
            np.isfinite(x).all() and (x >= 0).all()
            for x in ask("score", rows("image", "labels")).values()
        ),
    }
    return [what for what, holds in agree.items() if not holds]


def _same(a, b):
    return a.keys() == b.keys() and differing_rows(a, b) == 0


def _composites(unit, about):
    shown = [about["display"][colour] for colour in ("red", "green", "blue")]
    planes = [
        np.zeros(unit.shape[:-1])
        if name is None
        else unit[..., about["channels"].index(name)]
        for name in shown
    ]
    return np.round(255 * np.stack(planes, axis=-1))


def _kept_codes_equal(mask, codes, given):
    height, width = codes.shape[1:]
    patches = mask.reshape(len(mask), height, mask.shape[1] // height, width, -1)
    kept = patches.min(axis=(2, 4)) == 1
    return kept.any() and np.array_equal(codes[kept], given[kept])
