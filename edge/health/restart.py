"""Records restarts and, if a restart did not help and the operator allows it, requests a reboot."""

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
SOON_S = 600.0  # a second restart within this time means that the first one did not help
SEEN_S = 3.0  # for systemd to see the request; up to 5 s of the watchdog's 10 s have passed by then
_FILE = "restart.json"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def note_restart(folder: Path, now_s: float, boot_id: str, reason: str = "") -> bool:
    """Record a restart request and its reason; True if there was another one shortly before.

    ``now_s`` counts from boot, so that it is not affected by jumps of the wall clock.
    """
    last = _read_record(folder)
    same_boot = last.get("boot_id") == boot_id
    soon = same_boot and 0 <= now_s - float(last.get("at_s", now_s - 2 * SOON_S)) <= SOON_S
    record = {"boot_id": boot_id, "at_s": now_s, "count": int(last.get("count", 0)) + 1, "reason": reason}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(folder / _FILE, json.dumps(record).encode())
    except (OSError, EdgeError) as error:
        log.warning("a restart cannot be recorded: %s", error)
    return bool(soon)


def restarts(folder: Path, now_s: float, boot_id: str) -> dict[str, Any]:
    """Number of restart requests, and reason and age in seconds of the last; None if before this boot."""
    last = _read_record(folder)
    if not last.get("count"):
        return {"count": 0}
    ago_s = round(now_s - float(last["at_s"]), 1) if last.get("boot_id") == boot_id else None
    return {"count": last["count"], "last_ago_s": ago_s, "reason": last.get("reason", "")}


def restarts_here() -> dict[str, Any]:
    """``restarts`` of this program on this machine, for its health; empty if they cannot be read."""
    try:
        return restarts(_folder(), *_boot())
    except (EdgeError, KeyError, TypeError, ValueError):
        return {}


def _read_record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / _FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _folder() -> Path:
    return Path(os.environ.get("STATE_DIRECTORY", "").split(":")[0] or cache_folder())


def _boot() -> tuple[float, str]:
    """Seconds since boot, and the boot's id."""
    boot_id = _BOOT_ID.read_text().strip() if _BOOT_ID.is_file() else ""
    return time.clock_gettime(time.CLOCK_BOOTTIME), boot_id


def before_restart(reboot_allowed: bool, reason: str = "") -> None:
    """Call this before the process exits with 75; requests a reboot if the last restart did not help."""
    if not note_restart(_folder(), *_boot(), reason):
        return
    if not reboot_allowed:
        log.error("a restart did not help; set recovery.reboot=true to let this program request a reboot")
        return
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    if not runtime:
        log.error("a restart did not help; a reboot can only be requested under the systemd unit")
        return
    log.error("a restart did not help; requesting a reboot")
    Path(runtime, "reboot").touch()  # watched by the unit emotion-edge-reboot.path
    time.sleep(SEEN_S)  # systemd removes the folder when the process ends; the path unit must see it first
