"""What a process asks of Linux, to end with its parent and to stay in memory; and where children start."""

from __future__ import annotations

import ctypes
import logging
import os
import re
import signal
import sys
from pathlib import Path

log = logging.getLogger("edge")

# Python looks for modules in the current folder first: children start where this package lies, so that a
# folder named "edge" at the user's place is not taken for it.
START = Path(__file__).resolve().parents[2]
_PDEATHSIG = 1  # PR_SET_PDEATHSIG of prctl(2)
_MCL = 1 | 2 | 4  # MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT: what is there and what comes, once it is touched
_CAP_IPC_LOCK = 14  # of capabilities(7)


def die_with_parent() -> None:
    """Where the parent is killed, nobody else would end this process."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(0)


def stay_in_memory() -> None:
    """In a service, lock every page once it is touched, the libraries' code too: mlockall(2).

    Where memory runs out, Linux drops code first, and reads it from the disk again at every step: a program
    then stands still as long as it lives. One that cannot be dropped is killed at once, and started again.
    Children do not inherit the lock. Where locked memory is limited, as in some containers, nothing is
    locked, because an allocation over the limit would fail.
    """
    if "NOTIFY_SOCKET" not in os.environ:
        return
    if not may_lock():
        log.info("locked memory is limited: short of memory, this program may stand still")
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL):
        log.warning("its pages cannot be locked in memory: %s", os.strerror(ctypes.get_errno()))


def may_lock() -> bool:
    """Whether there is no limit on locked memory: LimitMEMLOCK= lifts it, and a capability ignores it."""
    import resource  # of Linux alone, as is all that is asked here

    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        return True
    found = re.search(r"CapEff:\s*([0-9a-f]+)", Path("/proc/self/status").read_text())
    return bool(found and int(found[1], 16) >> _CAP_IPC_LOCK & 1)
