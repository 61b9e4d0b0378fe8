"""The service's state and its health file, in a few words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from board_trees import PC, plant

from edge.doctor import service
from edge.doctor.machine import Machine
from edge.system.finding import Finding

_RUNS = {"ActiveState": "active", "SubState": "running", "Result": "success", "ExecMainStatus": "0",
         "NRestarts": "0", "ActiveEnterTimestamp": "Mon", "UnitFileState": "enabled",
         "StatusText": "camera 0, int8-cpu"}  # fmt: skip
_FRESH = (
    '{"up_s": 7300, "frames": 9, "fps": 29.94, "last_frame_s": 0.03, "engine": "fp32", '
    '"load": {"celsius": 51.2}}'
)


class Live(Machine):
    """A tree that is looked at as if it ran here, with what systemctl would say."""

    def __init__(self, root: Path, told: dict[str, str] | None) -> None:
        super().__init__(root)
        self.live, self._told = True, told

    def said(self, *command: str, timeout_s: float = 5.0) -> str | None:
        told = self._told
        return None if told is None else "\n".join(f"{name}={value}" for name, value in told.items())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return plant(tmp_path, PC, {"run/systemd/system/x": ""})


def only(findings: list[Finding]) -> tuple[str, str]:
    (found,) = findings
    return found.level, found.text


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ({}, "ok", "camera 0, int8-cpu"),
        ({"ActiveState": "failed", "Result": "core-dump"}, "fault", "failed: core-dump, exit 0"),
        ({"ActiveState": "inactive"}, "warning", "it is inactive"),
    ],
)  # fmt: skip
def test_the_state_in_systemd(change: dict[str, str], level: str, words: str, root: Path) -> None:
    assert only(list(service.look(Live(root, _RUNS | change)))) == (level, words)


def test_systemd_that_does_not_answer(root: Path, capsys) -> None:
    level, text = only(list(service.look(Live(root, None))))
    assert level == "note"
    assert "systemd" in text
    service.print_status(Live(root, None))
    assert "systemd is not running here" in capsys.readouterr().out


def test_status_is_printed_in_lines(root: Path, capsys) -> None:
    service.print_status(Live(root, _RUNS | {"ActiveState": "failed", "StatusText": "a\x1b[31m"}))
    assert capsys.readouterr().out.splitlines() == [
        "state      failed (running), at boot: enabled",
        "since      Mon",
        "restarts   0, last: success, exit 0",
        "status     a\\x1b[31m",
        "failed     will be retried within five minutes; for the reason: journalctl -u emotion-edge.service",
    ]


def test_status_without_an_installation(tmp_path: Path, capsys) -> None:
    service.print_status(Machine(tmp_path))
    assert "is not installed" in capsys.readouterr().out


def test_the_health_line(root: Path) -> None:
    plant(root, {"run/emotion-edge/health.json": _FRESH})
    line = "up 2 h, 29.9 frames/s, last frame 0.0 s ago, fp32, 51 °C"
    assert service.health_lines(Live(root, None)) == [line]
    assert only(list(service.health(Live(root, None)))) == ("ok", line)


@pytest.mark.parametrize(
    ("building", "words"),
    [
        ('{"precision": "int8-trt", "percent": 42}', ", building the int8-trt engine: 42 %"),
        ("null", ""),
        ('{"precision": "int8-trt", "percent": "x"}', ""),
        ("[1]", ""),
    ],
)
def test_the_health_line_tells_of_an_engine_that_is_being_built(
    building: str, words: str, root: Path
) -> None:
    plant(root, {"run/emotion-edge/health.json": _FRESH[:-1] + f', "building": {building}}}'})
    (line,) = service.health_lines(Machine(root))
    assert line == f"up 2 h, 29.9 frames/s, last frame 0.0 s ago, fp32{words}, 51 °C"


def test_an_old_health_file_is_a_fault(root: Path) -> None:
    plant(root, {"run/emotion-edge/health.json": _FRESH})
    file = root / "run/emotion-edge/health.json"
    os.utime(file, (file.stat().st_mtime - 100,) * 2)
    assert service.health_lines(Live(root, None)) == [
        "the service wrote no figures for 100 s: it hangs, or was killed"
    ]
    level, text = only(list(service.health(Live(root, None))))
    assert level == "fault"
    assert "hangs, or was killed" in text


@pytest.mark.parametrize(
    ("folder", "unit"),
    [("emotion-edge", "emotion-edge.service"), ("emotion-edge-door", "emotion-edge@door.service")],
)
def test_the_fix_of_a_hang_names_the_service_that_hangs(folder: str, unit: str, root: Path) -> None:
    plant(root, {f"run/{folder}/health.json": _FRESH})
    file = root / f"run/{folder}/health.json"
    os.utime(file, (file.stat().st_mtime - 100,) * 2)
    (found,) = service.health(Live(root, None))
    assert found.fix == f"sudo systemctl restart {unit}"


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"up_s": "x", "fps": [], "load": 3, "engine": {}}', "\0" * 99]
)
def test_a_damaged_health_file_is_told_without_an_error(content: str, root: Path) -> None:
    plant(root, {"run/emotion-edge/health.json": content})
    assert len(service.health_lines(Live(root, None))) == 1
    assert len(list(service.health(Live(root, None)))) <= 1


def test_two_services_have_two_lines(root: Path) -> None:
    plant(root, {"run/emotion-edge/health.json": _FRESH, "run/emotion-edge/door/health.json": _FRESH})
    first, second = service.health_lines(Live(root, None))
    assert first.startswith("up 2 h")
    assert second.startswith("door up 2 h")


def test_without_a_service(tmp_path: Path) -> None:
    assert service.health_lines(Machine(tmp_path)) == ["no service runs"]
