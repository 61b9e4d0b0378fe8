"""Memory: enough for the network, and whether it ran out before."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edge.doctor.machine import Machine
from edge.system.finding import FAULT, NOTE, OK, WARNING, Finding

_NEEDS_MB = 125  # of a run on the processor, docs/service.md
_TOTAL_MB = 400


def look(machine: Machine) -> Iterator[Finding]:
    """Total, available, and processes that the kernel has ended for want of it."""
    figures = {
        name: int(kilobytes) / 1e3
        for name, kilobytes in re.findall(
            r"^(\w+):\s{0,20}(\d{1,12}) kB$", machine.text("proc/meminfo"), re.M
        )
    }
    total, available = figures.get("MemTotal"), figures.get("MemAvailable")
    if total is None or available is None:
        yield Finding("memory", NOTE, "/proc/meminfo does not tell how much there is")
    elif total < _TOTAL_MB:
        yield Finding(
            "memory", FAULT, f"{total:.0f} MB; {_TOTAL_MB} are needed", "take a board with 1 GB or more"
        )
    elif available < _NEEDS_MB:
        text = f"{available:.0f} MB of {total:.0f} are available; a run takes {_NEEDS_MB}"
        yield Finding("memory", WARNING, text, "ps -eo rss,comm --sort=-rss | head; end what is not needed")
    else:
        yield Finding("memory", OK, f"{available:.0f} MB of {total:.0f} are available")
    killed = re.search(r"^oom_kill (\d{1,10})$", machine.text("proc/vmstat"), re.MULTILINE)
    if killed and int(killed[1]):
        text = f"memory ran out: the kernel ended {killed[1]} processes since the start of the board"
        yield Finding("memory", WARNING, text, "sudo journalctl -k -g 'Out of memory'")
