"""The subset of JSON Schema (draft 2020-12) that the manifest uses, so that a board needs no library.

Keywords: type, enum, required, properties, additionalProperties, propertyNames, maxProperties, items,
minItems, maxItems, uniqueItems, minimum, maximum, exclusiveMinimum, pattern, minLength, maxLength, $ref into
$defs; and a format of our own, "printable". A pattern has to match the whole string. A test compares the
results with those of the jsonschema package.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from unicodedata import category

from edge.system.one_line import HIDDEN, JOINERS, one_line

_HIDDEN = (*HIDDEN, "Cs")
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
}


def problems(value: Any, schema: dict[str, Any], root: dict[str, Any], where: str = "") -> Iterator[str]:
    """Yield one line for each violation of ``schema`` in ``value``; nothing if it is valid."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    name = where or "the document"
    if "type" in schema and not _has_type(value, schema["type"]):
        yield f"{name} is {value!r:.60}, expected {schema['type']}"
        return
    # In Python True equals 1, in JSON it does not; no enum in the manifest contains a boolean.
    if "enum" in schema and (isinstance(value, bool) or value not in schema["enum"]):
        yield f"{name} is {value!r:.60}, expected one of {schema['enum']}"
    if isinstance(value, str):
        yield from _string(value, schema, name)
    if isinstance(value, (int, float)):
        yield from _bounds(value, schema, name)
    if isinstance(value, list):
        yield from _array(value, schema, root, where)
    if isinstance(value, dict):
        yield from _object(value, schema, root, where)


def _has_type(value: Any, name: str) -> bool:
    return isinstance(value, _TYPES[name]) and not isinstance(value, bool)


def is_printable(text: str) -> bool:
    """Whether ``text`` shows as it is: no control characters, line breaks, marks of direction, surrogates.

    Spaces of other scripts and joiners, which belong to words of Persian and to emoji, are no fault, nor are
    characters that are newer than this Python's tables: a bundle from a newer one has to load here.
    """
    return text.isprintable() or not any(category(sign) in _HIDDEN and sign not in JOINERS for sign in text)


def _string(value: str, schema: dict[str, Any], name: str) -> Iterator[str]:
    if len(value) < schema.get("minLength", 0):
        yield f"{name} is empty, expected a text"
    if len(value) > schema.get("maxLength", len(value)):
        yield f"{name} has {len(value)} characters, expected at most {schema['maxLength']}"
    # re.search with "$" would let a line break at the end through.
    if "pattern" in schema and not re.fullmatch(schema["pattern"].strip("^$"), value):
        yield f"{name} is {value!a:.60}, expected a match of {schema['pattern']}"
    if schema.get("format") == "printable" and not is_printable(value):
        yield f"{name} is {value!a:.60}, expected printable characters"


def _array(value: list[Any], schema: dict[str, Any], root: dict[str, Any], where: str) -> Iterator[str]:
    name = where or "the document"
    if len(value) < schema.get("minItems", 0):
        yield f"{name} has {len(value)} items, expected at least {schema['minItems']}"
    if len(value) > schema.get("maxItems", len(value)):
        yield f"{name} has {len(value)} items, expected at most {schema['maxItems']}"
        return  # the rest would be as long
    for index, item in enumerate(value):
        yield from problems(item, schema.get("items", {}), root, f"{where}[{index}]")
    if schema.get("uniqueItems") and (twice := [item for at, item in enumerate(value) if item in value[:at]]):
        yield f"{name} contains {twice[0]!r:.60} twice"


def _bounds(value: float, schema: dict[str, Any], name: str) -> Iterator[str]:
    # "not" makes NaN, for which every comparison is false, violate each bound.
    if "minimum" in schema and not value >= schema["minimum"]:
        yield f"{name} is {value}, expected at least {schema['minimum']}"
    if "maximum" in schema and not value <= schema["maximum"]:
        yield f"{name} is {value}, expected at most {schema['maximum']}"
    if "exclusiveMinimum" in schema and not value > schema["exclusiveMinimum"]:
        yield f"{name} is {value}, expected more than {schema['exclusiveMinimum']}"


def _object(value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any], where: str) -> Iterator[str]:
    dot = where + "." if where else ""
    if len(value) > schema.get("maxProperties", len(value)):
        name, most = where or "the document", schema["maxProperties"]
        yield f"{name} has {len(value)} entries, expected at most {most}"
        return
    for key in schema.get("required", ()):
        if key not in value:
            yield f"{dot}{key} is missing"
    for key, item in value.items():
        shown = one_line(key[:60])
        yield from problems(key, schema.get("propertyNames", {}), root, f"a key of {where or 'the document'}")
        inner = schema.get("properties", {}).get(key, schema.get("additionalProperties", {}))
        yield from problems(item, inner, root, f"{dot}{shown}")
