"""Which board and release it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edge.doctor.machine import Machine
from edge.errors import EdgeError
from edge.system import device
from edge.system.finding import FAULT, OK, WARNING, Finding, of_error

_MODELS = ("proc/device-tree/model", "sys/firmware/devicetree/base/model", "sys/class/dmi/id/product_name")


def model(machine: Machine) -> str:
    """Name of the board, "" if nothing tells."""
    return next((name for path in _MODELS if (name := machine.word(path))), "")


def system(machine: Machine) -> str:
    """Name of the operating system, such as "Debian GNU/Linux 12 (bookworm)"."""
    release = re.search(r'^PRETTY_NAME="?([^"\n]{1,100})', machine.text("etc/os-release"), re.MULTILINE)
    return release[1] if release else ""


def is_jetson(machine: Machine) -> bool:
    """Whether a release of Jetson Linux is installed."""
    return device.l4t(machine.root) is not None


def is_pi(machine: Machine) -> bool:
    """Whether it is a Raspberry Pi; without a model, whether its firmware's package is there."""
    return model(machine).startswith("Raspberry Pi") or bool(machine.package("raspi-firmware"))


def look(machine: Machine) -> Iterator[Finding]:
    """Board, operating system, and the JetPack release of a Jetson."""
    known = [name for name in (model(machine), system(machine)) if name]
    try:
        release = device.jetpack(machine.root)
    except EdgeError as error:
        yield of_error("board", FAULT, error)
        return
    text = ", ".join([*known, *([f"JetPack {release}"] if release else [])])
    yield Finding("board", OK, text or "neither its model nor its system is known")
    core, named = machine.package("nvidia-l4t-core").partition("-")[0], device.l4t(machine.root)
    if named and core and core != named[2]:
        yield Finding(
            "board",
            WARNING,
            f"two releases are mixed: /etc/nv_tegra_release says {named[2]}, nvidia-l4t-core is {core}",
            "sudo apt full-upgrade, or flash the board again",
        )
