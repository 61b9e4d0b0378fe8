"""The subset of JSON Schema (draft 2020-12) that the manifest uses, so that a board needs no library.

Keywords: type, enum, required, properties, additionalProperties, items, minItems, minimum, maximum,
exclusiveMinimum, pattern, $ref into $defs. A test compares the results with those of the jsonschema package.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

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
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{name} is {value!r:.60}, expected a match of {schema['pattern']}"
    if isinstance(value, (int, float)):
        yield from _bounds(value, schema, name)
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"{name} has {len(value)} items, expected at least {schema['minItems']}"
        for index, item in enumerate(value):
            yield from problems(item, schema.get("items", {}), root, f"{where}[{index}]")
    if isinstance(value, dict):
        yield from _object(value, schema, root, where)


def _has_type(value: Any, name: str) -> bool:
    return isinstance(value, _TYPES[name]) and not isinstance(value, bool)


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
    for key in schema.get("required", ()):
        if key not in value:
            yield f"{dot}{key} is missing"
    for key, item in value.items():
        inner = schema.get("properties", {}).get(key, schema.get("additionalProperties", {}))
        yield from problems(item, inner, root, f"{dot}{key}")
