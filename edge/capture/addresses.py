"""Addresses of sources: which one is a camera, its name after a replug, and no password in a log line."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from edge.config import SourceConfig

Links = dict[Path, Path]  # node -> udev's link to it
_CAMERA_NODES = ("/dev/video", "/dev/v4l/by-id/", "/dev/v4l/by-path/")  # the latter two outlive a replugging
_NUMBERED = re.compile(r"(?:/dev/video)?([0-9]+)|mjpeg:///dev/video([0-9]+)", re.ASCII)


def is_camera(address: str) -> bool:
    """Whether ``address`` names a camera: a number, a ``/dev/video`` node or a stable link to one."""
    return (address.isascii() and address.isdigit()) or address.startswith(_CAMERA_NODES)


def without_password(address: str) -> str:
    """``address`` with ``***`` for the password in ``scheme://user:password@`` and in ``?password=``.

    What lies between the first colon and the last @ is hidden, whatever it holds. An address without a
    password that has a colon and later an @ is therefore shortened, too.
    """
    hidden = re.sub(r"^([^:/?#]*://[^:]*:).*@", r"\1***@", address, flags=re.DOTALL)
    return re.sub(r"((?:passw(?:or)?d|pwd)=)[^&]*", r"\1***", hidden, flags=re.DOTALL | re.IGNORECASE)


class Followed:
    """Settings of a camera that name its link as soon as udev has made one, and from then on."""

    def __init__(self, settings: SourceConfig, dev: Path = Path("/dev")) -> None:
        self._settings, self._dev = settings, dev

    def now(self) -> SourceConfig:
        """What to open the camera with; to be asked at every opening, as the link may come after the node."""
        address = stable_address(self._settings.address, self._dev)
        self._settings = replace(self._settings, address=address)  # a link stays as it is
        return self._settings


def stable_address(address: str, dev: Path = Path("/dev")) -> str:
    """``/dev/v4l/by-id/...`` of ``/dev/video0`` or ``0`` where udev made one, else ``address`` as it is.

    The kernel gives a camera that comes back the next free number; its link by id follows it. Where another
    camera bears the same id, or the camera has none, it is the link by path, which follows the plug.
    ``mjpeg:///dev/video0`` keeps its scheme.
    """
    number = _NUMBERED.fullmatch(address)
    if number is None:
        return address
    node = (dev / f"video{number[1] or number[2]}").resolve()
    by_id, by_path = _links(dev / "v4l/by-id"), _links(dev / "v4l/by-path")
    link = by_id.get(node)
    if link is None or _is_shared(link, by_id, by_path):
        link = by_path.get(node, link)
    scheme = "mjpeg://" if number[2] else ""
    return address if link is None else f"{scheme}{link}"


def _links(folder: Path) -> Links:
    # Sorted, so that where one node has two links the same one is found each time: the first.
    return {link.resolve(): link for link in sorted(folder.glob("*"), reverse=True)}


def _is_shared(link: Path, by_id: Links, by_path: Links) -> bool:
    """Whether another camera has the id of ``link``: cheap ones of one model bear one serial number.

    udev has only one link for both. The other is a USB camera that has none, though every one has an id.
    """
    index = link.name.rpartition("-")[2]
    return any(
        node not in by_id and "-usb" in other.name and other.name.endswith(f"-{index}")
        for node, other in by_path.items()
    )
