"""Health figures, the ways out for them, the governor, the wall clock, and the last rungs."""

from __future__ import annotations

import itertools
import json
import socket
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import estimates
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.data import EmotionEstimate, Frame
from edge.errors import ConfigError
from edge.health import endpoint
from edge.health.load_governor import ENOUGH_S, LEVELS, TOO_MUCH_S, LoadGovernor, hottest
from edge.health.metrics import Health
from edge.health.restart import SOON_S, note_restart, restarts
from edge.system.clock import WallClock, is_synchronized


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def estimate(label: str = "happiness", fresh: bool = True) -> EmotionEstimate:
    return estimates.estimate((0.1, 0.7, 0.2, 0), label=label, fresh=fresh)


def run_of(clock: Clock, frames: int, period_s: float = 0.1, age_s: float = 0.03) -> Health:
    health = Health(live=True, now=clock)
    for at in range(frames):
        clock.now += period_s
        health.frame(
            Frame(np.zeros((2, 2), np.uint8), clock.now - age_s, at), [estimate(), estimate(fresh=False)]
        )
    return health


def test_figures_of_a_run() -> None:
    clock = Clock()
    health = run_of(clock, 50)
    health.parts["drops"] = lambda: {"newer frame": 3}
    found = health.snapshot()
    assert found["frames"] == found["estimates"] == 50
    assert found["fps"] == pytest.approx(10, abs=0.1)
    assert found["age_s"] == {"p50": pytest.approx(0.03), "p99": pytest.approx(0.03)}
    assert found["drops"] == {"newer frame": 3}
    clock.now += 60
    assert health.snapshot()["last_frame_s"] == pytest.approx(60)
    assert health.snapshot()["fps"] < 1, "a rate of frames that came long ago is no rate"


def test_a_port_answers_on_the_loopback_interface_only() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with endpoint.endpoint(str(port), run_of(Clock(), 5)) as made:
        assert made._server.server_address[0] == "127.0.0.1"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            assert json.load(answer)["frames"] == 5
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/etc/passwd", timeout=5)
        caught.value.close()
        with pytest.raises(ConfigError, match="choose another"):
            endpoint.endpoint(str(port), run_of(Clock(), 1))
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)


def test_a_file_is_whole_at_any_time_and_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "health.json"
    health = run_of(Clock(), 5)
    with endpoint.endpoint(str(path), health) as made:
        assert json.loads(path.read_text())["frames"] == 5
        health.frame(Frame(np.zeros((2, 2), np.uint8), 0, 0), [])
        made.publish()
        assert json.loads(path.read_text())["frames"] == 5, "it is not written again so soon"
        made._last_s = float("-inf")
        made.publish()
        assert json.loads(path.read_text())["frames"] == 6
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="health: output folder"):
        endpoint.endpoint(str(tmp_path / "no" / "health.json"), health)
    for port in ("70000", "0", "²", "9" * 5000):
        with pytest.raises(ConfigError, match="1 to 65535"):
            endpoint.endpoint(port, health)


class Machine:
    """A processor and its heat, as the governor sees them."""

    def __init__(self, cpu_percent: float | None = 100.0, celsius: float | None = 80.0) -> None:
        self.clock, self.used, self.share, self.heat = Clock(), 0.0, 0.5, 50.0
        self.governor = LoadGovernor(cpu_percent, celsius, lambda: self.heat, self.clock, lambda: self.used)

    def after(self, seconds: float) -> int:
        for _ in range(round(10 * seconds)):
            self.clock.now += 0.1
            self.used += 0.1 * self.share
            self.governor.adjust()
        return self.governor.level


def test_heat_lowers_the_load_within_five_seconds_and_raises_it_again_later() -> None:
    machine = Machine()
    assert machine.after(30) == 0
    machine.heat = 85
    assert machine.after(5) == 1
    assert machine.after(30) == len(LEVELS) - 1
    machine.heat = 75  # below the budget, within its margin: neither up nor down
    assert machine.after(60) == len(LEVELS) - 1
    machine.heat = 60
    assert machine.after(ENOUGH_S + 2) == len(LEVELS) - 2
    assert machine.after(60) == 0


def test_the_processor_has_a_budget_too() -> None:
    machine = Machine(cpu_percent=60)
    machine.share = 0.9
    assert machine.after(TOO_MUCH_S + 2) == 1
    machine.share = 0.3
    assert machine.after(15) == 0


def changes_in_an_hour(shares: Sequence[float], peak_every_s: float = float("inf")) -> tuple[int, float]:
    """How often the level changes where each takes such a share of a core, and seconds spent at level 0."""
    machine, changes, before, at_full_s = Machine(cpu_percent=60), 0, 0, 0
    for second in range(3600):
        peak = second % peak_every_s == 1
        machine.share = 0.9 if peak else shares[machine.governor.level]
        level = machine.after(1)
        changes += level != before
        at_full_s += level == 0
        before = level
    return changes, at_full_s


def test_a_level_that_relieves_the_machine_is_kept_longer_each_time() -> None:
    changes, at_full_s = changes_in_an_hour((0.9, 0.45, 0.35, 0.3))
    assert changes <= 25, (
        "down, then a failed try after 10, 20, ... 320 s and every 600 s: 474 without memory"
    )
    assert at_full_s <= 60
    changes, at_full_s = changes_in_an_hour((0.9, 0.45, 0.35, 0.3), peak_every_s=45)
    assert 13 <= changes <= 27, "a peak now and then neither hastens a try nor puts it off for ever"


def test_a_level_up_that_held_is_forgiven() -> None:
    machine = Machine(cpu_percent=60)

    def after(share: float, seconds: float) -> int:
        machine.share = share
        return machine.after(seconds)

    def fails() -> None:
        assert [after(0.9, 4), after(0.3, 14), after(0.9, 4)] == [1, 0, 1], "down, up after 10 s, too much"

    fails()
    assert after(0.3, 14) == 1, "20 s are to pass now"
    assert after(0.3, 10) == 0
    after(0.3, 61)
    fails()
    assert after(0.3, 24) == 0, "20 s and not 40: the level up held for a minute"


def test_a_short_peak_changes_nothing() -> None:
    machine = Machine()
    for _ in range(10):
        machine.heat = 90
        machine.after(1)
        machine.heat = 70
        machine.after(2)
    assert machine.governor.level == 0


def test_without_budgets_and_sensors_the_load_stays() -> None:
    machine = Machine(None, None)
    machine.heat, machine.share = None, 4.0
    assert machine.after(60) == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(20, 110), st.floats(0, 3), st.floats(0.5, 15)), max_size=8))
def test_the_level_never_moves_faster_than_its_rules(phases: list[tuple[float, float, float]]) -> None:
    machine, moves, before = Machine(), [], 0
    for heat, share, seconds in phases:
        machine.heat, machine.share = heat, share
        for _ in range(round(seconds)):
            level = machine.after(1)
            assert 0 <= level < len(LEVELS)
            if level != before:
                moves.append(machine.clock.now)
            before = level
    assert all(b - a >= TOO_MUCH_S - 0.2 for a, b in itertools.pairwise(moves))


def test_the_hottest_zone_counts(tmp_path: Path) -> None:
    assert hottest(tmp_path) is None
    for number, text in enumerate(["45000\n", "61500\n", "garbage", "-274000\n"]):
        zone = tmp_path / f"sys/class/thermal/thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "temp").write_text(text)
    assert hottest(tmp_path) == 61.5


def test_wall_time_follows_and_is_flagged_after_a_jump() -> None:
    monotonic, wall = Clock(), Clock()
    wall.now = 1.8e9
    clock = WallClock(wall, monotonic, lambda: True)
    assert clock.at(1000.0) == ("2027-01-15T08:00:00.000Z", True)
    for jump_s in (3600, -3600, 10 * 365 * 86400, -10 * 365 * 86400):
        wall.now += jump_s
        assert clock.at(monotonic.now)[1] is False
        monotonic.now += 61
        wall.now += 61
        assert clock.at(monotonic.now)[1] is True
    unset = WallClock(lambda: 12.0, monotonic, lambda: False)
    assert unset.at(monotonic.now) == ("1970-01-01T00:00:12.000Z", False)


class Kernel:
    """adjtimex(2) as a kernel or a sandbox answers it."""

    def __init__(self, answer: int, status: int) -> None:
        self.answer, self.status = answer, status

    def __call__(self, asked: Any) -> int:
        assert asked._obj.modes == 0, "it only asks"
        asked._obj.status = self.status
        return self.answer


@pytest.mark.parametrize(
    ("answer", "status", "sure"),
    [(0, 0x2001, True), (5, 0x40, False), (0, 0x40, False), (-1, 0, False)],
    # kept by ntpd; never set; unsynchronized, in a leap second's answer; refused by a sandbox
)
def test_any_time_server_counts(tmp_path: Path, answer: int, status: int, sure: bool) -> None:
    file = tmp_path / "synchronized"
    assert is_synchronized(file, Kernel(answer, status)) is sure
    file.touch()
    assert is_synchronized(file, Kernel(answer, status)), "systemd-timesyncd says so"


def test_a_second_restart_soon_after_the_first_is_of_no_use(tmp_path: Path) -> None:
    assert not note_restart(tmp_path / "state", 100.0, "boot-a")
    assert note_restart(tmp_path / "state", 160.0, "boot-a")
    assert not note_restart(tmp_path / "state", 160.0 + SOON_S + 1, "boot-a")
    assert not note_restart(tmp_path / "state", 5.0, "boot-b"), "the reboot was a fresh start"
    (tmp_path / "state/restart.json").write_text("[]")
    assert not note_restart(tmp_path / "state", 6.0, "boot-b")
    (tmp_path / "file").write_text("")
    assert not note_restart(tmp_path / "file/state", 1.0, "boot-a")


def test_restarts_are_counted_and_told(tmp_path: Path) -> None:
    assert restarts(tmp_path, 5.0, "boot-a") == {"count": 0}
    note_restart(tmp_path, 100.0, "boot-a", "the camera hangs")
    note_restart(tmp_path, 160.0, "boot-a", "the camera hangs again")
    told = {"count": 2, "last_ago_s": 30.0, "reason": "the camera hangs again"}
    assert restarts(tmp_path, 190.0, "boot-a") == told
    assert restarts(tmp_path, 5.0, "boot-b") == told | {"last_ago_s": None}, "before this boot"
    (tmp_path / "restart.json").write_text('{"boot_id": "of an older version", "at_s": 1}')
    assert restarts(tmp_path, 5.0, "boot-b") == {"count": 0}
