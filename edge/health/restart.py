"""Records restarts and, if a restart did not help and the operator allows it, requests a reboot."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from typing import Any

from edge.errors import EdgeError
from edge.system import strict_json
from edge.system.cache import cache_folder
from edge.system.checked_file import FileRefused
from edge.system.json_schema import is_printable, problems
from edge.system.one_line import one_line
from edge.system.ownership import read_own, write_own

log = logging.getLogger("edge")
SOON_S = 600.0  # a second restart within this time means that the first one did not help
SEEN_S = 3.0  # for systemd to see the request; up to 5 s of the watchdog's 10 s have passed by then
_FILE = "restart.json"
_MOST, _REASON_CHARACTERS = 10**9, 1000
_FIELDS = {
    "boot_id": {"type": "string", "maxLength": 64, "format": "printable"},
    "at_s": {"type": "number", "minimum": 0, "maximum": 1e12},
    "count": {"type": "integer", "minimum": 1, "maximum": _MOST},
    "reason": {"type": "string", "maxLength": _REASON_CHARACTERS, "format": "printable"},
}
_RECORD = {"type": "object", "properties": _FIELDS, "required": list(_FIELDS), "maxProperties": len(_FIELDS)}
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def note_restart(folder: Path, now_s: float, boot_id: str, reason: str = "") -> bool:
    """Record a restart request and its reason; True if there was another one shortly before.

    ``now_s`` counts from boot, so that it is not affected by jumps of the wall clock.
    """
    last = _read_record(folder)
    soon = last is not None and last["boot_id"] == boot_id and 0 <= now_s - last["at_s"] <= SOON_S
    count = min(last["count"] + 1, _MOST) if last else 1
    told = (reason if is_printable(reason) else ascii(reason)[1:-1])[:_REASON_CHARACTERS]
    record = {"boot_id": boot_id, "at_s": now_s, "count": count, "reason": told}
    try:
        write_own(folder / _FILE, json.dumps(record).encode())
    except EdgeError as error:
        log.warning("a restart cannot be recorded: %s", one_line(str(error)))
    return soon


def restarts(folder: Path, now_s: float, boot_id: str) -> dict[str, Any]:
    """Number of restart requests, and reason and age in seconds of the last; None if before this boot."""
    last = _read_record(folder)
    if last is None:
        return {"count": 0}
    ago_s = round(now_s - last["at_s"], 1) if last["boot_id"] == boot_id else None
    return {"count": last["count"], "last_ago_s": ago_s, "reason": last["reason"]}


def restarts_here() -> dict[str, Any]:
    """``restarts`` of this program on this machine, for its health; empty if they cannot be read."""
    try:
        return restarts(_folder(), *_boot())
    except EdgeError:
        return {}


def _read_record(folder: Path) -> dict[str, Any] | None:
    """The last record; None if there is none, it does not fit, or another user can have written it."""
    try:
        record: dict[str, Any] = strict_json.loads(read_own(folder / _FILE))
        return None if any(problems(record, _RECORD, _RECORD)) else record
    except (FileRefused, ValueError):
        return None


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
