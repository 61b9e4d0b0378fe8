"""What a process asks of Linux, seen in /proc from a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from edge.system.process import START, may_lock

SERVICE = {**os.environ, "NOTIFY_SOCKET": "/nobody/listens"}
limited = pytest.mark.skipif(not may_lock(), reason="locked memory is limited (ulimit -l); no CAP_IPC_LOCK")

LOCK = """
import mmap, os, re, resource, sys
from pathlib import Path
from edge.system.process import stay_in_memory

def kb(name):
    return int(re.search(name + r":\\s*(\\d+)", Path("/proc/self/status").read_text())[1])

if "limited" in sys.argv:
    hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)[1]
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (min(hard % 2**64, 8 << 20),) * 2)
    os.geteuid() or os.setuid(65534)  # without capabilities
stay_in_memory()
before, held = kb("VmLck"), mmap.mmap(-1, 64 << 20)
print(before, kb("VmLck"), kb("VmRSS"))
"""


def lock(*words: str, environment: dict[str, str] = SERVICE) -> list[int]:
    """kB of address space locked, the same with 64 MiB more that are not touched, and kB in memory."""
    command = [sys.executable, "-c", LOCK, *words]
    done = subprocess.run(command, cwd=START, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return list(map(int, done.stdout.split()))


@limited
def test_what_is_locked_takes_no_more_memory() -> None:
    before, after, resident = lock()
    assert before > 1000
    assert after - before >= 64 << 10, "what comes is locked, too"
    assert resident < 64 << 10, "but only what is touched"


def test_where_locked_memory_is_limited_nothing_is_locked() -> None:
    assert lock("limited")[:2] == [0, 0]


def test_a_run_by_hand_locks_nothing() -> None:
    by_hand = {name: value for name, value in os.environ.items() if name != "NOTIFY_SOCKET"}
    assert lock(environment=by_hand)[:2] == [0, 0]


@limited
def test_the_command_locks_its_memory() -> None:
    program = """
import re
from pathlib import Path
from edge import __main__
__main__.main(["service", "print-unit", "0"])
print(re.search(r"VmLck:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=START, env=SERVICE, capture_output=True, text=True)
    assert int(done.stdout.splitlines()[-1]) > 1000, done.stderr
