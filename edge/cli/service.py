"""``emotion-edge service``: run as a systemd service."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge import config_file
from edge.capture.sources import help_text
from edge.errors import ConfigError

if TYPE_CHECKING:
    from edge.deploy.install import Service

HELP = "run as a systemd service that starts at boot"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the actions of ``service`` and their options."""
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    for name, help_line in (
        ("install", "write the systemd units and start at boot"),
        ("print-unit", "print the systemd units"),
    ):
        action = actions.add_parser(name, help=help_line)
        action.add_argument("source", nargs="?", metavar="SOURCE", help=help_text())
        action.add_argument("-c", "--config", type=Path, metavar="FILE.toml", help="reloaded on SIGHUP")
        action.add_argument(
            "--set", action="append", default=[], metavar="TABLE.KEY=VALUE", help="override one setting"
        )
        action.add_argument("--health", metavar="PATH|PORT", help="as in `run`; a file in /run/emotion-edge")
        action.add_argument(
            "--cpu-quota", type=_percent, default=150, metavar="PERCENT", help="of one core (default: 150%%)"
        )
        action.add_argument("--python", default=sys.executable, help="interpreter (default: this one)")
        _add_root(action)
    actions.add_parser("status", help="show its state in systemd")
    _add_root(actions.add_parser("uninstall", help="stop it and remove the units"))


def run(args: argparse.Namespace) -> None:
    """Run one action of ``service``."""
    if args.action == "status":
        _print_status()
        return
    from edge.deploy import install

    if args.action == "uninstall":
        install.uninstall(args.root)
    elif args.action == "install":
        install.install(_service(args))
    else:
        install.print_unit(_service(args))


def _print_status() -> None:
    """The state in systemd, then what the doctor finds worst."""
    from edge.doctor import telling
    from edge.doctor.examination import examine_machine, read_machine
    from edge.doctor.service import print_status

    machine = read_machine(Path("/"))
    print_status(machine)
    print(f"doctor     {telling.worst_line(examine_machine(machine, quick=True))}")


def _service(args: argparse.Namespace) -> Service:
    """The service with the options that ``run`` will get, with absolute paths."""
    from edge.capture import sources
    from edge.deploy import defaults, permissions
    from edge.deploy.install import Service
    from edge.health.endpoint import port_of
    from edge.sinks import outputs

    file = Path(os.path.abspath(args.config)) if args.config else None
    source = args.source
    if source and not source.isdecimal() and "://" not in source and Path(source).exists():
        source = os.path.abspath(source)  # does not resolve a link in /dev/v4l/by-id
    inside = args.root / file.relative_to("/") if file else None
    named = {"source": {"address": source}, "output": {"health": args.health}}
    config = config_file.merge(config_file.load(inside, args.set), named)
    defaults.refuse_demo(config)
    sources.find(config.source.address)  # raises what `run` would raise
    port_of(config.output.health)  # likewise
    for part in outputs.wanted(config.output):
        if part.pictures and not config.output.pictures:
            raise ConfigError(
                f"output.{part.name} is drawn when a run ends, but a service runs on; leave it out"
            )
    arguments = [
        *([source] if source else []),
        *(["-c", str(file)] if file else []),
        *(argument for text in args.set for argument in ("--set", text)),
        *(["--health", args.health] if args.health else []),
    ]
    permissions.refuse_password(config, arguments)
    return Service(config, tuple(arguments), inside, args.cpu_quota, args.root, args.python)


def _add_root(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--root", type=Path, default=Path("/"), metavar="DIR", help="root folder of an image (default: /)"
    )


def _percent(text: str) -> int:
    try:
        value = int(text.removesuffix("%"))
    except ValueError:
        value = 0
    if not 5 <= value <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share of a core, expected 5% to 10000%")
    return value
