"""The last rungs: what the supervisor's restart did not mend may need a reboot, if the operator allows it."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from typing import Any

from edge.errors import EdgeError
from edge.system.atomic_write import atomic_write
from edge.system.cache import cache_folder

log = logging.getLogger("edge")
SOON_S = 600.0  # a second restart for the same reason within this time was of no use
SEEN_S = 3.0  # for systemd to see the wish; the watchdog, ten seconds, has had no beat for up to five by then
_FILE = "restart.json"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def note_restart(folder: Path, now_s: float, boot_id: str, reason: str = "") -> bool:
    """Remember that a restart is asked for now, and why; True where one was of no use a short while ago.

    ``now_s`` counts from the boot, so that a wall clock that jumps changes nothing.
    """
    last = _kept(folder)
    again = last.get("boot_id") == boot_id
    soon = again and 0 <= now_s - float(last.get("at_s", now_s - 2 * SOON_S)) <= SOON_S
    about = {"boot_id": boot_id, "at_s": now_s, "count": int(last.get("count", 0)) + 1, "reason": reason}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(folder / _FILE, json.dumps(about).encode())
    except (OSError, EdgeError) as error:
        log.warning("a restart cannot be remembered: %s", error)
    return bool(soon)


def restarts(folder: Path, now_s: float, boot_id: str) -> dict[str, Any]:
    """How often a restart was asked for, why, and how many seconds ago; None: the machine booted since."""
    last = _kept(folder)
    if not last.get("count"):
        return {"count": 0}
    ago_s = round(now_s - float(last["at_s"]), 1) if last.get("boot_id") == boot_id else None
    return {"count": last["count"], "last_ago_s": ago_s, "reason": last.get("reason", "")}


def restarts_here() -> dict[str, Any]:
    """``restarts`` of this program on this machine, for its health; empty where they cannot be read."""
    try:
        return restarts(_folder(), *_boot())
    except (EdgeError, KeyError, TypeError, ValueError):
        return {}


def _kept(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / _FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _folder() -> Path:
    return Path(os.environ.get("STATE_DIRECTORY", "").split(":")[0] or cache_folder())


def _boot() -> tuple[float, str]:
    """Seconds since the boot, and its name."""
    boot_id = _BOOT_ID.read_text().strip() if _BOOT_ID.is_file() else ""
    return time.clock_gettime(time.CLOCK_BOOTTIME), boot_id


def before_restart(reboot_allowed: bool, reason: str = "") -> None:
    """To be called before the process ends with 75; asks for a reboot where the last restart did not help."""
    if not note_restart(_folder(), *_boot(), reason):
        return
    if not reboot_allowed:
        log.error("a restart did not help; recovery.reboot=true would let this program ask for a reboot")
        return
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if not runtime:
        log.error("a restart did not help; without the systemd unit nobody can be asked for a reboot")
        return
    log.error("a restart did not help; asking for a reboot")
    Path(runtime, "reboot").touch()  # the unit emotion-edge-reboot.path watches it
    time.sleep(SEEN_S)  # systemd removes the folder when the process ends; the path unit must see it first
