"""A container with the package, and its service: installed, running, short of memory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import installed
import kit_board
import pytest
import rootfs
from container import Machine, boot, flowing, until
from kiosk_page import MEMORY
from kit_board import Board

DROP_IN = """
[Service]
ExecStartPre=-/bin/rm -f /var/lib/emotion-edge/estimates.jsonl
ExecStart=
ExecStart=/opt/emotion-edge/bin/python -I /opt/emotion-edge/looped_camera.py run -c /etc/emotion-edge.toml
CapabilityBoundingSet=CAP_IPC_LOCK
AmbientCapabilities=CAP_IPC_LOCK
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A running system with the package and a configuration, thrown away afterwards."""
    if reason := installed.why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("machine")
    try:
        with installed.system(folder) as root:
            yield from boot(root, folder / "console.txt")
    except rootfs.Offline as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def service(machine: Machine) -> Machine:
    """The service installed by its own command, and running."""
    machine.configure()
    said = machine.edge("service", "install", "-c", "/etc/emotion-edge.toml")
    assert "next: systemctl start emotion-edge.service" in said
    assert machine.show("UnitFileState") == "enabled"
    drop_in = Path(f"/proc/{machine.pid}/root/etc/systemd/system/emotion-edge.service.d/test.conf")
    drop_in.parent.mkdir()
    drop_in.write_text(DROP_IN)
    machine.run("systemctl", "daemon-reload")
    return machine


@pytest.fixture
def running(service: Machine) -> Machine:
    """The service in good health, with a fresh count of restarts."""
    for name in ("hang", "no-camera", "hoards"):
        service.fault(name, False)
    service.configure()
    service.run("systemctl", "stop", "emotion-edge-retry.timer", "emotion-edge.service")
    service.run("systemctl", "reset-failed", "emotion-edge.service")
    service.run("systemctl", "start", "emotion-edge.service")
    until(flowing(service), 30, service.journal())
    return service


@pytest.fixture
def short_of_memory(running: Machine) -> Iterator[Machine]:
    """The whole machine has MEMORY, and no swap; the service's code counts as part of it, as on a board."""
    cache = Path("/proc/sys/vm/drop_caches")
    if not running.memory.enforces() or not os.access(cache, os.W_OK):
        pytest.skip("the host has no memory controller, or its page cache cannot be dropped")
    running.run("systemctl", "stop", "emotion-edge.service")
    cache.write_text("3")  # else its code counts for whoever has read these files first
    running.run("systemctl", "start", "emotion-edge.service")
    until(flowing(running), 30, running.journal())
    running.memory.limit(MEMORY << 20)
    yield running
    running.memory.limit(None)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """A running Debian with OpenSSH and without a network, and two kits that only play the service."""
    if reason := installed.why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("kit")
    try:
        base = rootfs.with_packages("kit", kit_board.PACKAGES)
    except rootfs.Offline as error:
        pytest.skip(str(error))
    upper, work, root = (folder / name for name in ("upper", "work", "root"))
    for path in (upper, work, root):
        path.mkdir(mode=0o755)
    layers = f"lowerdir={base},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(root)], check=True)
    key = kit_board.new_key(folder / "maker")
    kits = {version: kit_board.make_kit(folder, version, key=key) for version in ("1.0", "1.1")}
    try:
        for machine in boot(root, folder / "console.txt"):
            yield Board(machine, folder, kit_board.let_in(machine, folder), kits)
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=False)


@pytest.fixture
def with_one(board: Board) -> Board:
    """Version 1.0 is installed and ready."""
    code, _, fault = board.install(board.kits["1.0"], "--downgrade")
    assert code == 0, fault
    return board
