"""The whole program on a camera that hangs: it ends with 75, and before the watchdog strikes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from failing_camera import NOISE

from edge.system.process import START

PROGRAM = """
import itertools, os, signal, sys, time
from pathlib import Path
import numpy as np
from dataclasses import replace
from functools import partial
from edge.__main__ import main
from edge.capture import sources
from edge import session
from edge.capture.reconnect import subprocess_source
from edge.capture.reconnect.subprocess_source import ChildSource
from edge.capture.reconnect.timeouts import Timeouts
from edge.config import SourceConfig
from edge.data import Frame

NOISE = np.random.default_rng(0).integers(0, 256, (64, 96, 128), dtype=np.uint8)


class Hangs:
    live, frame_count = True, None

    def __enter__(self):
        return self

    def __exit__(self, *about):
        pass

    def frames(self):
        for index in range(5):
            time.sleep(0.02)
            yield Frame(NOISE[index], time.monotonic(), index)
        time.sleep(600)


class Undying(ChildSource):
    def __init__(self, about):
        super().__init__(SourceConfig(address=str(Path(__file__).parent / "pictures")))
        self._child.kill = lambda: None

    def frames(self):
        yield from itertools.islice(super().frames(), 5)
        os.kill(self._child.pid, signal.SIGSTOP)
        time.sleep(600)


sources.SOURCES = tuple(replace(part, load=lambda about: Hangs()) for part in sources.SOURCES)
session.Timeouts = partial(Timeouts, held_s=3.0)
if os.environ["KIND"] == "undying":
    subprocess_source.ChildSource = Undying
sys.exit(main())
"""


def run_program(folder: Path, kind: str, *more: str) -> tuple[int, str, float]:
    """The program on a camera that hangs: exit code, what it told, seconds from its last beat to its end."""
    (folder / "program.py").write_text(PROGRAM)
    address = str(folder / "notify")
    environ = {
        **os.environ,
        "KIND": kind,
        "PYTHONPATH": str(START),
        "NOTIFY_SOCKET": address,
        "WATCHDOG_USEC": "10000000",
        "STATE_DIRECTORY": str(folder / "state"),
        "RUNTIME_DIRECTORY": str(folder / "run"),
    }
    options = ["--jsonl", "-", "--set", "detector.kind=haar", "--set", "recovery.stall_s=0.5", *more]
    words = [sys.executable, str(folder / "program.py"), "run", "/dev/video9999", *options]
    (folder / "run").mkdir(exist_ok=True)
    Path(address).unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(address)
        notify.settimeout(0.05)
        with subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environ
        ) as run:
            beat_s = time.monotonic()
            while run.poll() is None:
                try:
                    if b"WATCHDOG=1" in notify.recv(4096):
                        beat_s = time.monotonic()
                except TimeoutError:
                    pass
            return run.returncode, run.stderr.read(), time.monotonic() - beat_s


def test_the_program_ends_with_75_where_the_camera_stays_taken(tmp_path: Path) -> None:
    code, told, _ = run_program(tmp_path, "taken")
    assert code == 75, told
    assert "Traceback" not in told
    assert told.count("no frame in the child process: camera /dev/video9999 does not exist") == 1
    assert json.loads((tmp_path / "state/restart.json").read_text())["at_s"] > 0
    assert not (tmp_path / "run/reboot").exists()


def test_the_program_ends_with_75_before_the_watchdog_strikes(tmp_path: Path) -> None:
    """The second time with a reboot asked for, which takes longest."""
    cv2 = pytest.importorskip("cv2")
    (tmp_path / "pictures").mkdir()
    for index in range(30):
        cv2.imwrite(str(tmp_path / "pictures" / f"{index}.png"), NOISE[index])
    for asked in (False, True):
        code, told, silent_s = run_program(tmp_path, "undying", "--set", "recovery.reboot=true")
        assert code == 75, told
        assert "does not die" in told
        assert "Traceback" not in told
        assert (tmp_path / "run/reboot").exists() == asked
        assert silent_s < 8, "the unit's watchdog strikes after 10 s"
