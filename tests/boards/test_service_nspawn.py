"""The real unit under the real systemd: started, killed, hung, stopped, reloaded, broken, removed.

A Debian trixie boots as a container without any network. The package is installed there as from a wheel,
``emotion-edge service install`` writes its unit, and only ExecStart is replaced: ``looped_camera.py`` stands
for a camera. Not covered here: device rules and the CPU cap, which a container cannot enforce.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest
import rootfs

pytestmark = pytest.mark.boards

ROOT = Path(__file__).parents[2]
HOME = "opt/emotion-edge"
SITE = f"{HOME}/lib/python3.13/site-packages"
WHEELS = ["numpy", "onnxruntime>=1.17", "opencv-python-headless>=4.8,<5"]
CONFIG = """
[source]
address = "picam://0"
[detector]
kind = "haar"
[output]
jsonl = "estimates.jsonl"
health = "/run/emotion-edge/health.json"
[decision]
abstain_below = {abstain}
"""
DROP_IN = """
[Service]
ExecStart=
ExecStart=/opt/emotion-edge/bin/python -I /opt/emotion-edge/looped_camera.py run -c /etc/emotion-edge.toml
"""


class Machine:
    """A booted container."""

    def __init__(self, root: Path, process: subprocess.Popen[bytes]) -> None:
        self.root, self.process = root, process
        self.pid = ""

    def wait_for_boot(self) -> None:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")

        def up() -> bool:
            self.pid = children.read_text().strip()
            return bool(self.pid) and self.run("systemctl", "is-system-running").strip() == "running"

        until(up, 60, "the container did not boot")

    def run(self, *words: str) -> str:
        """What a command inside prints; its exit code does not matter."""
        enter = ["nsenter", "-t", self.pid, "--all", "--root", "--wdns=/", "env", "-i"]
        done = subprocess.run(
            [*enter, "PATH=/usr/sbin:/usr/bin", "LANG=C.UTF-8", *words],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        return done.stdout + done.stderr

    def edge(self, *words: str) -> str:
        return self.run(f"/{HOME}/bin/python", "-I", "-m", "edge", *words)

    def show(self, name: str, unit: str = "emotion-edge.service") -> str:
        """One property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def main_pid(self) -> str:
        return self.show("MainPID")

    def lines(self) -> int:
        """Estimates written so far by this run of the service."""
        file = f"/proc/{self.pid}/root/var/lib/private/emotion-edge/estimates.jsonl"
        return Path(file).read_bytes().count(b"\n") if Path(file).exists() else 0

    def fault(self, name: str, there: bool) -> None:
        path = f"/run/emotion-edge/{name}"
        self.run("touch", path) if there else self.run("rm", "-f", path)

    def configure(self, abstain: str = "0.5") -> None:
        Path(f"/proc/{self.pid}/root/etc/emotion-edge.toml").write_text(CONFIG.format(abstain=abstain))

    def journal(self) -> str:
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", "emotion-edge.service")


def until(true: Callable[[], bool], seconds: float, complaint: str) -> float:
    """Seconds until ``true``; fails after ``seconds``."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, complaint
        time.sleep(0.02)
    return time.monotonic() - began


def flowing(machine: Machine, not_pid: str = "") -> Callable[[], bool]:
    """Whether a process other than ``not_pid`` is ready and has written estimates."""
    return lambda: (
        machine.show("ActiveState") == "active"
        and machine.main_pid() not in ("0", not_pid)
        and machine.lines() > 0
    )


def fill(root: Path) -> None:
    """The virtual environment with the wheels, from the host's pip, which knows its way to them."""
    made = rootfs.run(root, ["python3", "-m", "venv", "--without-pip", f"/{HOME}"])
    assert made.returncode == 0, made.stderr
    platforms = [f"--platform=manylinux{tag}_x86_64" for tag in ("_2_28", "_2_27", "2014")]
    pip(root, "--python-version=3.13", *platforms, "--only-binary=:all:", *WHEELS)


def pip(root: Path, *words: str) -> None:
    quiet = ["--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]
    command = [sys.executable, "-m", "pip", "install", *quiet, "--target", str(root / SITE), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def write_clip(path: Path) -> None:
    """The part of the demo's scene in which a face is always seen."""
    from edge.capture.demo import FPS, HEIGHT, WIDTH, DemoSource

    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), FPS, (WIDTH, HEIGHT))
    with DemoSource() as scene:
        for frame in scene.frames():
            if 2.5 <= frame.timestamp_s < 10.5:
                writer.write(frame.image)
    writer.release()


def install_package(root: Path, copy: Path) -> None:
    """As a user does: from the sources, by pip; from a copy, because setuptools writes beside them."""
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("edge", "export", "calibration", "benchmarks"):
        shutil.copytree(ROOT / name, copy / name, ignore=unwanted)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    pip(root, "--no-deps", str(copy))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A running system with the package and a configuration, thrown away afterwards."""
    reason = rootfs.why_not()
    if reason is None and shutil.which("systemd-nspawn") is None:
        reason = "not installed: systemd-nspawn (package systemd-container)"
    if reason:
        pytest.skip(reason)
    try:
        base = rootfs.with_packages("service", ["procps", "iproute2"], fill, version="|".join(WHEELS))
    except rootfs.Offline as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("machine")
    upper, work, root = (folder / name for name in ("upper", "work", "root"))
    for path in (upper, work, root):
        path.mkdir(mode=0o755)
    layers = f"lowerdir={base},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(root)], check=True)
    try:
        install_package(root, folder / "copy")
        write_clip(root / HOME / "clip.avi")
        shutil.copy(Path(__file__).with_name("looped_camera.py"), root / HOME)
        yield from boot(root, folder / "console.txt")
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=False)


def boot(root: Path, console: Path) -> Iterator[Machine]:
    command = ["systemd-nspawn", "--quiet", "--keep-unit", "--register=no", "--private-network"]
    with console.open("wb") as said:
        process = subprocess.Popen(
            [*command, "--directory", str(root), "--boot", "--console=pipe"],
            stdin=subprocess.DEVNULL, stdout=said, stderr=said,
        )  # fmt: skip
    booted = Machine(root, process)
    try:
        booted.wait_for_boot()
        yield booted
    finally:
        if booted.pid:
            booted.run("systemctl", "poweroff")
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def service(machine: Machine) -> Machine:
    """The service installed by its own command, and running."""
    machine.configure()
    said = machine.edge("service", "install", "-c", "/etc/emotion-edge.toml")
    assert "now: systemctl start emotion-edge.service" in said
    assert machine.show("UnitFileState") == "enabled"
    drop_in = Path(f"/proc/{machine.pid}/root/etc/systemd/system/emotion-edge.service.d/test.conf")
    drop_in.parent.mkdir()
    drop_in.write_text(DROP_IN)
    machine.run("systemctl", "daemon-reload")
    return machine


@pytest.fixture
def running(service: Machine) -> Machine:
    """The service in good health, with a fresh count of restarts."""
    for name in ("hang", "no-camera"):
        service.fault(name, False)
    service.configure()
    service.run("systemctl", "stop", "emotion-edge-retry.timer", "emotion-edge.service")
    service.run("systemctl", "reset-failed", "emotion-edge.service")
    service.run("systemctl", "start", "emotion-edge.service")
    until(flowing(service), 30, service.journal())
    return service


def test_it_runs_as_nobody_without_a_network(running: Machine) -> None:
    began = int(running.show("InactiveExitTimestampMonotonic"))
    seconds = (int(running.show("ActiveEnterTimestampMonotonic")) - began) / 1e6
    print(f"ready after {seconds:.1f} s")
    owner = int(running.run("ps", "-o", "uid=", "-p", running.main_pid()))
    assert 61184 <= owner <= 65519, "systemd's range of dynamic users"
    assert running.run("ip", "-brief", "link").split()[0] == "lo", "no network but loopback"
    assert "picam://0" in running.edge("service", "status")
    assert running.show("CPUQuotaPerSecUSec") == "1.500000s"
    assert "unchanged" in running.edge("service", "install", "-c", "/etc/emotion-edge.toml")


def test_killed_it_is_back(running: Machine) -> None:
    pid = running.main_pid()
    began = time.monotonic()
    running.run("kill", "-9", pid)
    seconds = until(flowing(running, pid), 20, "not back after kill -9")
    ready = int(running.show("ActiveEnterTimestampMonotonic")) / 1e6 - began
    print(f"kill -9 to ready: {ready:.1f} s, to estimates: {seconds:.1f} s")
    assert ready <= 3


@pytest.mark.parametrize("how", ["stopped process", "hanging detector"])
def test_hung_it_is_started_again_by_the_watchdog(running: Machine, how: str) -> None:
    pid = running.main_pid()
    running.run("kill", "-STOP", pid) if how == "stopped process" else running.fault("hang", True)
    gone = until(lambda: running.main_pid() != pid, 30, f"{how}: the watchdog did not strike")
    running.fault("hang", False)
    back = gone + until(flowing(running, pid), 20, "not back")
    print(f"{how}: process gone after {gone:.1f} s, estimates after {back:.1f} s")
    assert "Watchdog timeout" in running.journal()
    assert back <= 15


def test_a_lost_camera_is_waited_for_without_a_restart(running: Machine) -> None:
    pid = running.main_pid()
    running.fault("no-camera", True)
    time.sleep(13)  # longer than the watchdog
    assert running.main_pid() == pid
    running.fault("no-camera", False)
    before = running.lines()
    seconds = until(lambda: running.lines() > before, 20, "no estimates after the camera came back")
    print(f"camera back to estimates: {seconds:.1f} s")
    assert running.main_pid() == pid


def test_told_to_stop_it_stops_cleanly(running: Machine) -> None:
    slowest = 0.0
    for _ in range(5):
        began = time.monotonic()
        running.run("systemctl", "stop", "emotion-edge.service")
        slowest = max(slowest, time.monotonic() - began)
        assert (running.show("ActiveState"), running.show("Result")) == ("inactive", "success")
        running.run("systemctl", "start", "emotion-edge.service")
        until(flowing(running), 20, "not back")
    assert running.show("ActiveState", "emotion-edge-retry.timer") == "inactive"
    print(f"SIGTERM to stopped: at most {slowest:.2f} s")
    assert slowest <= 2


def test_reload_takes_the_new_configuration_and_keeps_the_old_one_if_it_is_broken(running: Machine) -> None:
    pid = running.main_pid()

    def uncertain() -> bool:
        file = Path(f"/proc/{running.pid}/root/var/lib/private/emotion-edge/estimates.jsonl")
        found = file.read_text().splitlines()
        return bool(found) and json.loads(found[-1])["label"] == "uncertain"

    running.configure(abstain="1.0")
    running.run("systemctl", "reload", "emotion-edge.service")
    seconds = until(uncertain, 20, "the new threshold is not used")
    print(f"reload to estimates with the new threshold: {seconds:.1f} s")
    running.configure(abstain='"broken"')
    running.run("systemctl", "reload", "emotion-edge.service")
    until(lambda: "decision.abstain_below" in running.journal(), 20, "the fault is not said")
    until(lambda: running.show("ActiveState") == "active", 20, "still reloading")
    assert running.main_pid() == pid, "neither may restart the process"


def test_a_permanent_fault_is_shown_and_mending_it_is_noticed(running: Machine) -> None:
    short = "[Unit]\nStartLimitIntervalSec=15\n", "[Timer]\nOnActiveSec=\nOnActiveSec=16s\n"
    places = ("emotion-edge.service.d/short.conf", "emotion-edge-retry.timer.d/short.conf")
    folder = Path(f"/proc/{running.pid}/root/etc/systemd/system")
    for place, text in zip(places, short, strict=True):
        (folder / place).parent.mkdir(exist_ok=True)
        (folder / place).write_text(text)
    running.run("systemctl", "daemon-reload")
    running.configure(abstain='"broken"')
    running.run("systemctl", "reset-failed", "emotion-edge.service")
    running.run("systemctl", "restart", "emotion-edge.service")

    def shown() -> bool:
        return running.show("ActiveState") == "failed"

    for round_ in ("first", "second"):
        seconds = until(shown, 60, "a permanent fault is not shown")
        print(f"permanent fault, {round_} round: failed after {seconds:.1f} s")
        assert running.run("systemctl", "is-system-running").strip() == "degraded"
        assert "tries again" in running.edge("service", "status")
        assert running.show("ActiveState", "emotion-edge-retry.timer") == "active"
        errors = running.run("journalctl", "--no-pager", "-p", "err", "-u", "emotion-edge.service")
        assert "error: decision.abstain_below is 'broken'" in errors, "the reason is an error in the journal"
        if round_ == "first":
            until(lambda: not shown(), 40, "no second round")
    running.configure()
    seconds = until(flowing(running), 60, "not back after the configuration was mended")
    print(f"configuration mended to estimates: {seconds:.1f} s")
    assert running.run("systemctl", "is-system-running").strip() == "running"
    running.configure(abstain='"broken"')
    running.run("systemctl", "restart", "emotion-edge.service")
    until(shown, 60, "a permanent fault is not shown")
    running.run("systemctl", "stop", "emotion-edge.service")
    assert running.show("ActiveState", "emotion-edge-retry.timer") == "inactive", "stopped is stopped"
    for place in places:
        (folder / place).unlink()
    running.run("systemctl", "daemon-reload")


def test_the_journal_has_priorities(running: Machine) -> None:
    said = running.run("journalctl", "--no-pager", "-o", "json", "-u", "emotion-edge.service")
    entries = [json.loads(line) for line in said.splitlines()]
    ours = [entry for entry in entries if "licence of its weights" in str(entry.get("MESSAGE"))]
    assert ours
    assert {entry["PRIORITY"] for entry in ours} == {"6"}
    assert not any(str(entry.get("MESSAGE")).startswith("emotion-edge: INFO") for entry in entries)


def test_uninstall_leaves_nothing(service: Machine) -> None:
    said = service.edge("service", "uninstall")
    assert said.count("removed") == 3, said
    left = service.run("find", "/etc/systemd", "-name", "emotion-edge*").split()
    assert [name for name in left if not name.endswith(".d")] == [], "only the test's own drop-ins stay"
    assert service.main_pid() in ("", "0")


def test_a_reboot_that_was_allowed_is_done(machine: Machine) -> None:
    """The last test: the machine goes down."""
    machine.configure()
    said = machine.edge("service", "install", "-c", "/etc/emotion-edge.toml", "--set", "recovery.reboot=true")
    assert "emotion-edge-reboot.path" in said
    machine.run("systemctl", "start", "emotion-edge-reboot.path", "emotion-edge.service")
    time.sleep(1)
    assert machine.process.poll() is None
    machine.fault("reboot", True)
    seconds = until(lambda: machine.process.poll() is not None, 30, "no reboot")
    print(f"reboot asked for to machine down: {seconds:.1f} s")
    machine.pid = ""
