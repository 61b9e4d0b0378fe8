"""``emotion-edge kit flash`` and ``kit unflash``: a kit into the root file system that is flashed."""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import ConfigError

if TYPE_CHECKING:
    from edge.deploy.flash.host_checks import Host

HELP = "put a kit into a Linux_for_Tegra tree or an image, and print the call that flashes it"
UNDO_HELP = "take out of a Linux_for_Tegra tree what `kit flash` has put in"
STORAGE = ("nvme", "sd", "emmc", "usb")
_L4T = "NVIDIA's tree, in which apply_binaries.sh was run"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the kit, the tree or the image, and what the first start needs."""
    parser.add_argument("kit", type=Path, metavar="KIT", help="folder that `kit make` has written")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--l4t", type=Path, metavar="DIR", help=f"Jetson: {_L4T}")
    where.add_argument("--image", type=Path, metavar="FILE", help="Raspberry Pi: image of the system")
    where.add_argument(
        "--files",
        type=Path,
        metavar="DIR",
        help="Raspberry Pi: new folder for Raspberry Pi Imager 2's options",
    )
    parser.add_argument(
        "--secrets", type=Path, metavar="FILE.toml", help="user, Wi-Fi, passwords and keys, mode 0600"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print each file and command, and write nothing"
    )
    jetson = parser.add_argument_group("Jetson")
    jetson.add_argument("--board", metavar="NAME", help="board file of the tree, without .conf")
    jetson.add_argument("--storage", choices=STORAGE, help="what the board starts from")
    jetson.add_argument("--disk", metavar="SIZE", help="of the board, such as 64GB or 29GiB, to be compared")
    jetson.add_argument(
        "--massflash", type=int, metavar="N", help="make NVIDIA's archive that flashes N boards at a time"
    )
    jetson.add_argument("--module", metavar="ID-SKU", help="of the boards of --massflash, such as 3767-0005")
    jetson.add_argument(
        "--accept-nvidia-license",
        action="store_true",
        help="you accept what NVIDIA's script for the first user asks",
    )
    pi = parser.add_argument_group("Raspberry Pi")
    pi.add_argument("--in-place", action="store_true", help="change the image itself, not a copy")
    pi.add_argument("-o", "--out", type=Path, metavar="FILE", help="the changed copy")


def add_undo_options(parser: argparse.ArgumentParser) -> None:
    """Add the tree."""
    parser.add_argument("--l4t", type=Path, required=True, metavar="DIR", help=_L4T)
    parser.add_argument("--dry-run", action="store_true", help="print each file, and change nothing")


def run(args: argparse.Namespace, host: Host | None = None) -> None:
    """Flash into a tree, or into an image; ``host`` is the machine to flash from, this one by default."""
    if args.l4t:
        _refuse(args, "--l4t", "in_place", "out")
        _tree(args, host)
        return
    where = "--image" if args.image else "--files"
    _refuse(args, where, "board", "storage", "disk", "massflash", "module", "accept_nvidia_license")
    if args.image:
        _image(args)
    else:
        _refuse(args, where, "in_place", "out")
        _files(args)


def undo(args: argparse.Namespace) -> None:
    """Restore a tree to what it was."""
    from edge.deploy.flash import l4t_flash
    from edge.system.steps import Steps

    if os.geteuid():
        raise ConfigError("this is not root, who owns the files of a root file system; run it with sudo")
    if args.dry_run:
        print("\n".join(l4t_flash.shown(args.l4t)))
        return
    with Steps("emotion-edge") as steps:
        gone = l4t_flash.unflash(args.l4t, steps)
    print(f"{args.l4t / 'rootfs'} is as it was before; gone: {gone}")


def _tree(args: argparse.Namespace, host: Host | None) -> None:
    from edge.deploy.flash import deb, l4t_call, l4t_flash
    from edge.deploy.flash.host_checks import Host
    from edge.deploy.flash.overlay import Overlay
    from edge.deploy.flash.preflight import Order, Preflight
    from edge.deploy.kit import installing
    from edge.doctor import telling
    from edge.system.steps import Steps

    for name in ("board", "storage"):
        if not getattr(args, name):
            raise ConfigError(f"--{name} is missing; with --l4t name the board and its storage")
    kit, secrets = installing.Kit.of(args.kit), installing.read_secrets(args.secrets)
    order = Order(
        args.l4t, args.board, args.storage, deb.target(kit.deb), kit.deb.stat().st_size, secrets, args.disk,
        args.massflash, args.module, args.accept_nvidia_license, host or Host(),
    )  # fmt: skip
    preflight = Preflight(order)
    print("\n".join(telling.lines(preflight.findings)), flush=True)
    preflight.refuse()
    plan = Overlay(args.l4t, kit.deb, deb.members(kit.deb), secrets, kit.signers(), order.user)
    if args.dry_run:
        print("\n".join(l4t_flash.dry_run(plan)))
    else:
        with Steps("emotion-edge") as steps:
            l4t_flash.flash(plan, steps)
    print(f"next:\n  cd {shlex.quote(str(args.l4t))}\n  {preflight.call}")
    if preflight.board and args.massflash:
        calls = l4t_call.archive_calls(preflight.board, args.storage, args.massflash)
        print("then, in the factory, with all boards in recovery mode:", *calls, sep="\n  ")


def _image(args: argparse.Namespace) -> None:
    from edge.deploy.flash.pi_image import Order, flash_image
    from edge.system.steps import Steps

    if args.in_place and args.out:
        raise ConfigError("--in-place changes the image itself, -o names a copy; leave one of them out")
    order = Order(args.kit, args.image, args.out, args.in_place, args.secrets, args.dry_run)
    with Steps("emotion-edge") as steps:
        image = flash_image(order, steps)
    if image:
        print(f"{image} holds the kit")
        print(f"next: rpi-imager --cli {shlex.quote(str(image))} /dev/CARD")


def _files(args: argparse.Namespace) -> None:
    from edge.deploy.flash.pi_imager import write_files
    from edge.system.steps import Steps

    with Steps("emotion-edge") as steps:
        write_files(args.kit, args.files, args.secrets, steps, args.dry_run)
    if not args.dry_run:
        shown = shlex.quote(str(args.files))
        print(f"next: rpi-imager --cli --cloudinit-userdata {shown}/user-data")
        print(f"      --cloudinit-networkconfig {shown}/network-config raspios.img /dev/CARD")
        print(f"then copy {shown}/emotion-edge to the partition bootfs of the card")


def _refuse(args: argparse.Namespace, beside: str, *names: str) -> None:
    for name in names:
        if getattr(args, name):
            raise ConfigError(f"--{name.replace('_', '-')} does not go with {beside}; leave it out")
