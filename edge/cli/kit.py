"""``emotion-edge kit``: a package for a board, and how it gets there."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.cli import kit_flash, kit_install

HELP = "make a package that a board unpacks and runs, and install or flash it"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add ``make``, ``install``, ``flash`` and ``unflash``."""
    actions = parser.add_subparsers(required=True, metavar="ACTION", dest="action")
    make = actions.add_parser("make", help="make a kit for a board, on any Linux machine")
    make.set_defaults(act=_make)
    make.add_argument("--target", required=True, metavar="NAME", help=_targets())
    make.add_argument(
        "-c", "--config", required=True, type=Path, metavar="FILE.toml", help="the kiosk's settings"
    )
    make.add_argument("-o", "--out", required=True, type=Path, metavar="KIT", help="folder of the kit")
    make.add_argument("--python", metavar="X.Y", help="of the target, where it has two (default: the newest)")
    make.add_argument("--bundle", type=Path, metavar="DIR", help="network to ship (default: the reference)")
    make.add_argument(
        "--detector", type=Path, metavar="FILE", help="YuNet's file (default: what `fetch` got)"
    )
    make.add_argument("--wheels", type=Path, metavar="DIR", help="folder with wheels, in place of a network")
    make.add_argument(
        "--add-wheel",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a wheel of your own; repeatable",
    )
    make.add_argument("--key", type=Path, metavar="SSHKEY", help="private SSH key that signs the kit")
    make.add_argument(
        "--revision", default="1", metavar="N", help="of this version, for a newer kit (default: 1)"
    )
    make.add_argument(
        "--accept-research-weights", action="store_true", help="ship weights that are for research only"
    )
    make.add_argument("--compile-with", metavar="PYTHON", help="interpreter of the target's version")
    make.add_argument(
        "--no-bytecode", action="store_true", help="leave the modules uncompiled: slower starts"
    )
    make.add_argument("--dry-run", action="store_true", help="print each file and command, and write nothing")
    install = actions.add_parser("install", help=kit_install.HELP, description=kit_install.HELP)
    kit_install.add_options(install)
    install.set_defaults(act=kit_install.run)
    flash = actions.add_parser("flash", help=kit_flash.HELP, description=kit_flash.HELP)
    kit_flash.add_options(flash)
    flash.set_defaults(act=kit_flash.run)
    unflash = actions.add_parser("unflash", help=kit_flash.UNDO_HELP, description=kit_flash.UNDO_HELP)
    kit_flash.add_undo_options(unflash)
    unflash.set_defaults(act=kit_flash.undo)


def run(args: argparse.Namespace) -> None:
    """Run one action of ``kit``."""
    args.act(args)


def _make(args: argparse.Namespace) -> None:
    from edge.deploy.kit import making, manual, targets
    from edge.system.steps import Steps
    from edge.version import __version__

    order = making.Order(
        targets.find(args.target, args.python),
        args.config,
        args.out,
        args.bundle,
        args.detector,
        args.wheels,
        tuple(args.add_wheel),
        args.key,
        args.accept_research_weights,
        args.compile_with,
        not args.no_bytecode,
        args.revision,
        manual.page(args.commands, __version__, making.date()),
    )
    with Steps("emotion-edge") as steps:
        folder = making.make(order, steps, args.dry_run)
    if folder:
        (deb,) = folder.glob("*.deb")
        print(f"{deb}: {deb.stat().st_size / 1e6:.1f} MB for {order.target.system}")
        print(f"next: emotion-edge kit install {folder} --host USER@BOARD")


def _targets() -> str:
    from edge.deploy.kit import targets

    return f"board and system: {', '.join(targets.names())}"
