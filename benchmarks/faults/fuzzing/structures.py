"""Changes to JSON and tables that leave them JSON and tables."""

import csv
import io
import json
import random
from typing import Any

from benchmarks.faults.fuzzing.mutation import WORDS, encoded, mutated_text

_NUMBERS = (
    0,
    1,
    -1,
    2,
    255,
    65536,
    2**31,
    -(2**31) - 1,
    2**53 + 1,
    2**63,
    2**64,
    10**400,
    0.5,
    1e308,
    float("nan"),
    float("inf"),
    -float("inf"),
)


def mutated_json(data: bytes, rng: random.Random) -> bytes:
    """Changes values, keys and types somewhere in a JSON value, or its bytes."""
    if rng.random() < 0.2:
        return mutated_text(data, rng)
    changed = mutated_value(json.loads(data), rng)
    text = json.dumps(changed, ensure_ascii=rng.random() < 0.5)
    return text.encode("utf-8", "surrogatepass")


def mutated_json_lines(data: bytes, rng: random.Random) -> bytes:
    """Changes some lines of JSON, or their order and ends."""
    if rng.random() < 0.3:
        return mutated_text(data, rng)
    lines = data.splitlines()
    place = rng.randrange(len(lines))
    lines[place] = mutated_json(lines[place], rng)
    return b"\n".join(lines) + rng.choice((b"\n", b"", b"\r\n"))


def mutated_table(data: bytes, rng: random.Random, delimiter: str = ",") -> bytes:
    """Changes cells, rows and columns of a table, or its bytes."""
    if rng.random() < 0.2:
        return mutated_text(data, rng)
    text = data.decode("utf-8", "surrogatepass")
    rows = list(csv.reader(io.StringIO(text), delimiter=delimiter)) or [[""]]
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        rng.choice(_TABLE_MUTATIONS)(rows, rng)
    file = io.StringIO()
    ends, quoting = rng.choice(("\n", "\n", "\r\n", "\r")), csv.QUOTE_MINIMAL
    if rng.random() < 0.1:
        quoting, delimiter = csv.QUOTE_ALL, rng.choice((delimiter, ";", "\t"))
    writer = csv.writer(file, lineterminator=ends, quoting=quoting, delimiter=delimiter)
    writer.writerows(rows)
    return encoded(file.getvalue(), rng)


def mutated_value(value: Any, rng: random.Random) -> Any:
    """Changes one to three places of a value that JSON can hold."""
    changed = json.loads(json.dumps(value))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        changed = _change_somewhere(changed, rng)
    return changed


def odd_value(rng: random.Random) -> Any:
    """Returns a value that stands where another one should."""
    kind = rng.randrange(9)
    if kind < 3:
        return rng.choice(_NUMBERS)
    if kind < 6:
        return rng.choice(WORDS)
    if kind == 6:
        return rng.choice((None, True, False, [], {}, [[]], {"": None}, [None]))
    if kind == 7:
        return [rng.choice(_NUMBERS) for _ in range(rng.choice((1, 2, 3, 9)))]
    # Deeper is refused by the writer itself.
    deep: Any = 0
    for _ in range(rng.choice((3, 200))):
        deep = [deep] if rng.random() < 0.5 else {"a": deep}
    return deep


def _change_somewhere(value: Any, rng: random.Random) -> Any:
    """Goes down at random and changes what it comes to."""
    inside = isinstance(value, dict | list) and value
    if not inside or rng.random() < 0.1:
        return _changed_leaf(value, rng)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = rng.choice(keys)
    match rng.randrange(8):
        case 0:
            del value[key]
        case 1 if isinstance(value, dict):
            value[rng.choice(WORDS)] = value.pop(key)
        case 1 | 2 if isinstance(value, list):
            value.insert(key, value[key])
        case 2:
            value[rng.choice(WORDS)] = odd_value(rng)
        case 3:
            value[key] = odd_value(rng)
        case _:
            value[key] = _change_somewhere(value[key], rng)
    return value


def _changed_leaf(value: Any, rng: random.Random) -> Any:
    match rng.randrange(5):
        case 0:
            return [value]
        case 1 if isinstance(value, int | float):
            return rng.choice((-value, value + 1, value * 2**20, str(value)))
        case 1 if isinstance(value, str):
            return value[: rng.randrange(len(value) + 1)] + rng.choice(WORDS)
        case 2:
            return {"value": value}
    return odd_value(rng)


def _change_cell(rows: list[list[str]], rng: random.Random) -> None:
    row = rng.choice(rows)
    if row:
        place = rng.randrange(len(row))
        cell = row[place]
        row[place] = rng.choice(
            (
                rng.choice(WORDS),
                cell + rng.choice(WORDS),
                rng.choice(rng.choice(rows) or [""]),
            )
        )


def _lose_row(rows: list[list[str]], rng: random.Random) -> None:
    if len(rows) > 1:
        del rows[rng.randrange(len(rows))]


def _repeat_row(rows: list[list[str]], rng: random.Random) -> None:
    rows.insert(rng.randrange(len(rows) + 1), list(rng.choice(rows)))


def _lose_column(rows: list[list[str]], rng: random.Random) -> None:
    place = rng.randrange(max(map(len, rows)) or 1)
    for row in rows if rng.random() < 0.7 else [rng.choice(rows)]:
        del row[place : place + 1]


def _add_column(rows: list[list[str]], rng: random.Random) -> None:
    name = rng.choice((rng.choice(WORDS), *(rows[0] or [""])))
    for index, row in enumerate(rows):
        row.append(rng.choice(WORDS) if index else name)


def _swap_columns(rows: list[list[str]], rng: random.Random) -> None:
    width = min(map(len, rows))
    if width > 1:
        one, two = rng.randrange(width), rng.randrange(width)
        for row in rows:
            row[one], row[two] = row[two], row[one]


_TABLE_MUTATIONS = (_change_cell,) * 8
_TABLE_MUTATIONS += (_lose_row, _repeat_row, _lose_column, _add_column, _swap_columns)
