"""The last rungs: what the supervisor's restart did not mend may need a reboot, if the operator allows it."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path

from edge.errors import EdgeError
from edge.fetch import cache_folder
from edge.files import replace

log = logging.getLogger("edge")
SOON_S = 600.0  # a second restart for the same reason within this time was of no use
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def note_restart(folder: Path, now_s: float, boot_id: str) -> bool:
    """Remember that a restart is asked for now; True where one was of no use a short while ago.

    ``now_s`` counts from the boot, so that a wall clock that jumps changes nothing.
    """
    path = folder / "restart.json"
    try:
        last = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        last = {}
    again = isinstance(last, dict) and last.get("boot_id") == boot_id
    soon = again and 0 <= now_s - float(last.get("at_s", now_s - 2 * SOON_S)) <= SOON_S
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace(path, json.dumps({"boot_id": boot_id, "at_s": now_s}).encode())
    except (OSError, EdgeError) as error:
        log.warning("a restart cannot be remembered: %s", error)
    return bool(soon)


def before_restart(reboot_allowed: bool) -> None:
    """To be called before the process ends with 75; asks for a reboot where the last restart did not help."""
    folder = Path(os.environ.get("STATE_DIRECTORY", "").split(":")[0] or cache_folder())
    boot_id = _BOOT_ID.read_text().strip() if _BOOT_ID.is_file() else ""
    if not note_restart(folder, time.clock_gettime(time.CLOCK_BOOTTIME), boot_id):
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
    time.sleep(5)  # systemd removes the folder when the process ends; the path unit must see it first
