"""Changes to bytes, texts, JSON and tables, as accidents and enemies make them."""

import csv
import io
import json
import random
from collections.abc import Callable
from typing import Any

Mutation = Callable[[bytes, random.Random], bytes]

# What programs stumble over where a name, a number or a path is expected.
WORDS = (
    "",
    " ",
    "0",
    "-1",
    "1.5",
    "1e999",
    "-0",
    "nan",
    "Infinity",
    "0x10",
    "1_000",
    "٣",
    "²",
    "9" * 400,
    "9" * 5000,
    "18446744073709551616",
    "true",
    "null",
    "None",
    "..",
    "../x.png",
    "a/../../x.png",
    "/etc/passwd",
    "~/x",
    "C:\\x.png",
    "\\\\host\\x",
    "file:///etc/passwd",
    "con.png",
    ".hidden",
    "x" * 300,
    "x" * 5000,
    "a/" * 50 + "x.png",
    "{channel}",
    "{}",
    "{0.__class__}",
    "%s%n",
    "$(true)",
    "`true`",
    "<b>&",
    "=1+1",
    "é",
    "e\u0301",
    "\u202etxt",
    "🧬",
    "\ud800",
    "\0",
    "\r",
    "\n",
    "\t",
    "\x1b[2J",
    "\ufeff",
    '"',
    "'",
    ",",
    ";",
    "|",
    "#1",
    "x#7",
    "x#99",
    "red",
    "Nucleoli",
    "any",
)
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
_BYTE_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1)
_DEEP = 3000


def mutated_bytes(data: bytes, rng: random.Random) -> bytes:
    """Changes a few places of some bytes, or their length."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        rng.choice(_BYTE_MUTATIONS)(changed, rng)
    return bytes(changed)


def mutated_text(data: bytes, rng: random.Random) -> bytes:
    """Changes a text in UTF-8 by words, lines, its encoding or its bytes."""
    text = data.decode("utf-8", "surrogatepass")
    for _ in range(rng.choice((1, 1, 2, 4))):
        text = rng.choice(_TEXT_MUTATIONS)(text, rng)
    return _encoded(text, rng)


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
    return _encoded(file.getvalue(), rng)


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


def odd_word(rng: random.Random, usual: tuple[str, ...] = ()) -> str:
    """Returns a word that stands where another one should, or a usual one."""
    word = rng.choice(WORDS + usual * 4)
    if rng.random() < 0.2:
        word += rng.choice(WORDS)
    return word


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


def _place(changed: bytearray, rng: random.Random) -> int:
    return rng.randrange(len(changed) + 1)


def _flip(changed: bytearray, rng: random.Random) -> None:
    if changed:
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)


def _overwrite(changed: bytearray, rng: random.Random) -> None:
    size = rng.choice((1, 2, 4, 8))
    number = rng.choice(_BYTE_NUMBERS) % 2 ** (8 * size)
    place = _place(changed, rng)
    changed[place : place + size] = number.to_bytes(size, rng.choice(("little", "big")))


def _cut(changed: bytearray, rng: random.Random) -> None:
    del changed[_place(changed, rng) :]


def _remove(changed: bytearray, rng: random.Random) -> None:
    place = _place(changed, rng)
    del changed[place : place + rng.choice((1, 4, 64))]


def _insert(changed: bytearray, rng: random.Random) -> None:
    place = _place(changed, rng)
    changed[place:place] = rng.randbytes(rng.choice((1, 4, 64)))


def _repeat(changed: bytearray, rng: random.Random) -> None:
    place = _place(changed, rng)
    part = changed[place : place + rng.choice((1, 16, 256))]
    changed[place:place] = part * rng.choice((1, 2, 16))


def _add(changed: bytearray, rng: random.Random) -> None:
    changed += rng.randbytes(rng.choice((1, 16, 1024)))


_BYTE_MUTATIONS = (_flip,) * 4 + (_overwrite,) * 4 + (_cut,)
_BYTE_MUTATIONS += (_remove, _insert, _repeat, _add)


def _put_word(text: str, rng: random.Random) -> str:
    place = rng.randrange(len(text) + 1)
    return text[:place] + rng.choice(WORDS) + text[place + rng.choice((0, 1, 5)) :]


def _swap_lines(text: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    one, two = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[two] = lines[two], lines[one]
    return "".join(lines)


def _lose_line(text: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    del lines[rng.randrange(len(lines))]
    return "".join(lines)


def _nest(text: str, rng: random.Random) -> str:
    opening = rng.choice(("[", '{"a":', '"'))
    return opening * rng.choice((1, _DEEP, 100 * _DEEP)) + text


def _cut_text(text: str, rng: random.Random) -> str:
    return text[: rng.randrange(len(text) + 1)]


_TEXT_MUTATIONS = (_put_word,) * 4 + (_swap_lines, _lose_line, _nest, _cut_text)


def _encoded(text: str, rng: random.Random) -> bytes:
    choice = rng.randrange(20)
    if choice == 0:
        return text.encode("utf-16", "surrogatepass")
    if choice == 1:
        return text.encode("latin-1", "replace")
    data = text.encode("utf-8", "surrogatepass")
    if choice == 2:
        return b"\xef\xbb\xbf" + data
    return mutated_bytes(data, rng) if choice < 6 else data


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
