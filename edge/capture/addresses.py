"""Source addresses: detect cameras, keep track of one across replugging, and hide passwords in logs."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from edge.config import SourceConfig
from edge.errors import ConfigError, SourceError

Links = dict[Path, Path]  # device node -> udev's link to it
_CAMERA_NODES = ("/dev/video", "/dev/v4l/by-id/", "/dev/v4l/by-path/")  # the latter two survive replugging
_NUMBERED = re.compile(r"(?:/dev/video)?([0-9]+)|mjpeg:///dev/video([0-9]+)", re.ASCII)


def is_camera(address: str) -> bool:
    """Whether ``address`` names a camera: a number, a ``/dev/video`` node or a stable link to one."""
    return (address.isascii() and address.isdigit()) or address.startswith(_CAMERA_NODES)


def node_of(address: str) -> Path | None:
    """The device node of a V4L2 camera, also in ``mjpeg:///dev/video0``; None for any other source."""
    if is_camera(address):
        return Path(f"/dev/video{address}" if address.isdigit() else address)
    path = address.removeprefix("mjpeg://")
    return Path(path) if path != address and path.startswith(_CAMERA_NODES) else None


def refuse_absent(node: Path) -> None:
    """Raise SourceError, which lists the nodes there are, if ``node`` does not exist."""
    if not node.exists():
        raise SourceError(f"camera {node} does not exist; {available_cameras()}")


def available_cameras() -> str:
    """What to give instead: ``use one of: /dev/video0, /dev/video2``."""
    nodes = sorted(str(node) for node in Path("/dev").glob("video*"))
    return f"use one of: {', '.join(nodes)}" if nodes else "plug one in (there is no /dev/video node)"


def without_password(address: str) -> str:
    """``address`` with ``***`` for the password in ``scheme://user:password@`` and in ``?password=``.

    Everything between the first colon and the last @ is hidden. This also shortens an address without a
    password that has a colon and a later @.
    """
    hidden = re.sub(r"^([^:/?#]*://[^:]*:).*@", r"\1***@", address, flags=re.DOTALL)
    return re.sub(r"((?:passw(?:or)?d|pwd)=)[^&]*", r"\1***", hidden, flags=re.DOTALL | re.IGNORECASE)


def with_password(address: str, password: str) -> str:
    """``address`` of a network camera with the ``password`` that came apart from it, if there is one.

    ConfigError if the address names no user, or a password of its own; no message shows either.
    """
    if not password:
        return address
    scheme, _, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    user, at, host = host.rpartition("@")
    if not at or not user or ":" in user:
        raise ConfigError(
            f"{without_password(address)}: its password comes as the credential camera; "
            "write source.address as rtsp://USER@HOST/PATH"
        )
    return f"{scheme}://{user}:{quote(password, safe='')}@{host}{slash}{path}"


class Followed:
    """Camera settings whose address becomes udev's stable link as soon as there is one."""

    def __init__(self, settings: SourceConfig, dev: Path = Path("/dev")) -> None:
        self._settings, self._dev = settings, dev

    def now(self) -> SourceConfig:
        """Current settings; call it before every open, since the link may appear after the node."""
        address = stable_address(self._settings.address, self._dev)
        self._settings = replace(self._settings, address=address)  # a link is kept unchanged
        return self._settings


def stable_address(address: str, dev: Path = Path("/dev")) -> str:
    """``/dev/v4l/by-id/...`` for ``/dev/video0`` or ``0`` if udev made one, else ``address`` unchanged.

    The kernel gives a replugged camera the next free number; its link by id follows it. If another camera
    has the same id, or the camera has none, the result is the link by path, which follows the port.
    ``mjpeg:///dev/video0`` keeps its scheme.
    """
    match = _NUMBERED.fullmatch(address)
    if match is None:
        return address
    node = (dev / f"video{match[1] or match[2]}").resolve()
    by_id, by_path = _links(dev / "v4l/by-id"), _links(dev / "v4l/by-path")
    link = by_id.get(node)
    if link is None or _is_shared(link, by_id, by_path):
        link = by_path.get(node, link)
    scheme = "mjpeg://" if match[2] else ""
    return address if link is None else f"{scheme}{link}"


def _links(folder: Path) -> Links:
    # Sorted in reverse, so that of several links to one node always the first one is kept.
    return {link.resolve(): link for link in sorted(folder.glob("*"), reverse=True)}


def _is_shared(link: Path, by_id: Links, by_path: Links) -> bool:
    """Whether another camera has the same id as ``link``: cheap models share one serial number.

    udev then makes a single link for both. The other one is a USB camera without a link by id, although every
    USB camera has an id.
    """
    index = link.name.rpartition("-")[2]
    return any(
        node not in by_id and "-usb" in other.name and other.name.endswith(f"-{index}")
        for node, other in by_path.items()
    )
