"""A service without a source is refused, and one without an output writes its health file."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny
from board_image import command, image, installed
from hypothesis import given
from hypothesis import strategies as st

from edge.__main__ import main
from edge.config_file import load
from edge.deploy.defaults import under_supervisor
from edge.errors import ConfigError

NEEDS = r"a service needs a source, and demo is only for a first look; give its address"
SUPERVISED = {"NOTIFY_SOCKET": "/nobody/listens", "RUNTIME_DIRECTORY": "/run/emotion-edge"}


@pytest.mark.parametrize("action", ["install", "print-unit"])
@pytest.mark.parametrize(
    "words", [[], ["demo"], ["--set", "source.address=demo"], ["--set", "output.jsonl=a.jsonl"]]
)
def test_no_unit_is_written_for_the_demo(tmp_path: Path, action: str, words: list[str]) -> None:
    root = image(tmp_path / "root")
    with pytest.raises(ConfigError, match=NEEDS):
        command(action, *words, "--root", root)
    assert installed(root) == {}


def test_a_settings_file_may_hold_the_source(tmp_path: Path) -> None:
    root = image(tmp_path / "root")
    (root / "etc/e.toml").write_text("[source]\nfps = 15\n")
    with pytest.raises(ConfigError, match=NEEDS):
        command("install", "-c", "/etc/e.toml", "--root", root)
    (root / "etc/e.toml").write_text('[source]\naddress = "/dev/video0"\n')
    command("install", "-c", "/etc/e.toml", "--root", root)


def test_run_refuses_the_demo_under_a_supervisor_alone(tmp_path: Path) -> None:
    environ = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "none")}
    done = subprocess.run([sys.executable, "-m", "edge", "run"], env=environ, capture_output=True, text=True)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "error: a service needs a source" in line
    assert under_supervisor(load(None), {}) == load(None)


OUTPUTS = st.sets(st.sampled_from(["output.jsonl=a.jsonl", "output.health=9100", "output.health=h.json"]))


@given(st.booleans(), st.booleans(), OUTPUTS)
def test_the_health_file_is_the_output_where_none_is_set(
    service: bool, by_unit: bool, set_: set[str]
) -> None:
    config = load(None, ["source.address=0", *sorted(set_)])
    environ = {"NOTIFY_SOCKET": "/n"} if service else {}
    environ |= {"RUNTIME_DIRECTORY": "/run/emotion-edge:/run/more"} if by_unit else {}
    found = under_supervisor(config, environ)
    if service and by_unit and not set_:
        assert found.output.health == "/run/emotion-edge/health.json"
    else:
        assert found == config


def test_an_output_that_was_emptied_is_none() -> None:
    config = load(None, ["source.address=0", "output.jsonl="])
    assert under_supervisor(config, SUPERVISED).output.health == "/run/emotion-edge/health.json"


def test_the_health_file_is_there_while_a_service_runs(tmp_path: Path, monkeypatch, capsys) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "c.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(30):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "none"))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    seen, ended = threading.Event(), threading.Event()

    def watch() -> None:
        while not ended.wait(0.001):
            if (tmp_path / "health.json").exists():
                seen.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        bundle = str(tiny.write(tmp_path / "tiny"))
        words = [str(tmp_path / "c.avi"), "--bundle", bundle, "--set", "detector.kind=haar"]
        assert main(["run", *words]) == 0
    finally:
        ended.set()
        watcher.join()
    assert seen.is_set()
    log = capsys.readouterr().err
    assert "30 frames" in log
    assert "no output is set" not in log
