"""Changes to bytes and texts, as accidents and enemies make them."""

import random
from collections.abc import Callable

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
    return encoded(text, rng)


def odd_word(rng: random.Random, usual: tuple[str, ...] = ()) -> str:
    """Returns a word that stands where another one should, or a usual one."""
    word = rng.choice(WORDS + usual * 4)
    if rng.random() < 0.2:
        word += rng.choice(WORDS)
    return word


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


def encoded(text: str, rng: random.Random) -> bytes:
    """Returns a text in UTF-8, now and then in another encoding or with damage."""
    choice = rng.randrange(20)
    if choice == 0:
        return text.encode("utf-16", "surrogatepass")
    if choice == 1:
        return text.encode("latin-1", "replace")
    data = text.encode("utf-8", "surrogatepass")
    if choice == 2:
        return b"\xef\xbb\xbf" + data
    return mutated_bytes(data, rng) if choice < 6 else data
