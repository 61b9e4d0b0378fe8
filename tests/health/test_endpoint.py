"""The health file keeps to the rule of outputs, whatever stands at its path."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from full_disk import full_disk

from edge.data import Frame
from edge.errors import ConfigError
from edge.health.endpoint import HealthFile, endpoint
from edge.health.metrics import Health


def health_of(frames: int) -> Health:
    health = Health(live=False)
    for at in range(frames):
        health.frame(Frame(np.zeros((2, 2), np.uint8), at, at), [])
    return health


def publish(made: HealthFile) -> None:
    made._last_s = float("-inf")  # it is due
    made.publish()


def test_a_foreign_file_stays_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "health.json"
    path.write_text("precious")
    with pytest.raises(ConfigError, match=r"health: .* was not written by emotion-edge"):
        endpoint(str(path), health_of(1))
    assert path.read_text() == "precious"
    with endpoint(str(path), health_of(1), force=True):
        assert json.loads(path.read_text())["frames"] == 1
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_is_refused_and_removes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "health.json"
    with endpoint(str(path), health_of(1)):
        with pytest.raises(ConfigError, match=r"health: .* is being written by another run"):
            endpoint(str(path), health_of(2))
        assert json.loads(path.read_text())["frames"] == 1


def test_only_the_file_that_was_written_here_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "health.json"
    with HealthFile(path, health_of(1)) as made:
        path.unlink()
        path.write_text("of another program")
        publish(made)
    assert path.read_text() == "of another program"
    assert list(tmp_path.iterdir()) == [path], "neither part nor lock is left"


def test_a_pipe_stays_and_a_reader_who_sleeps_holds_nobody_up(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match=r"health: output .* has no reader"):
        endpoint(str(pipe), health_of(1))
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with HealthFile(pipe, health_of(1)) as made:
        for _ in range(2000):  # far more than a pipe holds, in much less than one wait for each
            publish(made)
        assert json.loads(os.read(reader, 65536).splitlines()[0])["frames"] == 1
    os.close(reader)
    assert pipe.is_fifo()


@pytest.mark.parametrize("target", ["-", "-5", "0", "65536", "99999", "\u00b2"])
def test_what_is_neither_a_port_nor_a_file(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ConfigError, match=rf"health.* is {target}, .*(expected 1 to 65535|give one of them)$"
    ):
        endpoint(target, health_of(1))
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_service_left_is_taken_over(tmp_path: Path) -> None:
    path, lock = tmp_path / "health.json", tmp_path / ".health.json.lock"
    path.write_text(json.dumps(health_of(3).snapshot()))
    lock.touch()
    with endpoint(str(path), health_of(5)):
        assert json.loads(path.read_text())["frames"] == 5
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_last_figures_and_no_parts(tmp_path: Path) -> None:
    path, health = tmp_path / "health.json", health_of(5)
    with HealthFile(path, health) as made:
        health.frame(Frame(np.zeros((2, 2), np.uint8), 0, 0), [])
        with full_disk(10):
            publish(made)
        assert json.loads(path.read_text())["frames"] == 5
        assert sorted(file.name for file in tmp_path.iterdir()) == [".health.json.lock", "health.json"]
        publish(made)
        assert json.loads(path.read_text())["frames"] == 6
