"""The device rules of the service, enforced: systemd is PID 1 of an emulated arm64 machine.

A container cannot show this: its own devices are bound to the rules of whoever started it. The unit is the
one that ``service install`` writes, but for the program, which tries to open nodes and reads the camera.
What is refused there anyone may open by its mode, and a user without rights does open it in the same boot;
and root is refused it under the unit's device lines alone. So it is these lines that refuse. Under
``DevicePolicy=`` without ``DeviceAllow=`` the camera is refused too, so it is the latter that open it.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import machine_v4l2 as machine
import pytest
import rootfs

from edge.config import Config, SourceConfig
from edge.deploy.units import SERVICE, Board, units

pytestmark = pytest.mark.boards

HERE = Path(__file__).parent
PROGRAM = "/usr/bin/env PYTHONPATH=/opt/site:/opt /usr/bin/python3 -B /opt/inside_devices.py"
# What systemd does at a first start, and for a machine with disks, takes an emulator more than a minute.
INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin
echo 0123456789abcdef0123456789abcdef > /etc/machine-id
rm -r /usr/lib/systemd/system/sysinit.target.wants
exec /usr/lib/systemd/systemd --unit=drive.service
"""
DRIVE = f"""[Unit]
Wants=systemd-udevd.service systemd-journald.service
After=systemd-udevd.service
SuccessAction=poweroff-immediate
FailureAction=poweroff-immediate
[Service]
Type=oneshot
ExecStart={PROGRAM} drive
StandardOutput=file:/dev/hvc0
StandardError=file:/dev/ttyAMA0
"""
CAMERA = ("/dev/video0", "/dev/media0")
HARMLESS = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
REFUSED = ("/dev/fuse", "/dev/gpiochip0", "/dev/vcs", "/dev/ttyAMA0")
FOR_ROOT = ("/dev/mem", "/dev/video9", "/dev/kmsg")  # the kernel wants a capability for these, too
RULES, CLOSED = "rules.service", "closed.service"  # root under the unit's device lines; under the first alone


def overlay(folder: Path) -> dict[str, Path]:
    """The files of this run by their places in the machine."""
    (folder / "etc").mkdir()
    (folder / "etc/group").write_text("video:x:44:\n")  # as the machine has it
    texts = units(Config(source=SourceConfig(address="/dev/video0")), ["python"], [], 150, Board.of(folder))
    ours, replaced = re.subn(
        "(?m)^ExecStart=.*$", f"ExecStart={PROGRAM} service /var/lib/emotion-edge/seen.json", texts[SERVICE]
    )
    assert replaced == 1
    rules = "\n".join(re.findall("(?m)^Device.*$", ours))
    texts |= {SERVICE: ours, "drive.service": DRIVE}
    texts |= {RULES: as_root("rules", rules), CLOSED: as_root("closed", rules.splitlines()[0])}
    (folder / "init").write_text(INIT)
    (folder / "init").chmod(0o755)
    files = {"/init": folder / "init", "/opt/edge": HERE.parents[1] / "edge"}
    for name, text in texts.items():
        (folder / name).write_text(text)
        files[f"/etc/systemd/system/{name}"] = folder / name
    return files | {"/opt/inside_devices.py": HERE / "inside_devices.py"}


def as_root(name: str, rules: str) -> str:
    """A unit without a sandbox but for ``rules``."""
    return f"[Service]\nType=oneshot\nExecStart={PROGRAM} root /run/{name}.json\n{rules}\n"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What inside_devices.py reports."""
    if reason := machine.why_not():
        pytest.skip(reason)
    files = overlay(tmp_path_factory.mktemp("overlay"))
    began = time.monotonic()
    try:
        said, console = machine.run(tmp_path_factory.mktemp("machine"), files, timeout=400)
    except rootfs.Offline as error:
        pytest.skip(f"the machine cannot be built without network: {error}")
    print(f"{time.monotonic() - began:.0f} s in all\n{said}")  # the figures, for pytest -rA
    assert said.endswith("}\n"), f"it did not come to its end:\n{said[-1000:]}\n{console[-3000:]}"
    return json.loads(said)


def found(seen: dict, node: str) -> dict[str, str]:
    """What came of opening ``node``: by root, by a user without rights, and in each unit."""
    return {who: seen[who]["nodes"][node] for who in ("free", "nobody", SERVICE, RULES, CLOSED)}


def test_the_service_runs_in_its_sandbox_under_systemd(seen: dict) -> None:
    assert seen["pid1"] == "systemd"
    assert {"ActiveState=active", "Result=success", "NRestarts=0"} <= set(seen["show"]), seen["journal"]
    status = seen[SERVICE]["status"]
    assert int(status["Uid"]) >= 61184, "a dynamic user"
    assert (int(status["CapEff"], 16), status["NoNewPrivs"], status["Seccomp"]) == (0, "1", "2")


def test_the_camera_is_read_in_the_sandbox(seen: dict) -> None:
    assert seen["mode"] == "0o660", "udev's; the service is in the group video"
    camera = seen[SERVICE]["camera"]
    assert "error" not in camera, camera["error"]
    assert (camera["frames"], camera["shape"]) == (20, [360, 640])
    assert camera["levels"] >= 7, "the bars of the test picture"


@pytest.mark.parametrize("node", CAMERA)
def test_the_camera_is_open_for_it_is_allowed(seen: dict, node: str) -> None:
    opened = {"free": "open", "nobody": "open", SERVICE: "open", RULES: "open"}
    assert found(seen, node) == {**opened, CLOSED: "EPERM"}


@pytest.mark.parametrize("node", HARMLESS)
def test_what_every_program_needs_is_open(seen: dict, node: str) -> None:
    assert set(found(seen, node).values()) == {"open"}


@pytest.mark.parametrize("node", REFUSED)
def test_other_devices_are_refused(seen: dict, node: str) -> None:
    refused = {SERVICE: "EPERM", RULES: "EPERM", CLOSED: "EPERM"}
    assert found(seen, node) == {"free": "open", "nobody": "open", **refused}


@pytest.mark.parametrize("node", FOR_ROOT)
def test_the_rules_alone_refuse_root(seen: dict, node: str) -> None:
    """``/dev/video9`` is the memory under the name of a camera: what counts is the number."""
    opened = found(seen, node)
    assert (opened["free"], opened[RULES]) == ("open", "EPERM")
    assert opened[SERVICE] in ("EPERM", "EACCES"), "the latter where ProtectKernelLogs= hides it"


def test_a_disk_is_refused_before_its_driver_is_asked(seen: dict) -> None:
    refused = {SERVICE: "EPERM", RULES: "EPERM", CLOSED: "EPERM"}
    assert found(seen, "/dev/disk") == {"free": "ENXIO", "nobody": "ENXIO", **refused}


def test_no_node_can_be_made(seen: dict) -> None:
    assert (seen["free"]["mknod"], seen[RULES]["mknod"]) == ("made", "EPERM")
    assert seen[SERVICE]["mknod"] in ("EPERM", "EACCES", "EROFS"), "refused by more than the rules"
