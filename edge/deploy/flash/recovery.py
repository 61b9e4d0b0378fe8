"""Jetsons in recovery mode, as the kernel lists them on USB; read from files alone.

The ids are those that NVIDIA's flasher looks for (R35.3.1 to R39.2). It calls a board by bus and port: 1-3.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge.deploy.flash.l4t_board import AGX_ORIN, ORIN_NANO, T4000, THOR
from edge.system.sysfs import text

DEVICES = Path("/sys/bus/usb/devices")
_NVIDIA = "0955"
FLASHING = "7035"  # a board that runs the flasher's own initial system
_MODULES = {
    "7023": ("AGX Orin", AGX_ORIN), "7223": ("AGX Orin 32 GB", AGX_ORIN),
    "7323": ("Orin NX 16 GB", ORIN_NANO), "7423": ("Orin NX 8 GB", ORIN_NANO),
    "7523": ("Orin Nano 8 GB", ORIN_NANO), "7623": ("Orin Nano 4 GB", ORIN_NANO),
    "7026": ("AGX Thor", THOR), "7226": ("Thor T4000", T4000), "7326": ("AGX Thor, production fused", THOR),
    **dict.fromkeys(("7019", "7819", "7919"), ("Xavier", "")), "7e19": ("Xavier NX", ""),
    **dict.fromkeys(("7018", "7418", "7c18"), ("TX2", "")),
}  # fmt: skip


@dataclass(frozen=True)
class Waiting:
    """A board in recovery mode."""

    place: str  # bus and port, as 1-3
    product: str  # of USB, such as 7523
    module: str
    family: str  # of edge.deploy.flash.l4t_board; "" for modules before Orin


def boards(devices: Path = DEVICES) -> list[Waiting]:
    """Those in recovery mode, by place. One that is unplugged while it is read is left out."""
    found = []
    for product, folder in _nvidia(devices):
        module = _MODULES.get(product.lower())
        bus, path = text(folder / "busnum"), text(folder / "devpath")
        if module and bus and path:
            found.append(Waiting(f"{bus}-{path}", product.lower(), *module))
    return sorted(found, key=lambda board: board.place)


def flashing(devices: Path = DEVICES) -> bool:
    """Whether a board runs the flasher's own initial system, as after an interrupted run."""
    return any(product == FLASHING for product, _ in _nvidia(devices))


def _nvidia(devices: Path) -> list[tuple[str, Path]]:
    try:
        folders = sorted(devices.iterdir())
    except OSError:
        return []
    return [
        (text(folder / "idProduct") or "", folder)
        for folder in folders
        if text(folder / "idVendor") == _NVIDIA
    ]
