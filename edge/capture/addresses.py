"""The name under which a camera is found again after it was unplugged."""

from __future__ import annotations

import re
from pathlib import Path


def stable_address(address: str, dev: Path = Path("/dev")) -> str:
    """``/dev/v4l/by-id/...`` of ``/dev/video0`` or ``0`` where udev made one, else ``address`` as it is.

    The kernel gives a camera that comes back the next free number; its link by id follows it.
    """
    number = re.fullmatch(r"(?:/dev/video)?([0-9]+)", address)
    if number is None:
        return address
    node = (dev / f"video{number[1]}").resolve()
    for link in sorted((dev / "v4l/by-id").glob("*")):
        if link.resolve() == node:
            return str(link)
    return address
