"""JSON (RFC 8259) that is not trusted: what readers disagree on is refused."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, NoReturn

DEPTH = 32
_DIGITS = 20  # of a whole number; 64 bits need no more


def loads(data: bytes | str, depth: int = DEPTH) -> Any:
    """The value of a JSON text in UTF-8.

    Raises ValueError, in one line, for what is no JSON, and for a key that occurs twice, NaN, infinity, a
    number out of range, half of a surrogate pair, and nesting deeper than ``depth``.
    """
    text = data if isinstance(data, str) else data.decode("utf-8")
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_refuse, parse_float=_float, parse_int=_integer
        )
    except RecursionError:
        raise ValueError(f"it is nested deeper than {depth} levels") from None
    _check(value, depth)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise ValueError(f"the key {twice!r:.60} occurs twice")
    return result


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.20} is out of range")
    return value


def _integer(text: str) -> int:
    if len(text) > _DIGITS:  # and converting a long one takes time by the square of its length
        raise ValueError(f"a number of {len(text)} digits, at most {_DIGITS} are read")
    return int(text)


def _check(value: Any, depth: int) -> None:
    """Look at every value, without recursion."""
    level = [value]
    for _ in range(depth):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, str):
                item.encode("utf-8")  # UnicodeEncodeError is a ValueError
            elif isinstance(item, dict):
                inner += item
                inner += item.values()
            elif isinstance(item, list):
                inner += item
        if not inner:
            return
        level = inner
    raise ValueError(f"it is nested deeper than {depth} levels")
