"""A machine that is short of memory, and a program on it that holds most of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from container import HOME, Machine

MEMORY = 256  # MiB, of a machine that is short of it; the service needs half
# Leaves 40 MiB. In several processes, as a browser has them: the kernel kills what scores highest, by its
# share of the memory plus 1 for the service, plus 0.3 for a page. They grow as pages do: one that takes all
# in 50 ms finds the service killed, but its memory not yet given back, and is killed next.
PAGE = f"""
import os, time
os.fork(), os.fork()
held = []
for _ in range({(MEMORY - 40) // 4}):
    held.append(b"x" * (1 << 20))
    time.sleep(0.04)
time.sleep(600)
"""


@contextmanager
def page(machine: Machine) -> Iterator[None]:
    """A program that holds most of MEMORY, as the page of a kiosk might."""
    command = ["--unit=page", "--property=OOMScoreAdjust=300", f"/{HOME}/bin/python", "-c", PAGE]
    machine.run("systemd-run", *command)
    try:
        yield
    finally:
        machine.run("systemctl", "stop", "page.service")
