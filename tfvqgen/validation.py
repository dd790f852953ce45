"""Checks the values of configurations and of JSON files.

A record is a frozen dataclass: the annotation of a field is its type, :func:`key` adds
its meaning and limits, and relations between fields are checked in ``__post_init__``.
:func:`read` makes a record of JSON values, :func:`check` checks one made in Python.
Types are ``bool``, ``int``, ``float``, ``str``, other records, ``Any``, and
``X | None``, ``tuple[X, ...]``, ``tuple[int, int]`` and ``Mapping[str, X]`` of these.
"""

import dataclasses
import difflib
import functools
import math
import operator
import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from tfvqgen.errors import DataError, UserError

_TYPE_NAMES = {bool: "true or false", int: "an integer", str: "text"}
_TYPE_NAMES[float] = "a finite number"
_BOUNDS = {
    "low": ("at least", operator.ge),
    "above": ("above", operator.gt),
    "high": ("at most", operator.le),
    "below": ("below", operator.lt),
}


def key(
    default: Any = MISSING,
    text: str = "",
    *,
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    below: float | None = None,
    choices: tuple = (),
    pattern: str = "",
    max_items: int | None = None,
    unique: bool = False,
    free: bool = False,
    derived: bool = False,
):
    """Declares a field of a record. Limits of a list hold for each of its items.

    Args:
        default: The default value; without one the field is required.
        text: The meaning, which the help of ``train.py`` prints.
        low: The smallest valid number.
        above: A number below every valid number.
        high: The largest valid number.
        below: A number above every valid number.
        choices: The valid values, if they are few.
        pattern: The regular expression that a text matches completely.
        max_items: The largest length of a list; the smallest is then 1.
        unique: Whether the items of a list have to differ.
        free: Whether the value may change once the stage has a checkpoint.
        derived: Whether the value follows from another section or from the data, so
            that no user sets it.
    """
    metadata = dict(locals())
    return dataclasses.field(default=metadata.pop("default"), metadata=metadata)


def read(kind: type, value: Any, where: object = "", *, strict: bool = False) -> Any:
    """Makes a record of JSON values.

    Args:
        kind: The dataclass.
        value: The values, as ``json.loads`` returns them.
        where: The file, for messages.
        strict: Whether unknown keys are refused instead of ignored.

    Raises:
        DataError: A key is missing or unknown, or its value is wrong; the message names
            the file and the key.
        UserError: Likewise, if `where` is empty.
    """
    try:
        return _record(kind, value, "", strict)
    except UserError as error:
        if not where:
            raise
        raise DataError(f"wrong value in {where}: {error}") from None


def check(record: Any) -> None:
    """Raises a UserError if a value of a record has a wrong type or limit."""
    for name, (hint, limits) in _fields(type(record)).items():
        _convert(hint, limits, getattr(record, name), name)


def require(holds: bool, name: str, expected: str, received: Any) -> None:
    """Raises a UserError about a value if a condition does not hold."""
    if not holds:
        received = repr(received)[:200]
        raise UserError(f"{name}: expected {expected}. Received: {received}")


def parse_override(section: Any, name: str, text: str, prefix: str = "") -> Any:
    """Reads the value `text` that a user types for the key `name` of a record.

    `prefix` is the name of the section with a dot, for messages.

    Raises:
        UserError: The section has no such key, or the value has another type.
    """
    known = {k: v for k, v in _fields(type(section)).items() if not v[1]["derived"]}
    if name not in known:
        raise UserError(
            f"unknown key: expected one of {', '.join(known)}. "
            f"Received: {prefix}{name}{did_you_mean(name, known)}"
        )
    hint, limits = known[name]
    parts = typing.get_args(hint)
    try:
        if hint is bool:
            return {"true": True, "false": False}[text.lower()]
        if parts:
            return tuple(int(part) for part in text.strip("()[]").split(","))
        return hint(text)
    except (KeyError, ValueError):
        expected = f"{len(parts)} integers" if parts else _expected(hint, limits)
        require(False, prefix + name, expected, text)


def frozen_differences(old: Any, new: Any) -> list[str]:
    """Lists changes that a stage with a checkpoint refuses, as ``hidden: 1 -> 2``."""
    return [
        f"{field.name}: {getattr(old, field.name)} -> {getattr(new, field.name)}"
        for field in fields(old)
        if not field.metadata["free"]
        and getattr(old, field.name) != getattr(new, field.name)
    ]


def describe(section: type) -> str:
    """Returns a line for each key of a section: its name, default and meaning."""
    lines = []
    for field in fields(section):
        choices, text = field.metadata["choices"], field.metadata["text"]
        if choices:
            text += f" ({', '.join(map(str, choices))})"
        if not field.metadata["derived"]:
            lines.append(f"  {field.name}={field.default}: {text}")
    return "\n".join(lines)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Returns a hint at the most similar known name; empty if none is similar."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


@functools.cache
def _fields(kind: type) -> dict[str, tuple[Any, Mapping]]:
    """Returns the types and the limits of a record's fields by name."""
    hints = typing.get_type_hints(kind)
    return {
        field.name: (hints[field.name], {**key().metadata, **field.metadata})
        for field in fields(kind)
    }


def _record(kind: type, value: Any, path: str, strict: bool) -> Any:
    if isinstance(value, kind):
        return value
    require(isinstance(value, Mapping), path or "all", "an object", value)
    known = _fields(kind)
    if unknown := [name for name in value if strict and name not in known]:
        require(False, path or "keys", f"keys among {', '.join(known)}", unknown)
    found = {}
    for field in fields(kind):
        hint, limits = known[field.name]
        name = f"{path}.{field.name}" if path else field.name
        if field.name in value:
            found[field.name] = _convert(hint, limits, value[field.name], name, strict)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise UserError(f"{name} is missing: expected it among the keys")
    return kind(**found)


def _convert(
    hint: Any, limits: Mapping, value: Any, name: str, strict: bool = False
) -> Any:
    """Returns a value as its type, or raises a UserError that names it."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any or (value is None and types.NoneType in parts):
        return value
    if origin is types.UnionType:
        return _convert(parts[0], limits, value, name, strict)
    if dataclasses.is_dataclass(hint):
        return _record(hint, value, name, strict)
    if origin is Mapping:
        require(isinstance(value, Mapping), name, "an object", value)
        return {
            str(k): _convert(parts[1], limits, item, f"{name}.{k}", strict)
            for k, item in value.items()
        }
    if origin is tuple:
        return _convert_list(parts, limits, value, name, strict)
    valid = isinstance(value, (int, float) if hint is float else hint)
    valid = valid and isinstance(value, bool) == (hint is bool)
    require(valid and _within(value, limits), name, _expected(hint, limits), value)
    return hint(value)


def _convert_list(
    parts: tuple, limits: Mapping, value: Any, name: str, strict: bool
) -> tuple:
    length, most = len(parts), limits["max_items"]
    lengths, expected = None, "a list"
    if parts[-1] is not Ellipsis:
        lengths, expected = range(length, length + 1), f"{length} integers"
    elif most:
        lengths, expected = range(1, most + 1), f"a list of 1 to {most} values"
    valid = isinstance(value, list | tuple)
    valid = valid and (lengths is None or len(value) in lengths)
    require(valid, name, expected, value)
    items = tuple(
        _convert(parts[0], limits, item, f"{name}[{index}]", strict)
        for index, item in enumerate(value)
    )
    different = not limits["unique"] or len(set(items)) == len(items)
    require(different, name, "different values", value)
    return items


def _within(value: Any, limits: Mapping) -> bool:
    """Returns whether a value of the right type keeps the limits."""
    if isinstance(value, str):
        if limits["pattern"] and not re.fullmatch(limits["pattern"], value, re.DOTALL):
            return False
    elif isinstance(value, float) and not math.isfinite(value):
        return False
    else:
        for bound, (_, holds) in _BOUNDS.items():
            if limits[bound] is not None and not holds(value, limits[bound]):
                return False
    return not limits["choices"] or value in limits["choices"]


def _expected(hint: type, limits: Mapping) -> str:
    """Returns the valid values in words."""
    if limits["choices"]:
        return f"one of {', '.join(map(str, limits['choices']))}"
    if limits["pattern"]:
        return f"text that matches {limits['pattern']}"
    bounds = [
        f"{words} {limits[bound]}"
        for bound, (words, _) in _BOUNDS.items()
        if limits[bound] is not None
    ]
    return _TYPE_NAMES[hint] + (f", {' and '.join(bounds)}" if bounds else "")
