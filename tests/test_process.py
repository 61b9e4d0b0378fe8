"""What a process asks of Linux, seen in /proc from a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edge.process import START, may_lock

LOCK = """
import logging, mmap, os, re, resource, sys
from pathlib import Path
from edge.process import stay_in_memory

def kb(name):
    return int(re.search(name + r":\\s*(\\d+)", Path("/proc/self/status").read_text())[1])

if "limited" in sys.argv:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (8 << 20, 8 << 20))
    os.geteuid() or os.setuid(65534)  # without capabilities
stay_in_memory()
before, held = kb("VmLck"), mmap.mmap(-1, 64 << 20)
print(before, kb("VmLck"), kb("VmRSS"))
"""


def lock(*words: str) -> list[int]:
    """kB locked, the same with 64 MiB more that are not touched, and kB in memory."""
    command = [sys.executable, "-c", LOCK, *words]
    done = subprocess.run(command, cwd=START, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return list(map(int, done.stdout.split()))


@pytest.mark.skipif(not may_lock(), reason="locked memory is limited (ulimit -l); no CAP_IPC_LOCK")
def test_what_is_locked_takes_no_more_memory() -> None:
    before, after, resident = lock()
    assert before > 1000
    assert after - before >= 64 << 10, "what comes is locked, too"
    assert resident < 64 << 10, "but only what is touched"


def test_where_locked_memory_is_limited_nothing_is_locked() -> None:
    assert lock("limited")[:2] == [0, 0]
