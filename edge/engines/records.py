"""What was measured on this machine, as JSON that is not trusted: every field has a type and bounds."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from edge.engines.golden import Verdict
from edge.engines.measure import Choice
from edge.system import strict_json
from edge.system.json_schema import is_printable, problems

_WHY_CHARACTERS = 2000
_NAME = {"type": "string", "minLength": 1, "maxLength": 64, "format": "printable"}
_CHOICE = {
    "engine": _NAME,
    "precision": _NAME,
    "threads": {"type": "integer", "minimum": 0, "maximum": 256},
    "why": {"type": "string", "maxLength": _WHY_CHARACTERS, "format": "printable"},
}
_VERDICT = {
    "min_cosine": {"type": "number", "minimum": -1, "maximum": 1},
    "label_changes": {"type": "number", "minimum": 0, "maximum": 1},
}


def choice_fields(choice: Choice) -> dict[str, Any]:
    """A choice as it is stored; its reason, which quotes errors, is cut and made printable."""
    why = choice.why if is_printable(choice.why) else ascii(choice.why)[1:-1]
    return {**asdict(choice), "why": why[:_WHY_CHARACTERS]}


def verdict_fields(verdict: Verdict) -> dict[str, float]:
    """A verdict as it is stored; in float32 the cosine of a row with itself may be a little more than 1."""
    return {**asdict(verdict), "min_cosine": min(max(verdict.min_cosine, -1.0), 1.0)}


def choice_from(text: bytes | str, key: str = "") -> Choice:
    """The stored choice with this ``key`` (default: none); ValueError in one line if it is not one."""
    return Choice(**_fields(text, _CHOICE, key))


def verdict_from(text: bytes | str, key: str = "") -> Verdict:
    """The stored verdict with this ``key`` (default: none); ValueError in one line if it is not one."""
    return Verdict(**_fields(text, _VERDICT, key))


def stored(fields: dict[str, Any], key: str) -> bytes:
    """A record that is believed only for ``key``, whatever its file is called."""
    return json.dumps({**fields, "key": key}).encode()


def _fields(text: bytes | str, properties: dict[str, Any], key: str) -> dict[str, Any]:
    """Exactly the fields of ``properties``; ValueError if one is missing, unknown or out of bounds."""
    known = {**properties, "key": {"enum": [key]}} if key else properties
    schema = {"type": "object", "properties": known, "required": list(known), "maxProperties": len(known)}
    record = strict_json.loads(text)
    for problem in problems(record, schema, schema):
        raise ValueError(problem)
    return {name: record[name] for name in properties}
