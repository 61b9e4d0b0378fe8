"""``emotion-edge config``: what is in force and where it comes from, and every setting there is."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import Field, fields
from typing import Any

from edge.capture.addresses import without_password
from edge.capture.sources import SOURCES
from edge.cli import options
from edge.config import Config, bounds
from edge.engines.backends import BACKENDS
from edge.faces.detectors import DETECTORS
from edge.parts import Part, markdown
from edge.sinks.outputs import SINKS

HELP = "the settings: those in force, or all there are"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Which of the two."""
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    show = actions.add_parser("print", help="what is in force, and where each value comes from")
    show.add_argument("source", nargs="?", metavar="SOURCE")
    options.add_settings(show)
    actions.add_parser("reference", help="every setting with unit, bounds and default, as Markdown")


def run(args: argparse.Namespace) -> None:
    """Print it."""
    if args.action == "reference":
        print(reference(), end="")
        return
    reader = options.read(args)
    for line in in_force(reader.config, reader.origins):
        print(line)


def in_force(config: Config, origins: Mapping[str, str]) -> Iterator[str]:
    """The configuration as TOML; each line says where its value comes from. Passwords are hidden."""
    for table in fields(config):
        section = getattr(config, table.name)
        yield f"[{table.name}]"
        keys = {field.name: getattr(section, field.name) for field in fields(section) if field.metadata}
        keys |= dict(getattr(section, "sinks", {}))
        for key, value in keys.items():
            name = f"{table.name}.{key}"
            text = f"{key} = {_toml(value)}" if value is not None else f"# {key} ="
            yield f"{text:<40} # {origins.get(name, 'default')}"
        yield ""


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key} = {_toml(inner)}' for key, inner in value.items())}}}"
    return json.dumps(without_password(value) if isinstance(value, str) else value, ensure_ascii=False)


def reference() -> str:
    """docs/settings.md: all tables of the configuration file and all parts, from the tables themselves."""
    parts = [
        "# Settings",
        "Made by `emotion-edge config reference`; a test keeps it equal. Settings stand in a TOML file "
        "(`-c FILE.toml`) or on the command line (`--set detector.every=5`). `emotion-edge config print` "
        "shows those in force.",
    ]
    for table in fields(Config):
        kind: Any = table.default_factory
        rows = [_row(field) for field in fields(kind) if field.metadata]
        head = ["| Key | Default | Bounds | What it is |", "|---|---|---|---|"]
        parts += [f"## [{table.name}]", kind.__doc__.replace("``", "`"), "\n".join([*head, *rows])]
    parts += ["## Sources", markdown(SOURCES, "Address", lambda part: code(part.address))]
    parts += ["## Detectors", markdown(DETECTORS, "detector.kind", _named)]
    parts += ["## Backends", markdown(BACKENDS, "engine.kind", _named)]
    parts += [
        "## Outputs",
        markdown(SINKS, "Key in [output]", _named, "What it writes"),
    ]
    return "\n\n".join(parts) + "\n"


def _named(part: Part) -> str:
    return f"`{part.name}`"


def code(address: str) -> str:
    """What is typed as it stands in code marks, the rest in words: "`csi://0`", "a video file"."""
    typed = r"(?:/dev|\w+://)\S*?(?=,|\s|$)|\bdemo\b"
    return re.sub(typed, lambda match: f"`{match[0]}`", address)


def _row(field: Field[Any]) -> str:
    about = field.metadata
    default = about["empty"] if field.default in ("", None) else f"`{json.dumps(field.default)}`"
    limits = f"{bounds(about)} {about['unit']}".strip()
    return f"| `{field.name}` | {default} | {limits} | {about['help']} |"
