"""What a service runs where nothing is set: no demo, and a health file that shows that it works."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from edge.config import Config
from edge.errors import ConfigError
from edge.sinks import outputs


def refuse_demo(config: Config) -> None:
    """ConfigError without a source: `demo`, the default, is for a first look on a desk."""
    if config.source.address == "demo":
        raise ConfigError(
            "a service needs a source, and demo is only for a first look; give its address, such as "
            "/dev/video0, or set source.address in the file that -c names"
        )


def under_supervisor(config: Config, environ: Mapping[str, str] = os.environ) -> Config:
    """``config`` as it runs under the service manager behind $NOTIFY_SOCKET; elsewhere unchanged.

    If no output is set, the health figures go to ``health.json`` in $RUNTIME_DIRECTORY, which the unit sets
    to /run/emotion-edge. ConfigError without a source.
    """
    if "NOTIFY_SOCKET" not in environ:
        return config
    refuse_demo(config)
    folder = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    if not folder or config.output.health or outputs.wanted(config.output):
        return config
    return replace(config, output=replace(config.output, health=f"{folder}/health.json"))
