"""Effective configuration: defaults, then a TOML file, then ``table.key=value``, then named options."""

from __future__ import annotations

import codecs
import logging
import sys
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from math import inf
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_type_hints

from edge.config import NOT_SET, Config, bounds
from edge.errors import ConfigError
from edge.system import bounded_toml
from edge.system.checked_file import FileRefused
from edge.system.waited_read import read_waited

MOST_BYTES = 1_000_000
PATIENCE_S = 10.0  # for the writer of a pipe
MOST_OUTPUTS = 100

log = logging.getLogger("edge")
Settings = TypeVar("Settings")
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", list: "a list"}
# Deprecated name -> new name: both work until version 0.3.
RENAMED = {"source.colour": "source.color"}


class Reader:
    """Builds a Config key by key and records where each value that is not a default came from."""

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self.origins: dict[str, str] = {}  # "detector.every" -> "kiosk.toml"

    def file(self, path: Path) -> None:
        """Set every key of a TOML file; ConfigError names the key and the fault."""
        files = (*self.config.output.settings_files, path)
        self.config = replace(self.config, output=replace(self.config.output, settings_files=files))
        for table, entries in read_toml(path).items():
            if not isinstance(entries, dict):
                raise ConfigError(f"{path}: {table:.60} is outside a table; move it under a [table] heading")
            for key, value in entries.items():
                self.set(f"{table}.{key}", value, str(path))

    def override(self, text: str) -> None:
        """Set one ``table.key=value``; the value is TOML, or else a plain string."""
        name, equals, value = text.partition("=")
        if not (equals and "." in name):
            raise ConfigError(f"--set {text!r:.80} has the wrong form; write table.key=value")
        self.set(name.strip(), _parse(value), "--set")

    def set(self, name: str, value: Any, origin: str) -> None:
        """Set one key and check its type and bounds; ConfigError names it."""
        if name in RENAMED:
            log.warning("%s is now called %s; the old name works until version 0.3", name, RENAMED[name])
            name = RENAMED[name]
        table, _, key = name.partition(".")
        tables = [entry.name for entry in fields(Config)]
        if table not in tables:
            raise ConfigError(f"unknown table {table!r:.60}, expected one of {', '.join(tables)}")
        section = getattr(self.config, table)
        if table == "output" and key not in _keys(type(section)):
            section = replace(section, sinks=_with_sink(section.sinks, key, value))
            if len(section.sinks) > MOST_OUTPUTS:
                raise ConfigError(f"[output] names more than {MOST_OUTPUTS} outputs; leave some out")
        else:
            section = _with(section, table, key, value)
        self.config = replace(self.config, **{table: section})
        self.origins[name] = origin


def load(path: Path | None, overrides: Iterable[str] = ()) -> Config:
    """Defaults, then the TOML file, then each ``table.key=value``; ConfigError names the key."""
    reader = Reader()
    if path:
        reader.file(path)
    for text in overrides:
        reader.override(text)
    return reader.config


def merge(config: Config, overrides: Mapping[str, Mapping[str, Any]]) -> Config:
    """``config`` with those values of ``overrides[table][key]`` that are neither None nor False."""
    reader = Reader(config)
    for table, entries in overrides.items():
        for key, value in entries.items():
            if value is not None and value is not False:
                reader.set(f"{table}.{key}", value, "")
    return reader.config


def fill(kind: type[Settings], values: Mapping[str, Any], table: str) -> Settings:
    """An instance of the settings dataclass ``kind`` with ``values``; ConfigError names ``table`` and key."""
    settings = kind()
    for key, value in values.items():
        settings = _with(settings, table, key, value)
    return settings


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file, with or without a byte order mark; ConfigError if it cannot be read."""
    try:
        data = read_waited(path, MOST_BYTES, PATIENCE_S)
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise ConfigError(f"{path} is UTF-16, expected UTF-8; save it again as UTF-8 in your editor")
        return bounded_toml.loads(data.decode("utf-8-sig"))
    except FileRefused as error:
        raise ConfigError(f"the configuration {path} {error}; give a file with settings") from error
    except UnicodeDecodeError as error:
        line, byte = error.object[: error.start].count(b"\n") + 1, error.object[error.start]
        raise ConfigError(
            f"{path} is not UTF-8 (byte 0x{byte:02x} in line {line}); save it again as UTF-8"
        ) from error
    except ValueError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def _parse(text: str) -> Any:
    """``text`` as a TOML value if it is one, else the text itself, so that paths need no quotes."""
    try:
        value = bounded_toml.loads(f"value = {text}")["value"]
    except ValueError:
        return text
    return value if isinstance(value, str | int | float | list | dict) else text  # a date may be a file name


def _toml(value: Any) -> str:
    """A value as it is written in the file, where true is not True."""
    return str(value).lower() if isinstance(value, bool) else f"{value!r:.60}"


def _keys(kind: type) -> dict[str, Any]:
    """Key -> type for a settings dataclass."""
    return {key: hint for key, hint in get_type_hints(kind).items() if key not in NOT_SET}


def _with_sink(sinks: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """``jsonl = PATH``, ``[output.jsonl]`` with keys, or ``jsonl.path = PATH``; an empty path disables it."""
    name, dot, inner = key.partition(".")
    if dot:
        value = {**sinks.get(name, {}), inner: value}
    elif not isinstance(value, dict):
        value = {"path": value}
    return {**sinks, name: value}


def _with(section: Settings, table: str, key: str, value: Any) -> Settings:
    """``section`` with one value replaced; type and bounds are checked against the dataclass field."""
    hints = _keys(type(section))
    if key not in hints:
        raise ConfigError(f"unknown key {table}.{key:.60}; [{table}] has {', '.join(hints)}")
    allowed = get_args(hints[key]) if isinstance(hints[key], UnionType) else (hints[key],)
    if float in allowed and type(value) is int and abs(value) <= sys.float_info.max:
        value = float(value)
    if str in allowed and type(value) is int:
        value = str(value)  # a camera number
    if type(value) not in allowed:
        choices = " or ".join(_WORDS.get(kind, kind.__name__) for kind in allowed if kind is not type(None))
        raise ConfigError(f"{table}.{key} is {_toml(value)}, expected {choices}")
    metadata = type(section).__dataclass_fields__[key].metadata  # type: ignore[attr-defined]
    low, high = metadata.get("low", -inf), metadata.get("high", inf)  # other packages may leave them out
    choices = metadata.get("choices", ())
    free = not choices or (low > -inf and not isinstance(value, str))  # a number within bounds is enough
    outside = isinstance(value, int | float) and not low <= value <= high
    if value not in choices and (outside or not free):
        raise ConfigError(f"{table}.{key} is {value!s:.60}, expected {bounds(metadata) or 'a number'}")
    return replace(section, **{key: value})  # type: ignore[type-var]
