"""The real unit under the real systemd: started, killed, hung, stopped, reloaded, broken, removed.

A Debian trixie boots as a container without any network. The package is installed there as from a wheel,
``emotion-edge service install`` writes its unit, and only ExecStart is replaced: ``looped_camera.py`` stands
for a camera. Not covered here: device rules and the CPU cap, which a container cannot enforce. Memory runs
out for the machine as a whole: the host puts its limit on the container. A host that may not lift the limit
on locked memory hands that on, so a capability stands for LimitMEMLOCK=.
"""

from __future__ import annotations

import json
import re
import time
from itertools import pairwise
from pathlib import Path

import pytest
from container import Machine, flowing, in_seconds, short_back_off, until
from kiosk_page import page

pytestmark = pytest.mark.boards


def test_it_runs_as_nobody_without_a_network(running: Machine) -> None:
    began = int(running.show("InactiveExitTimestampMonotonic"))
    seconds = (int(running.show("ActiveEnterTimestampMonotonic")) - began) / 1e6
    print(f"ready after {seconds:.1f} s")
    owner = int(running.run("ps", "-o", "uid=", "-p", running.main_pid()))
    assert 61184 <= owner <= 65519, "systemd's range of dynamic users"
    assert running.run("ip", "-brief", "link").split()[0] == "lo", "no network but loopback"
    assert "picam://0" in running.edge("service", "status")
    assert running.show("CPUQuotaPerSecUSec") == "1.500000s"
    assert running.show("LimitMEMLOCK") == "infinity"
    maps = Path(f"/proc/{running.pid}/root/proc/{running.main_pid()}/smaps").read_text()
    code = re.findall(r"^\S+ r-xp .*\.so(?:.*\n)+?Locked: +(\d+) kB", maps, re.MULTILINE)
    assert sum(map(int, code)) > 10_000, "the libraries' code cannot be dropped"
    assert "unchanged" in running.edge("service", "install", "-c", "/etc/emotion-edge.toml")


def test_it_measures_for_itself_once_and_keeps_that_in_its_own_cache(running: Machine) -> None:
    running.configure(precision="auto")
    running.run("systemctl", "restart", "emotion-edge.service")
    until(flowing(running), 30, running.journal())
    pid, told = running.main_pid(), "measured in the background: "
    seconds = until(lambda: told in running.journal(), 90, "nothing was measured")
    print(f"ready to measured: {seconds:.1f} s: {running.journal().rpartition(told)[2].splitlines()[0]}")
    lines = running.lines()
    until(lambda: running.lines() > lines, 20, "no estimates after the change")
    assert running.main_pid() == pid
    assert (
        running.run("find", "/var/cache/private/emotion-edge", "-name", "choice-*.json").count("choice") == 1
    )
    running.run("systemctl", "restart", "emotion-edge.service")
    until(flowing(running, pid), 30, running.journal())
    time.sleep(5)
    assert running.journal().count(told) == 1, "measured again"


def test_killed_it_is_back(running: Machine) -> None:
    pid = running.main_pid()
    began = time.monotonic()
    running.run("kill", "-9", pid)
    seconds = until(flowing(running, pid), 20, "not back after kill -9")
    ready = int(running.show("ActiveEnterTimestampMonotonic")) / 1e6 - began
    print(f"kill -9 to ready: {ready:.1f} s, to estimates: {seconds:.1f} s")
    assert ready <= 3


def test_out_of_memory_it_is_killed_and_back(short_of_memory: Machine) -> None:
    """A leak: the service itself takes what the machine has, and the kernel's OOM killer ends it.

    The limit is a real one, of the container's memory cgroup, put on it from the host.
    """
    machine, pid, others = short_of_memory, short_of_memory.main_pid(), short_of_memory.others()
    kills = machine.memory.kills()
    machine.fault("hoards", True)  # goes with the process: systemd empties /run/emotion-edge
    until(lambda: machine.memory.kills() > kills, 20, "the kernel did not kill it")
    seconds = until(flowing(machine, pid), 20, "not back after the kernel killed it")
    print(f"OOM kill to estimates: {seconds:.1f} s")
    assert seconds <= 5
    assert (machine.memory.kills() - kills, machine.show("NRestarts")) == (1, "1")
    assert machine.others() == others, "nothing else was killed"


@pytest.mark.slow
def test_under_lasting_memory_pressure_it_backs_off_and_returns_by_itself(short_of_memory: Machine) -> None:
    """A browser, with the OOM score of Chromium's pages, holds what the service needs to start.

    The limit is the container's, as above: the two share it as they share a machine.
    The kernel's OOM killer must choose the service every time, although it has not even started.
    """
    machine, known = short_of_memory, len(short_of_memory.starts_s())

    def shown() -> bool:
        return machine.show("ActiveState") == "failed"

    kills = machine.memory.kills()
    with short_back_off(machine), page(machine):
        others = machine.others()
        assert "page.service" in others
        for round_ in ("first", "second"):
            seconds = until(shown, 60, "lasting pressure is not shown")
            print(f"lasting pressure, {round_} round: failed after {seconds:.1f} s")
            assert machine.show("Result") in ("signal", "oom-kill"), "the latter with cgroup v2"
            assert machine.show("ActiveState", "emotion-edge-retry.timer") == "active"
            if round_ == "first":
                until(lambda: not shown(), 60, "no second round")
        assert machine.others() == others, "nothing else was killed"
        assert machine.run("pgrep", "-cf", "held = ").strip() == "4", "all of the page's processes live"
        starts = machine.starts_s()[known:]
        assert machine.memory.kills() - kills == 1 + len(starts), "each try ended by the kernel"
        machine.run("systemctl", "stop", "page.service")
        seconds = until(flowing(machine), 60, "not back after the pressure was gone")
        print(f"pressure gone to estimates: {seconds:.1f} s")
    assert machine.run("systemctl", "is-system-running").strip() == "running"
    *waits, longest = sorted(later - sooner for sooner, later in pairwise(starts))
    print(
        f"{len(starts)} tries, {waits[0]:.1f} to {waits[-1]:.1f} s apart, between the rounds {longest:.1f} s"
    )
    assert len(starts) <= 12
    assert waits[0] >= 0.5
    assert longest >= 30 > waits[-1], "one long wait, after the first round"


def test_starts_that_hang_end_in_failed_too(service: Machine) -> None:
    """With too little memory a start may neither succeed nor be killed; the tries must not go on for ever."""
    times = ("TimeoutStartUSec", "TimeoutStopUSec", "RestartUSec")
    once_s = sum(in_seconds(service.show(name)) for name in times) + 2  # systemd itself is slow, too
    assert int(service.show("StartLimitBurst")) * once_s < in_seconds(service.show("StartLimitIntervalUSec"))


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


@pytest.mark.slow
def test_a_permanent_fault_is_shown_and_mending_it_is_noticed(running: Machine) -> None:
    with short_back_off(running):
        running.configure(abstain='"broken"')
        running.run("systemctl", "reset-failed", "emotion-edge.service")
        running.run("systemctl", "restart", "emotion-edge.service")

        def shown() -> bool:
            return running.show("ActiveState") == "failed"

        for round_ in ("first", "second"):
            seconds = until(shown, 60, "a permanent fault is not shown")
            print(f"permanent fault, {round_} round: failed after {seconds:.1f} s")
            assert running.run("systemctl", "is-system-running").strip() == "degraded"
            assert "will be retried" in running.edge("service", "status")
            assert running.show("ActiveState", "emotion-edge-retry.timer") == "active"
            errors = running.run("journalctl", "--no-pager", "-p", "err", "-u", "emotion-edge.service")
            assert "error: decision.abstain_below is 'broken'" in errors, "the reason is in the journal"
            if round_ == "first":
                until(lambda: not shown(), 60, "no second round")
        running.configure()
        seconds = until(flowing(running), 60, "not back after the configuration was mended")
        print(f"configuration mended to estimates: {seconds:.1f} s")
        assert running.run("systemctl", "is-system-running").strip() == "running"
        running.configure(abstain='"broken"')
        running.run("systemctl", "restart", "emotion-edge.service")
        until(shown, 60, "a permanent fault is not shown")
        running.run("systemctl", "stop", "emotion-edge.service")
        assert running.show("ActiveState", "emotion-edge-retry.timer") == "inactive", "stopped is stopped"


def test_the_journal_has_priorities(running: Machine) -> None:
    said = running.run("journalctl", "--no-pager", "-o", "json", "-u", "emotion-edge.service")
    entries = [json.loads(line) for line in said.splitlines()]
    ours = [entry for entry in entries if "license of its weights" in str(entry.get("MESSAGE"))]
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
