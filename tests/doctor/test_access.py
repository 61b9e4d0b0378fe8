"""Groups, device nodes and the socket of NVIDIA's camera daemon, on a tree that is looked at as if it ran."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from board_trees import JP6, PC, plant

from edge.config import Config, SourceConfig
from edge.doctor import access, clock, libraries, storage
from edge.doctor.machine import Machine
from edge.system.finding import Finding


def live(root: Path, address: str = "demo") -> Machine:
    machine = Machine(root, Config(source=SourceConfig(address=address)))
    machine.live = True
    return machine


def only(findings: list[Finding]) -> tuple[str, str]:
    (found,) = findings
    return found.level, found.text


def test_a_node_that_the_service_may_not_open(tmp_path: Path) -> None:
    root = plant(tmp_path, PC, {"dev/video0": "", "etc/group": f"video:x:{os.getgid()}:\n"})
    (root / "dev/video0").chmod(0o660)
    assert not list(access.devices(live(root)))
    (root / "dev/video0").chmod(0o600)
    level, text = only(list(access.devices(live(root))))
    assert level == "warning"
    assert "dev/video0 (group " in text
    assert text.endswith(", mode 600)")


def test_a_node_that_belongs_to_no_group_of_the_service(tmp_path: Path) -> None:
    root = plant(tmp_path, PC, {"dev/vcio": "", "etc/group": f"video:x:{os.getgid() + 1}:\n"})
    (root / "dev/vcio").chmod(0o660)
    assert only(list(access.devices(live(root))))[0] == "warning"
    (root / "dev/vcio").chmod(0o666)
    assert not list(access.devices(live(root)))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_user_outside_the_groups(tmp_path: Path) -> None:
    root = plant(tmp_path, PC, {"dev/video0": ""})
    assert only(list(access.groups(live(root))))[0] == "ok"
    (root / "dev/video0").chmod(0)
    (found,) = access.groups(live(root))
    assert found.level == "warning"
    assert found.fix.startswith("sudo usermod -aG video")


def test_the_socket_of_argus(tmp_path: Path) -> None:
    root = plant(tmp_path, JP6, {"tmp/x": ""})
    level, text = only(list(access.argus(live(root, "csi://0"))))
    assert (level, "no daemon for CSI cameras" in text) == ("fault", True)
    assert not list(access.argus(live(root, "/dev/video0")))
    with socket.socket(socket.AF_UNIX) as daemon:
        here = os.getcwd()
        os.chdir(root / "tmp")  # the path of a socket has 107 characters at most
        try:
            daemon.bind("argus_socket")
        finally:
            os.chdir(here)
        assert only(list(access.argus(live(root, "csi://0"))))[0] == "ok"


def test_a_disk_that_fills_up(tmp_path: Path) -> None:
    disk = os.statvfs_result((4096, 4096, 10**6, 10**5, 10**5, 10**6, 10**5, 10**5, 0, 255))
    seen = list(disk)
    levels = []
    for blocks in (10**5, 10_000, 1000):
        seen[4] = blocks
        levels.append(storage._space("/var", os.statvfs_result(seen)).level)
    assert levels == ["ok", "warning", "fault"]
    seen[4], seen[7] = 10**5, 5
    assert "names for 5 files" in storage._space("/var", os.statvfs_result(seen)).text


def test_the_clock_without_a_chip(tmp_path: Path) -> None:
    levels = [
        only(list(clock.look(live(plant(tmp_path / str(n), tree)))))[0]
        for n, tree in enumerate(({"x": ""}, PC))
    ]
    assert levels in (["warning", "note"], ["ok", "ok"]), "as this machine's clock is set or not"


def test_a_library_that_is_missing_or_kills_its_process(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "killed.py").write_text("import os; os.kill(os.getpid(), 4)\n")
    (tmp_path / "named.py").write_text("__version__ = '1.2'\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert libraries.asked("named") == ("1.2", "")
    assert libraries.asked("none_such")[1] == "ModuleNotFoundError: No module named 'none_such'"
    assert libraries.asked("killed") == ("", "it ends with SIGILL, as on another processor")
