"""A Debian trixie that boots as a container, for tests of the service under the real systemd.

Without any network. The host puts its limit on the container's memory, and looks into it by /proc.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

HOME = "opt/emotion-edge"
CONFIG = """
[source]
address = "picam://0"
[detector]
kind = "haar"
[bundle]
precision = "{precision}"
[output]
jsonl = "estimates.jsonl"
health = "/run/emotion-edge/health.json"
[decision]
abstain_below = {abstain}
"""


class MemoryGroup:
    """The container's own memory cgroup, made by the host within the one of the tests (v1) or on top (v2)."""

    V1 = ("memory.limit_in_bytes", "-1", "memory.swappiness", "memory.oom_control")
    V2 = ("memory.max", "max", "memory.swap.max", "memory.events")

    def __init__(self) -> None:
        top, name = Path("/sys/fs/cgroup"), f"emotion-edge-{os.getpid()}"
        own = re.search(r"^\d+:memory:/(.*)$", Path("/proc/self/cgroup").read_text(), re.MULTILINE)
        self.path = top / "memory" / own[1] / name if own else top / name
        self._limit, self._none, self._swap, self._events = self.V1 if own else self.V2
        with suppress(OSError):  # read-only, as in Docker: the container runs without it
            self.path.mkdir()

    def enforces(self) -> bool:
        return (self.path / self._limit).exists()

    def limit(self, size: int | None) -> None:
        """At most ``size`` bytes, and no swap; None for no limit."""
        if (swap := self.path / self._swap).exists():
            swap.write_text("0")
        (self.path / self._limit).write_text(str(size or self._none))

    def kills(self) -> int:
        """How many processes the kernel has killed for want of memory."""
        words = (self.path / self._events).read_text().split()
        return int(words[words.index("oom_kill") + 1])

    def remove(self) -> None:
        """After the last process has ended, which empties the groups that the container made in it."""
        for path, _, _ in os.walk(self.path, topdown=False):
            Path(path).rmdir()


class Machine:
    """A booted container."""

    def __init__(self, root: Path, process: subprocess.Popen[bytes], memory: MemoryGroup) -> None:
        self.root, self.process, self.memory = root, process, memory
        self.pid = ""

    def wait_for_boot(self, *states: str) -> None:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")

        def up() -> bool:
            self.pid = children.read_text().strip()
            return bool(self.pid) and self.run("systemctl", "is-system-running").strip() in states

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

    def configure(self, abstain: str = "0.5", precision: str = "fp32") -> None:
        text = CONFIG.format(abstain=abstain, precision=precision)
        Path(f"/proc/{self.pid}/root/etc/emotion-edge.toml").write_text(text)

    def starts_s(self) -> list[float]:
        """When each try to start the service began, by CLOCK_MONOTONIC, which the host shares."""
        said = self.run("journalctl", "--no-pager", "-o", "json", "-u", "emotion-edge.service")
        entries = [json.loads(line) for line in said.splitlines()]
        began = [entry for entry in entries if str(entry.get("MESSAGE")).startswith("Starting emotion-edge")]
        return [int(entry["__MONOTONIC_TIMESTAMP"]) / 1e6 for entry in began]

    def others(self) -> dict[str, str]:
        """Process id of each running service but ours."""
        said = self.run("systemctl", "show", "--property=MainPID", "--property=Id", "*.service")
        units = dict(re.findall(r"^MainPID=(\d+)\nId=(.+)$", said, re.MULTILINE))
        return {name: pid for pid, name in units.items() if pid != "0" and name != "emotion-edge.service"}

    def journal(self) -> str:
        return self.run("journalctl", "--no-pager", "-o", "cat", "-u", "emotion-edge.service")


def until(true: Callable[[], bool], seconds: float, complaint: str) -> float:
    """Seconds until ``true``; fails after ``seconds``."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, complaint
        time.sleep(0.02)
    return time.monotonic() - began


def in_seconds(span: str) -> float:
    """Of a time as systemctl shows it: "5min", "40s", "500ms"."""
    number, unit = re.fullmatch(r"([0-9.]+)(ms|s|min)", span).groups()
    return float(number) * {"ms": 0.001, "s": 1, "min": 60}[unit]


def flowing(machine: Machine, not_pid: str = "") -> Callable[[], bool]:
    """Whether a process other than ``not_pid`` is ready and has written estimates."""
    return lambda: (
        machine.show("ActiveState") == "active"
        and machine.main_pid() not in ("0", not_pid)
        and machine.lines() > 0
    )


def boot(root: Path, console: Path, states: tuple[str, ...] = ("running",)) -> Iterator[Machine]:
    """The machine, once it is in one of ``states`` of systemd; switched off afterwards.

    ``console`` gets what it says.
    """
    memory = MemoryGroup()
    command = ["sh", "-c", 'echo $$ > "$0"; exec "$@"', str(memory.path / "cgroup.procs")]
    command += ["systemd-nspawn", "--quiet", "--keep-unit", "--register=no", "--private-network"]
    command += ["--capability=CAP_IPC_LOCK", "--system-call-filter=@memlock"]
    with console.open("wb") as said:
        process = subprocess.Popen(
            [*command, "--directory", str(root), "--boot", "--console=pipe"],
            stdin=subprocess.DEVNULL, stdout=said, stderr=said,
        )  # fmt: skip
    booted = Machine(root, process, memory)
    try:
        booted.wait_for_boot(*states)
        yield booted
    finally:
        if booted.pid:
            booted.run("systemctl", "poweroff")
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        memory.remove()


@contextmanager
def short_back_off(machine: Machine) -> Iterator[None]:
    """Half a minute in place of the five within which faults are counted, and of those until the next try."""
    short = "[Unit]\nStartLimitIntervalSec=30\n", "[Timer]\nOnActiveSec=\nOnActiveSec=31s\n"
    places = ("emotion-edge.service.d/short.conf", "emotion-edge-retry.timer.d/short.conf")
    folder = Path(f"/proc/{machine.pid}/root/etc/systemd/system")
    for place, text in zip(places, short, strict=True):
        (folder / place).parent.mkdir(exist_ok=True)
        (folder / place).write_text(text)
    machine.run("systemctl", "daemon-reload")
    try:
        yield
    finally:
        for place in places:
            (folder / place).unlink()
        machine.run("systemctl", "daemon-reload")
