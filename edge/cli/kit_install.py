"""``emotion-edge kit install``: bring a kit to a board over ssh."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.errors import ConfigError

HELP = "install a kit on a board over ssh, or go back to the version before"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the kit, the board and what to do."""
    parser.add_argument("kit", nargs="?", type=Path, metavar="KIT", help="folder that `kit make` has written")
    parser.add_argument("--host", required=True, metavar="USER@BOARD", help="as for ssh")
    parser.add_argument(
        "--secrets", type=Path, metavar="FILE.toml", help="Wi-Fi, passwords and keys, in a file of mode 0600"
    )
    parser.add_argument("--rollback", action="store_true", help="install the version before")
    parser.add_argument("--downgrade", action="store_true", help="allow a kit older than what is installed")
    parser.add_argument("--dry-run", action="store_true", help="print each file and command, and do nothing")


def run(args: argparse.Namespace) -> None:
    """Check what was given, then install or go back."""
    from edge.deploy.kit import installing
    from edge.deploy.kit.remote import Remote, asker
    from edge.system.steps import Steps

    if args.rollback and (args.kit or args.secrets):
        raise ConfigError("--rollback takes no kit and no secrets: the board keeps the version before")
    if not (args.rollback or args.kit):
        raise ConfigError("no kit was given; name the folder that `emotion-edge kit make` has written")
    kit = installing.Kit.of(args.kit) if args.kit else None
    secrets = installing.read_secrets(args.secrets)
    with Remote(args.host, asker()) as remote:
        if args.dry_run:
            installing.dry_run(remote, kit, secrets, args.rollback)
            return
        with Steps("emotion-edge") as steps:
            if kit is None:
                installing.rollback(remote, steps)
            else:
                installing.install(remote, kit, secrets, steps, args.downgrade)
