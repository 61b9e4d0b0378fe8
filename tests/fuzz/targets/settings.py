"""Settings: a TOML file, or the texts of --set, one a line; whatever they say, no value leaves its bounds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from random import Random
from typing import Any

from fuzz.json_edits import NUMBERS, TEXTS
from fuzz.targets.base import Target, scratch, tell

from edge.config import NOT_SET, Config
from edge.config_file import Reader
from edge.errors import ConfigError
from edge.sinks import outputs

TABLES = {table.name: table.default_factory() for table in fields(Config)}  # type: ignore[misc]
KEYS = tuple(
    f"{name}.{key.name}" for name, table in TABLES.items() for key in fields(table) if key.name not in NOT_SET
)
SET = b"--set\n"  # begins an input that is a list of overrides


def run(data: bytes) -> bool:
    reader = Reader()
    try:
        if data.startswith(SET):
            for text in data.removeprefix(SET).decode("utf-8", "surrogateescape").split("\n"):
                reader.override(text)
        else:
            path = scratch("settings") / "kiosk.toml"
            path.write_bytes(data)
            reader.file(path)
        sinks = outputs.wanted(reader.config.output)
    except ConfigError as error:
        tell(error)
        return False
    _within(reader.config)
    for settings in sinks.values():
        _typed(settings)
    return True


def _within(config: Config) -> None:
    for table in fields(config):
        section = getattr(config, table.name)
        assert type(section) is type(TABLES[table.name]), table
        _typed(section)
    assert all(isinstance(path, Path) for path in config.output.settings_files)


def _typed(section: Any) -> None:
    """Each value has the type of its default, or one that the field names, and lies within its bounds."""
    assert is_dataclass(section)
    for field in fields(section):
        value = getattr(section, field.name)
        if field.name in NOT_SET:
            continue
        names = {word.strip() for word in str(field.type).split("|")}
        kind = "None" if value is None else type(value).__name__
        assert kind in names, f"{field.name} is {value!r}, a {kind} of {names}"
        meta = field.metadata
        if value is None or value in meta.get("choices", ()):
            continue
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            assert math.isfinite(value), f"{field.name} is {value}"
            assert meta.get("low", -math.inf) <= value <= meta.get("high", math.inf), (
                f"{field.name} is {value}"
            )
        assert isinstance(value, bool) or not meta.get("choices") or meta.get("low", -math.inf) > -math.inf, (
            value
        )


SEEDS = (
    """[source]
address = "demo"
width = 640
fps = 5
[budget]
cpu_percent = 50.0
[output]
jsonl = "o.jsonl"
""",
    """[output]
health = "8080"
summary = "json"
[output.jsonl]
path = "a b"
force = true
[limits]
load_mb = 64
""",
    "\ufeff[source]\r\nexposure = 'auto'\r\nmains_hz = 50\r\nrotate = 90\r\n",
)
OVERRIDES = (
    "bundle.threads=4\nsource.exposure=auto\nsource.colour=true\noutput.jsonl.path=x\nbudget.celsius=1e2",
    "bundle.path={a = 1}\ndecision.abstain_below=nan\ntracker.confirm=1_0",
)


def seeds() -> Iterator[bytes]:
    yield from (text.encode() for text in SEEDS)
    yield from (SET + text.encode() for text in OVERRIDES)


WORDS = (
    *KEYS, *(f"[{name}]" for name in TABLES), "output.jsonl", "jsonl.path", "[output.annotate]",
    "[[source]]", "inf",
    "nan", "-inf", "0x10", "1_000", "1979-05-27", "'''", '"""', "true", "auto", "{a = 1}", "source.colour",
)  # fmt: skip


def mutate(data: bytes, rng: Random) -> bytes:
    """Another value, a doubled line, a line more or less."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    what = rng.randrange(5)
    if what == 0 and len(lines) > 1:
        del lines[at]
    elif what == 1:
        lines.insert(rng.randrange(len(lines) + 1), lines[at])
    elif what == 2:
        lines[at] = lines[at].partition(b"=")[0] + b"=" + _value(rng)
    else:
        table, _, key = rng.choice(KEYS).partition(".")
        name = f"{table}.{key}" if data.startswith(SET) or rng.random() < 0.3 else key
        heading = [] if data.startswith(SET) or rng.random() < 0.3 else [f"[{table}]".encode()]
        lines[at + 1 : at + 1] = [*heading, name.encode() + b" = " + _value(rng)]
    return b"\n".join(lines)


def _value(rng: Random) -> bytes:
    choice = rng.randrange(3)
    if choice == 0:
        return rng.choice((*NUMBERS, "inf", "nan", "-nan", "+inf", "0x7f", "1e400", "-5", "1_0.5")).encode()
    text = rng.choice(TEXTS) if choice == 1 else rng.choice(("auto", "json", "text", "demo", "-", "", "50"))
    return b'"' + text.encode("utf-8", "surrogatepass") + b'"'


TARGET = Target("settings", run, seeds, mutate, WORDS)
