"""The settings of a kit: checked where the kit is made, and written with the paths of the board."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from edge.capture import sources
from edge.capture.addresses import without_password
from edge.config import Config
from edge.config_file import Reader
from edge.deploy.defaults import refuse_demo
from edge.errors import ConfigError
from edge.health.endpoint import port_of
from edge.sinks import outputs
from edge.system import toml_text


def read(path: Path) -> Reader:
    """The settings file, as a service on the board will read it.

    Raises:
        ConfigError: an unknown key or value, no source, a password in its address, or an output that is drawn
            while the service may not.
    """
    reader = Reader()
    reader.file(path)
    config = reader.config
    refuse_demo(config)
    sources.find(config.source.address)
    port_of(config.output.health)
    for part in outputs.wanted(config.output):
        if part.pictures and not config.output.pictures:
            raise ConfigError(
                f"output.{part.name} is drawn when a run ends, but a service runs on; leave it out"
            )
    if without_password(config.source.address) != config.source.address:
        raise ConfigError(
            f"{path} holds the camera's password, and a kit holds no secret; leave it out of source.address "
            "and give it as credentials.camera to `kit install --secrets`"
        )
    return reader


def text(reader: Reader, detector: str, bundle: str) -> str:
    """What ``reader`` has set, as TOML, with the paths of the detector and the bundle on the board."""
    reader.set("detector.model", detector, "the kit")
    reader.set("bundle.path", bundle, "the kit")
    lines = ["# Settings of emotion-edge.service; for a reload: systemctl reload emotion-edge"]
    for table in fields(Config):
        section = getattr(reader.config, table.name)
        given = {name.partition(".")[2]: None for name in reader.origins if name.startswith(f"{table.name}.")}
        values: dict[str, Any] = {
            key: getattr(section, key) for key in given if key in type(section).__dataclass_fields__
        }
        values |= dict(getattr(section, "sinks", {}))
        rows = [
            f"{toml_text.key(key)} = {toml_text.value(value)}" for key, value in values.items() if value != ""
        ]
        if rows:
            lines += ["", f"[{table.name}]", *rows]
    return "\n".join(lines) + "\n"
