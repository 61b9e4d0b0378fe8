"""A kit in a whole arm64 machine without a network: first power, later starts, faults, a read-only root.

The package is unpacked into the disk by this machine's dpkg, as flashing does; the machine does the rest.
Times are those of an emulator, and are only printed.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import kit_machine
import kits
import pytest
import rootfs
from kit_machine import ARM64, Machine

pytestmark = [pytest.mark.boards, pytest.mark.slow]

HEALTH = "/run/emotion-edge/health.json"
ACTIVE = "systemctl --quiet is-active emotion-edge.service"
FRAMES = f"grep --quiet '\"frames\": [1-9]' {HEALTH}"
SERVING = f"{ACTIVE} && {FRAMES}"
WHERE_TIME_WENT = """systemd-analyze critical-chain emotion-edge.service; systemd-analyze blame | head -n 12
journalctl --no-pager --boot --output short-monotonic --unit 'emotion-edge*'"""
START_S = 900  # an emulator on a busy machine


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk with Debian, on which the kit is unpacked and not yet configured."""
    if reason := ARM64.why_not():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("disk")
    try:
        root = ARM64.copy_of_root(folder / "root")
    except rootfs.Offline as error:
        pytest.skip(f"the machine cannot be built without network: {error}")
    kit_machine.unpack(root, kits.make("pi-trixie", folder))
    kits.unhurried(root)
    return kit_machine.disk(root, folder / "disk.img")


@pytest.fixture(scope="module")
def machine(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The machine after its first start; what a test changes, it puts back."""
    with kit_machine.started(disk, tmp_path_factory.mktemp("first")) as first:
        print(f"first power to first frame: {first.wait(SERVING, START_S):.0f} s, emulated")
        yield first


def health(machine: Machine) -> dict:
    return json.loads(machine.said_by(f"cat {HEALTH}"))


def test_the_first_start_installs_and_serves(machine: Machine) -> None:
    assert machine.said_by("dpkg-query --show --showformat '${db:Status-Abbrev}\\n' emotion-edge") == "ii "
    found = health(machine)
    assert found["engine"] == "fp32 on ONNX Runtime"
    assert found["frames"] >= 1
    assert "missing" not in found or not [text for text in found["missing"] if "camera" in text]
    assert "emotion-edge-firstboot.service" not in machine.run("systemctl --failed")


def test_it_needed_no_network(machine: Machine) -> None:
    assert machine.said_by("ls /sys/class/net") == "lo"
    needed = machine.run("systemctl list-dependencies --plain emotion-edge.service").split()
    assert not {"network.target", "network-online.target"} & set(needed)


def test_the_files_are_those_of_the_package(machine: Machine) -> None:
    assert machine.said_by("dpkg --verify emotion-edge") == ""


def test_what_was_killed_comes_back(machine: Machine) -> None:
    before = machine.said_by("systemctl show --value --property=MainPID emotion-edge")
    machine.run(f"kill -9 {before}; sleep 1")
    print(f"serving {machine.wait(SERVING, START_S) - machine.since():.0f} s after a kill, emulated")
    assert machine.said_by("systemctl show --value --property=MainPID emotion-edge") != before


def test_other_devices_are_closed(machine: Machine) -> None:
    """The rules of the packaged unit, enforced by this machine's kernel."""
    own = "systemctl show --value --property=DeviceAllow emotion-edge"
    allowed = machine.said_by(own)
    assert "char-video4linux" in allowed
    run = f"systemd-run --pipe --wait --quiet --property=DevicePolicy=closed {_rules(allowed)}"
    assert machine.run(f"{run} head -c 1 /dev/vda").split()[-1] != "0"
    assert machine.run(f"{run} test -r /dev/video0").split()[-1] == "0"


def test_a_full_disk_does_not_end_it(machine: Machine) -> None:
    machine.run("fallocate --length 100G /var/fill; cat /dev/zero > /var/fill", timeout=300)
    before = health(machine)["frames"]
    machine.wait(f"[ $(grep --only-matching '\"frames\": [0-9]*' {HEALTH} | cut -d' ' -f2) -gt {before} ]")
    machine.run("rm /var/fill")
    assert machine.run(ACTIVE).split()[-1] == "0"


def test_a_later_start_is_faster(machine: Machine, disk: Path, tmp_path: Path) -> None:
    """Last but one of this machine: it is switched off."""
    machine.off()
    with kit_machine.started(disk, tmp_path) as again:
        print(f"later power to first frame: {again.wait(SERVING, START_S):.0f} s, emulated")
        print(again.run(WHERE_TIME_WENT, timeout=300))
        again.off()


def test_a_read_only_root_serves(disk: Path, tmp_path: Path) -> None:
    """With /var in memory, as the vendors' own switches have it."""
    with kit_machine.started(disk, tmp_path, "ro systemd.volatile=state") as machine:
        print(f"read-only, power to first frame: {machine.wait(SERVING, START_S):.0f} s, emulated")
        machine.off()


def _rules(allowed: str) -> str:
    pairs = [line.split() for line in allowed.splitlines() if line.split()]
    return " ".join(f"--property='DeviceAllow={name} {mode}'" for name, mode in pairs)


def test_a_disk_that_was_checked_is_whole(disk: Path) -> None:
    """After all of that."""
    done = subprocess.run(["e2fsck", "-f", "-n", str(disk)], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stdout[-500:]
