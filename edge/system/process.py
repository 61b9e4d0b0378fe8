"""Linux process settings: ending with the parent, staying in memory, and the children's working folder."""

from __future__ import annotations

import ctypes
import logging
import os
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path

log = logging.getLogger("edge")

# Python searches the current folder for modules first. So children start in the folder that contains this
# package, and do not import a folder named "edge" from the user's working folder.
START = Path(__file__).resolve().parents[2]
_PDEATHSIG = 1  # PR_SET_PDEATHSIG of prctl(2)
_MCL = 1 | 2 | 4  # MCL_CURRENT, MCL_FUTURE, MCL_ONFAULT: present and future pages, once they are touched
_CAP_IPC_LOCK = 14  # of capabilities(7)
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)


def die_with_parent() -> None:
    """End this process when its parent dies, even if the parent is killed."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(0)


def run_when_idle() -> None:
    """Let this process run only while no other wants the processor or the disk: SCHED_IDLE of sched(7).

    Where a sandbox forbids that, it keeps the priority that it was started with.
    """
    with suppress(AttributeError, OSError):  # other systems than Linux have no such call
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def stay_in_memory() -> None:
    """In a service, lock every page once it is touched, including library code: mlockall(2).

    If memory runs out, Linux evicts code first and rereads it from the disk at every step, so that a program
    stalls indefinitely. If its code is locked, it is killed at once instead, and restarted. Children do not
    inherit the lock. If locked memory is limited, as in some containers, nothing is locked, because an
    allocation over the limit would fail.
    """
    if "NOTIFY_SOCKET" not in os.environ:
        return
    if not may_lock():
        log.info("locked memory is limited: if memory runs out, this program may stall")
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL):
        log.warning("pages cannot be locked in memory: %s", os.strerror(ctypes.get_errno()))


def keep_large_buffers(trim_bytes: int = 64 << 20) -> None:
    """Have glibc keep freed buffers of up to 32 MB, and up to ``trim_bytes`` of them: mallopt(3).

    By default it gives each array of a frame back to the kernel, in some processes and not in others. Taking
    it again costs up to a third of a frame's time in page faults.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library: slower, not wrong
        return
    mallopt(_TRIM_THRESHOLD, trim_bytes)
    mallopt(_MMAP_THRESHOLD, 32 << 20)  # the most that glibc takes


def may_lock() -> bool:
    """Whether locked memory is unlimited: LimitMEMLOCK= lifts the limit, and a capability overrides it."""
    import resource  # not available on every platform

    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        return True
    match = re.search(r"CapEff:\s*([0-9a-f]+)", Path("/proc/self/status").read_text())
    return bool(match and int(match[1], 16) >> _CAP_IPC_LOCK & 1)
