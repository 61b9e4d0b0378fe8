"""The camera of the settings is opened in a child process, and left alone where somebody needs it."""

from __future__ import annotations

import os
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from board_trees import PC, plant
from capture_process import CAPTURE_PROCESS

from edge.capture.reconnect.subprocess_source import ChildSource
from edge.config import Config, SourceConfig
from edge.doctor import camera
from edge.doctor.machine import Machine
from edge.system.finding import Finding

_CHILD = partial(ChildSource, command=(sys.executable, "-c", CAPTURE_PROCESS))


class Live(Machine):
    """A tree that is looked at as if it ran here."""

    def __init__(self, root: Path, address: str, **source: object) -> None:
        super().__init__(root, Config(source=SourceConfig(address=address, **source)))  # type: ignore[arg-type]
        self.live = True


def looked(machine: Machine, patience_s: float = 20.0) -> list[Finding]:
    return list(camera.look(machine, _CHILD, patience_s))


@pytest.fixture(autouse=True)
def children_see_the_helpers(monkeypatch) -> None:
    helpers = Path(__file__).parents[1] / "helpers"
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parents[2]}:{helpers}")


def test_size_and_rate_are_told(tmp_path: Path) -> None:
    (found,) = looked(Live(tmp_path, "picam://good"))
    assert found.level == "ok"
    assert found.text.startswith("picam://good: 48x48 pixels, ")
    rate = float(found.text.split(", ")[1].split()[0])
    assert 20 < rate < 600, "it sleeps for 2 ms between two frames"


def test_a_rate_below_the_one_asked_for_is_told(tmp_path: Path) -> None:
    (found,) = looked(Live(tmp_path, "picam://good", fps=1000.0))
    assert found.level == "warning"
    assert found.text.endswith("of 1000 asked for")


@pytest.mark.parametrize("kind", ["busy", "bug"])
def test_a_camera_that_cannot_be_opened(kind: str, tmp_path: Path) -> None:
    (found,) = looked(Live(tmp_path, f"picam://{kind}"))
    assert found.level == "fault"
    assert found.text in ("the camera is busy", "ValueError: a bug in the library")


def test_a_silent_camera_is_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    (found,) = looked(Live(tmp_path, "picam://silent"), patience_s=2.0)
    assert time.monotonic() - began < 8
    assert (found.level, found.text) == ("fault", "camera picam://silent gave no frame within 2 s")
    assert found.fix == "check its cable and power"


def test_a_node_that_is_not_there(tmp_path: Path) -> None:
    (found,) = looked(Live(tmp_path, "/dev/video97"))
    assert (found.level, found.text) == ("fault", "camera /dev/video97 does not exist")


def test_the_camera_of_the_running_service_is_left_alone(tmp_path: Path) -> None:
    slices = "0::/system.slice/system-emotion\\x2dedge.slice/emotion-edge@door.service\n"
    root = plant(tmp_path, PC, {"proc/412/cgroup": slices, "proc/7/cgroup": "0::/user.slice\n"})
    (found,) = looked(Live(root, "picam://good"))
    assert (found.level, found.text) == ("ok", "picam://good is left to the service, which runs")


def test_the_password_of_a_camera_is_not_told(tmp_path: Path) -> None:
    tree = Machine(tmp_path, Config(source=SourceConfig(address="rtsp://user:hushhush@host/a")))
    (found,) = camera.look(tree)
    assert "host" in found.text
    assert "hushhush" not in found.text


def test_who_holds_a_node_is_named(tmp_path: Path) -> None:
    node = tmp_path / "video0"
    node.write_text("")
    root = plant(tmp_path / "root", {"proc/412/comm": "cheese\n"})
    (root / "proc/412/fd").mkdir()
    (root / "proc/412/fd/5").symlink_to(node)
    (root / "proc/9/fd").mkdir(parents=True)
    assert camera.held_by(node, Machine(root)) == "cheese (process 412)"
    assert camera.held_by(tmp_path / "video1", Machine(root)) == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root sees everybody's open files")
def test_what_others_hold_is_seen_by_root_alone(tmp_path: Path) -> None:
    (tmp_path / "proc/9/fd").mkdir(parents=True, mode=0o000)
    assert "run as root" in camera.held_by(tmp_path / "video0", Machine(tmp_path))
