"""Options of ``emotion-export bundle``: export.toml first, then the command line."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from edge.config import read_toml
from edge.errors import ConfigError
from export.commands.bundle import Options
from export.commands.bundle_options import NORMALISE

_KEYS = {
    "labels": list, "normalise": str, "step_hz": float, "name": str, "license": str, "window": int,
    "reset": str, "time_first": bool, "data": str, "align": str, "crop_scale": float, "size": int,
    "channels": int, "parts": dict,
}  # fmt: skip
_NEEDED = {
    "labels": "the names of the outputs in their order",
    "normalise": "what was done to the pixels in training",
    "step_hz": "frames per second of the training windows",
}


def read(args: argparse.Namespace) -> tuple[Options, dict[str, str] | None]:
    """Options and [parts] (None where there are none); ConfigError names the key and the fix."""
    given: dict[str, Any] = _toml(args.config) if args.config else {}
    for key in _KEYS:
        value = getattr(args, key, None)
        if value is not None:
            given[key] = value
    for key, meaning in _NEEDED.items():
        if key not in given:
            option = "--" + key.replace("_", "-")
            raise ConfigError(f"{key} is missing: nothing in a network tells {meaning}; pass {option}")
    if given["normalise"] not in NORMALISE:
        raise ConfigError(f"normalise is {given['normalise']!r}, expected one of {', '.join(NORMALISE)}")
    if not given["step_hz"] > 0:
        raise ConfigError(f"step_hz is {given['step_hz']}, expected more than 0")
    if "name" not in given:
        given["name"] = (
            re.sub(r"[^a-z0-9._-]+", "-", args.out.resolve().name.lower()).strip("._-") or "custom"
        )
    parts = given.pop("parts", None)
    return Options(**given), parts


def _toml(path: Path) -> dict[str, Any]:
    found = read_toml(path)
    for key, value in found.items():
        if key not in _KEYS:
            raise ConfigError(f"{path}: unknown key {key!r}; there are {', '.join(_KEYS)}")
        kind = _KEYS[key]
        if kind is float and type(value) is int:
            found[key] = float(value)
        elif type(value) is not kind:
            raise ConfigError(f"{path}: {key} is {value!r}, expected {kind.__name__}")
    return found
