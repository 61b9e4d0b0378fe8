"""The wall clock: a chip that keeps it, and a time server that sets it."""

from __future__ import annotations

import calendar
import time
from collections.abc import Callable, Iterator

from edge.doctor.machine import Machine
from edge.system.clock import is_synchronized
from edge.system.finding import NOTE, OK, WARNING, Finding
from edge.version import RELEASED

_OLDEST_S = calendar.timegm(time.strptime(RELEASED, "%Y-%m-%d"))  # no right clock is before
_FLAGS = "until a time server answers, times are flagged (utc_sure is false)"
_SERVER = "sudo timedatectl set-ntp true; timedatectl timesync-status"


def look(machine: Machine, now: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Whether times in the outputs can be believed; ``now`` is the wall clock, in seconds as of time()."""
    chip = machine.exists("sys/class/rtc/rtc0")
    if not machine.live:
        kept = "a chip keeps the time" if chip else f"no chip keeps the time without power: {_FLAGS}"
        yield Finding("clock", OK if chip else NOTE, kept)
    elif (seconds := now()) < _OLDEST_S:
        year = time.gmtime(seconds).tm_year
        yield Finding(
            "clock",
            WARNING,
            f"it says the year {year}, before this version was made on {RELEASED}; {_FLAGS}",
            _SERVER,
        )
    elif not is_synchronized():
        if chip:
            yield Finding("clock", NOTE, f"no time server has set it; {_FLAGS}", _SERVER)
        else:
            text = f"no chip keeps the time without power, and no time server has set it; {_FLAGS}"
            yield Finding("clock", WARNING, text, _SERVER)
    else:
        yield Finding(
            "clock", OK, "set by a time server" + ("" if chip else "; no chip keeps it without power")
        )
