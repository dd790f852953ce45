"""What a configuration's keys are made of: meanings, limits, and how they are read.

A section is a frozen dataclass whose fields are made by :func:`key`.
"""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from tfvqgen.errors import UserError


def key(
    default: Any,
    text: str,
    *,
    low=None,
    high=None,
    below=None,
    choices=(),
    free=False,
    derived=False,
):
    """A configuration key with its meaning and limits.

    Args:
        default: The default value.
        text: What it means, for people.
        low: The smallest value allowed.
        high: The largest value allowed.
        below: What the value must stay below.
        choices: The values allowed, if they are few.
        free: Whether it may change once the stage has a checkpoint.
        derived: Whether it follows from another section or from the data, so that
            nobody sets it.
    """
    metadata = {
        "text": text,
        "low": low,
        "high": high,
        "below": below,
        "choices": choices,
        "free": free,
        "derived": derived,
    }
    return dataclasses.field(default=default, metadata=metadata)


def frozen_differences(old: Any, new: Any) -> list[str]:
    """Lists the keys that differ and may not change once a stage has a checkpoint.

    Returns:
        Lines such as ``hidden: 128 -> 64``.
    """
    return [
        f"{field.name}: {getattr(old, field.name)} -> {getattr(new, field.name)}"
        for field in fields(old)
        if not field.metadata["free"]
        and getattr(old, field.name) != getattr(new, field.name)
    ]


def describe(section: type) -> str:
    """Returns a line per key of a section: its name, default and meaning."""
    lines = []
    for field in fields(section):
        choices = field.metadata["choices"]
        text = field.metadata["text"]
        if field.metadata["derived"]:
            continue
        if choices:
            text += f" ({', '.join(map(str, choices))})"
        lines.append(f"  {field.name}={field.default}: {text}")
    return "\n".join(lines)


def find_field(section: Any, section_name: str, name: str) -> dataclasses.Field:
    """Returns a section's field; a UserError names the nearest one if it has none."""
    known = {f.name: f for f in fields(section) if not f.metadata["derived"]}
    if name not in known:
        raise UserError(
            f"unknown key: expected one of {section_name}'s {', '.join(known)}. "
            f"Received: {section_name}.{name}{did_you_mean(name, known)}"
        )
    return known[name]


def parse(field: dataclasses.Field, text: str) -> Any:
    """Reads a value as the user types it."""
    try:
        if field.type is bool:
            return {"true": True, "false": False}[text.lower()]
        if field.type is str:
            return text
        if typing.get_origin(field.type) is tuple:
            return tuple(int(part) for part in text.strip("()[]").split(","))
        return field.type(text)
    except (KeyError, ValueError):
        raise UserError(
            f"{field.name}: expected {_type_name(field)}. Received: {text!r}"
        ) from None


def from_plain(field: dataclasses.Field, value: Any) -> Any:
    """Reads a value as JSON holds it."""
    if isinstance(value, list):
        return tuple(value)
    if field.type is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def check(field: dataclasses.Field, value: Any) -> None:
    """Raises a UserError if a value is not of its key's type or limits."""
    limits = field.metadata
    is_tuple = typing.get_origin(field.type) is tuple
    parts = value if is_tuple and isinstance(value, tuple) else (value,)
    part_type = int if is_tuple else field.type
    well_typed = all(
        isinstance(part, part_type)
        and not (isinstance(part, bool) and part_type is not bool)
        for part in parts
    ) and (not is_tuple or len(parts) == len(typing.get_args(field.type)))
    if part_type is float and isinstance(value, float) and not math.isfinite(value):
        well_typed = False
    if not well_typed:
        raise UserError(
            f"{field.name}: expected {_type_name(field)}. Received: {value!r}"
        )
    if limits["choices"] and value not in limits["choices"]:
        choices = ", ".join(map(str, limits["choices"]))
        raise UserError(f"{field.name}: expected one of {choices}. Received: {value!r}")
    low, high = limits["low"], limits["high"]
    if low is not None and min(parts) < low:
        raise UserError(f"{field.name}: expected at least {low}. Received: {value!r}")
    if high is not None and max(parts) > high:
        raise UserError(f"{field.name}: expected at most {high}. Received: {value!r}")
    below = limits["below"]
    if below is not None and max(parts) >= below:
        raise UserError(
            f"{field.name}: expected less than {below}. Received: {value!r}"
        )


def _type_name(field: dataclasses.Field) -> str:
    if isinstance(field.type, types.GenericAlias):
        return f"{len(typing.get_args(field.type))} integers separated by commas"
    return {
        int: "an integer",
        float: "a finite number",
        bool: "true or false",
        str: "a word",
    }[field.type]


def expect_keys(
    name: str, values: Any, needed: Iterable[str], known: Iterable[str]
) -> None:
    """Raises a UserError if needed keys are missing or unknown ones are there."""
    if not isinstance(values, Mapping):
        raise UserError(f"{name}: expected an object. Received: {values!r}")
    missing = sorted(set(needed) - set(values))
    unknown = sorted(set(values) - set(known))
    if missing or unknown:
        raise UserError(
            f"{name}: expected the known keys. Received: missing={missing}, "
            f"unknown={unknown}"
        )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns a hint at the nearest known name; empty if none is near."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
