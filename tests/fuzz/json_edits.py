"""JSON texts with one thing wrong: what a grammar knows and bytes alone seldom hit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

NUMBERS = (
    "0", "-1", "1", "2", "8", "48", "65", "257", "1025", "3000", "1e999", "-1e999", "NaN", "Infinity",
    "-Infinity",
    "1e308", "-0.0", "1e-320", "0.5", "1.5", "4194304", "99999999999999999999", "1" + "0" * 400,
    "9223372036854775808", "true", "null", '"7"', "[]", "{}",
)  # fmt: skip
TEXTS = (
    "", " ", "a\n", "\n", "\u001b[31m", "\ud800", "\udc00x", "\u202eabc", "\u2028", "\x00", "x" * 65,
    "y" * 4096,
    "../secret", "/etc/passwd", "model.fp32.onnx", "golden.npz", "face", "logits", "fp32", "fp16", "ä",
    "a" * 64,
    "uncertain", "é\u0301", "%s", "{0}", "NaN",
)  # fmt: skip


class Pairs(list[tuple[str, Any]]):
    """An object whose keys may occur twice."""


class Raw(str):
    """Text that stands in the JSON as it is."""


EDGES = (
    Raw("3000"),
    Raw("-1"),
    Raw("NaN"),
    Raw("1e308"),
    Raw("1.5"),
    Raw("null"),
    "",
    "a\n",
    "\u202e",
    "x" * 300,
)


def parse(text: str) -> Any:
    """The value of a JSON text; objects are ``Pairs``. ValueError if it is none."""
    return json.loads(text, object_pairs_hook=Pairs, parse_float=Raw, parse_int=Raw, parse_constant=Raw)


def write(value: Any) -> str:
    """The text of a value; half of a surrogate pair is escaped."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, Pairs):
        return "{" + ", ".join(f"{json.dumps(key)}: {write(item)}" for key, item in value) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(write, value)) + "]"
    return json.dumps(value)


def edit(value: Any, rng: Random, times: int = 1, words: tuple[str, ...] = ()) -> Any:
    """``value`` with ``times`` random changes, in place where it can; ``words``: texts to put in."""
    for _ in range(times):
        places = _places(value)
        if not places:
            return _nasty(rng, words)
        _edit_one(*rng.choice(places), rng, words)
    return value


def _edit_one(holder: list[Any], at: int, rng: Random, words: tuple[str, ...]) -> None:
    entry, is_object = holder[at], isinstance(holder, Pairs)
    value = entry[1] if is_object else entry

    def put(item: Any, key: str | None = None) -> Any:
        return (entry[0] if key is None else key, item) if is_object else item

    what = rng.randrange(9)
    if what == 0:
        del holder[at]
    elif what == 1:
        holder.insert(rng.randrange(len(holder) + 1), entry)  # a key, a label or a state twice
    elif what == 2:
        other = rng.choice(holder)
        holder[at] = put(other[1] if is_object else other)
    elif what == 3 and is_object:
        holder.insert(at, (rng.choice(TEXTS + words), _nasty(rng, words)))
    elif what == 4:
        holder[at] = put(_deep(value, rng))
    elif what == 5:
        holder[at] = put(_nasty(rng, words))
    elif isinstance(value, Raw):
        holder[at] = put(Raw(rng.choice(NUMBERS)))
    elif isinstance(value, str):
        holder[at] = put(_text(value, rng))
    elif what == 6 and is_object:
        holder[at] = put(value, rng.choice(TEXTS + words))


def _text(value: str, rng: Random) -> str:
    if rng.random() < 0.5:
        return value + rng.choice(("\n", " ", "\x00", "\u2028", "\ud800", value, "a" * (65 - len(value))))
    cut = rng.randrange(len(value) + 1)
    return value[:cut] + rng.choice(TEXTS) + value[cut:]


def _nasty(rng: Random, words: tuple[str, ...]) -> Any:
    return Raw(rng.choice(NUMBERS)) if rng.random() < 0.5 else rng.choice(TEXTS + words)


def _deep(value: Any, rng: Random) -> Any:
    for _ in range(rng.choice((1, 2, 31, 32, 33, 200))):
        value = [value] if rng.random() < 0.7 else Pairs([("a", value)])
    return value


def _holders(value: Any) -> list[list[Any]]:
    """Every list and object in it, itself first."""
    found: list[list[Any]] = []
    ahead = [value]
    while ahead:
        item = ahead.pop()
        if isinstance(item, list):
            found.append(item)
            ahead += [entry[1] for entry in item] if isinstance(item, Pairs) else item
    return found


def each(text: str) -> Iterator[bytes]:
    """The JSON text with one change: for each place without it, with it twice, and with odd values."""
    count = len(_places(parse(text)))
    for number in range(count):
        for change in (*EDGES, "delete", "double"):
            value = parse(text)
            holder, at = _places(value)[number]
            entry = holder[at]
            if change == "delete":
                del holder[at]
            elif change == "double":
                holder.insert(at, entry)
            else:
                holder[at] = (entry[0], change) if isinstance(holder, Pairs) else change
            yield write(value).encode("utf-8", "surrogatepass")


def _places(value: Any) -> list[tuple[list[Any], int]]:
    return [(holder, at) for holder in _holders(value) for at in range(len(holder))]


def mutate(data: bytes, rng: Random, words: tuple[str, ...] = ()) -> bytes:
    """A JSON text with one to three changes; ValueError if ``data`` is none."""
    try:
        value = parse(data.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    changed = edit(value, rng, rng.choice((1, 1, 1, 2, 3)), words)
    try:
        return write(changed).encode("utf-8", "surrogatepass")
    except RecursionError as error:
        raise ValueError("nested too deep") from error
